package dev.demitasse.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.ActivationType;
import dev.demitasse.gpu.GpuElement;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.BoundaryGenerator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Which kernel takes which multiplication, as the table prints itself. */
class KernelTableTest {
    private static final Pattern EXPORTED = Pattern.compile("^[A-Z0-9_]+\\((\\w+)", Pattern.MULTILINE);

    private static List<String> table(ActivationType activations, boolean wgmma, boolean batchInvariant) {
        return KernelTable.describe(new KernelTable.Settings(activations, 132, 90, wgmma, batchInvariant), false);
    }

    @Test
    void integersPer32GoToGemvForFewRowsAndToTensorCoresForMany() {
        assertThat(table(ActivationType.INT8, false, false))
                .contains("INT4 per 32: from 1 gemv_int4_per32_rows4 from 5 gemv_int4_per32_rows8"
                        + " from 9 gemm_int4_per32_m16 from 17 gemm_int4_per32_m32"
                        + " from 65 gemm_int4_per32_m128")
                .contains(
                        "F16: from 1 gemv_f16_rows1 from 2 gemv_f16_rows4 from 16 gemm_f16_m64 from 65 gemm_f16_m128");
    }

    @Test
    void manyRowsByGroupsGoToWgmmaAsFp16WhereTheBatchMayMatter() {
        String tiles = "INT4 per 16: from 1 gemv_int4_per16_rows4 from 5 gemv_int4_per16_rows8"
                + " from 9 gemm_int4_per16_m16 from 17 gemm_int4_per16_m32"
                + " from 65 gemm_int4_per16_m128";
        assertThat(table(ActivationType.INT8, true, false)).contains(tiles + " from 129 gemm_f16_wgmma");
        assertThat(table(ActivationType.INT8, true, true)).contains(tiles);
        assertThat(table(ActivationType.INT8_ROW, true, false)).contains(tiles);
        assertThat(table(ActivationType.INT8, true, false))
                .anyMatch(line -> line.endsWith("from 129 gemm_f16_wgmma") && line.startsWith("INT8 per row"));
    }

    /** A vocabulary's FP16 copy would be a gigabyte, and results are stored in pairs. */
    @Test
    void largeMatricesAndOddOnesKeepTheirIntegers() {
        KernelTable.Settings settings = new KernelTable.Settings(ActivationType.INT8, 132, 90, true, false);
        for (int outputs : List.of(128256, 32769, 4097)) {
            KernelTable.Multiplication m = new KernelTable.Multiplication(
                    settings, WeightLayout.int4(32), GpuElement.INT4, 32, outputs, 32, 512, false);
            assertThat(KernelTable.choose(m).kernel()).isEqualTo("gemm_int4_per32_m128");
        }
    }

    @Test
    void wholeRowsOfInt8GoToWgmmaWhereTheGpuHasIt() {
        String tiles = "INT8 per row: from 1 gemv_int8_per_row_rows4 from 5 gemv_int8_per_row_rows8"
                + " from 9 gemm_int8_per_row_m16 from 17 gemm_int8_per_row_m32";
        assertThat(table(ActivationType.INT8_ROW, true, false)).contains(tiles + " from 65 gemm_int8_per_row_wgmma");
        assertThat(table(ActivationType.INT8_ROW, false, false)).contains(tiles + " from 65 gemm_int8_per_row_m128");
    }

    @Test
    void exactActivationsAndDenseWeightsKeepOneKernelFamilyWhereTheBatchMayNotMatter() {
        assertThat(table(ActivationType.F32, true, true))
                .contains("INT8 per 16: from 1 gemv_int8_per16_float_rows1 from 2 gemv_int8_per16_float_rows4")
                .contains("F32: from 1 gemv_f32_rows1 from 2 gemv_f32_rows4");
    }

    /**
     * Every kernel that the table names is in the sources by that name, and every kernel of a family is in the table.
     */
    @Test
    void namesAreThoseOfTheSources() throws IOException {
        Set<String> exported = new TreeSet<>();
        try (Stream<Path> files = Files.list(BoundaryGenerator.source("cuda/kernels"))) {
            for (Path file : files.toList()) {
                EXPORTED.matcher(Files.readString(file)).results().forEach(match -> exported.add(match.group(1)));
            }
        }
        exported.removeIf(name -> !name.matches("(gemv|gemm|attention_decode|attention_prefill|kv_append)_.+"));
        assertThat(KernelTable.names()).isEqualTo(exported);
    }
}
