package dev.demitasse.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.device.ActivationType;
import dev.demitasse.gpu.GpuElement;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.BoundaryGenerator;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What was measured decides where it is near and possible, and the rules elsewhere. */
class KernelChoiceTest {
    private static final Driver.Gpu H100 = new Driver.Gpu(0, "NVIDIA H100", 90, 132, 80L << 30);

    private static KernelTable.Choice choose(
            KernelChoice choice, int rows, int outputs, int columns, boolean invariant) {
        KernelTable.Settings settings =
                new KernelTable.Settings(ActivationType.INT8_ROW, 132, 90, true, invariant, choice);
        return KernelTable.choose(new KernelTable.Multiplication(
                settings,
                WeightLayout.int8(WeightLayout.ROW),
                GpuElement.INT8,
                0,
                outputs,
                columns / Boundary.tile_columns(8),
                rows,
                false));
    }

    private static KernelChoice measured(int rows, int outputs, int columns, String form) {
        KernelChoice.Line line =
                new KernelChoice.Line(90, 132, "int8/0", rows, outputs, columns, KernelChoice.Form.parse(form), 10);
        return new KernelChoice(List.of(line));
    }

    @Test
    void theNearestMeasurementDecides() {
        KernelChoice choice = measured(64, 6144, 4096, "wgmma");
        assertThat(choose(choice, 64, 6144, 4096, false).kernel()).isEqualTo("gemm_int8_per_row_wgmma");
        assertThat(choose(choice, 50, 5000, 4096, false).kernel()).isEqualTo("gemm_int8_per_row_wgmma");
        assertThat(choose(choice, 40, 6144, 4096, false).kernel()).isEqualTo("gemm_int8_per_row_m32");
        assertThat(choose(choice, 64, 14336, 4096, false).kernel()).isEqualTo("gemm_int8_per_row_m32");
        assertThat(choose(choice, 64, 6144, 14336, false).kernel()).isEqualTo("gemm_int8_per_row_m32");
    }

    @Test
    void columnsAreDividedAsItWasMeasured() {
        assertThat(choose(measured(512, 4096, 4096, "tile 128, divided"), 512, 4096, 4096, false)
                        .grid()
                        .z())
                .isEqualTo(8);
        assertThat(choose(measured(64, 4096, 4096, "tile 64"), 64, 4096, 4096, false)
                        .grid()
                        .z())
                .isEqualTo(1);
    }

    @Test
    void whatIsNotPossibleOrMayDependOnTheBatchIsLeftToTheRules() {
        KernelChoice wgmma = measured(64, 6143, 4096, "wgmma"); // which stores results in pairs
        assertThat(choose(wgmma, 64, 6143, 4096, false).kernel()).isEqualTo("gemm_int8_per_row_m32");
        KernelChoice divided = measured(1024, 4096, 4096, "tile 32, divided"); // whose sums would take too much memory
        assertThat(choose(divided, 1024, 4096, 4096, false).kernel()).isEqualTo("gemm_int8_per_row_wgmma");
        KernelChoice tile = measured(64, 4096, 4096, "tile 128");
        assertThat(choose(tile, 64, 4096, 4096, true).kernel()).isEqualTo("gemm_int8_per_row_m32");
    }

    @Test
    void aTableIsReadForItsOwnCardAlone() throws IOException {
        String table = Files.readString(BoundaryGenerator.source("cuda/selection.tsv"));
        List<KernelChoice.Line> lines = KernelChoice.parse(table, H100);
        assertThat(lines).isNotEmpty().allMatch(line -> line.capability() == 90 && line.multiprocessors() == 132);
        assertThat(lines)
                .allMatch(line -> KernelChoice.Line.parse(line.toString()).equals(line));
        assertThat(KernelChoice.parse(table, new Driver.Gpu(0, "another", 90, 114, 80L << 30)))
                .isEmpty();
    }

    @Test
    void aTableThatIsNoneIsRefused() {
        String good = KernelChoice.HEADER + "\n90\t132\tint8/0\t64\t64\t64\twgmma\t1\n";
        assertThat(KernelChoice.parse(good, H100)).hasSize(1);
        for (String bad : List.of(
                "",
                "capability\n",
                good.replace("wgmma", "tile 7"),
                good.replace("\t1\n", "\n"),
                good.replace("\t132\t", "\tmany\t"))) {
            assertThatThrownBy(() -> KernelChoice.parse(bad, H100)).isInstanceOf(IllegalArgumentException.class);
        }
    }
}
