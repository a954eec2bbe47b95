package dev.demitasse.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.device.OutputType;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.gpu.AttentionPlan;
import dev.demitasse.gpu.GpuDevice;
import dev.demitasse.gpu.GpuElement;
import dev.demitasse.gpu.PagedKvStore;
import dev.demitasse.gpu.QuantizedActivations;
import dev.demitasse.gpu.SampleRows;
import dev.demitasse.gpu.WeightOrder;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.sampling.Draw;
import dev.demitasse.testkit.BoundaryGenerator;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What Java and CUDA must agree on is written once; kernels of other sources are not used. */
class BoundaryTest {
    @TempDir
    Path folder;

    @Test
    void enumsOfBothSidesHaveTheSameConstants() {
        BoundaryGenerator.requireNumbers(GpuElement.values(), Boundary.Table::of, Boundary.Table.COUNT);
        GpuElement[] integers = {GpuElement.INT8, GpuElement.INT4, GpuElement.LEVELS};
        BoundaryGenerator.requireNumbers(integers, Boundary.Integers::of, Boundary.Integers.COUNT);
        BoundaryGenerator.requireNumbers(OutputType.values(), Boundary.OutputType::of, Boundary.OutputType.COUNT);
        BoundaryGenerator.requireNumbers(KvType.values(), Boundary.KvType::of, Boundary.KvType.COUNT);
    }

    /** What every GPU device shares in Java is what CUDA's headers say. */
    @Test
    void tilesAndPagesAreThoseOfTheHeaders() {
        assertThat(WeightOrder.FRAGMENTS.outputs()).isEqualTo(Boundary.TILE_OUTPUTS);
        for (GpuElement element : List.of(GpuElement.INT4, GpuElement.INT8, GpuElement.LEVELS)) {
            int columns = WeightOrder.FRAGMENTS.columns(element);
            assertThat(columns).isEqualTo(Boundary.tile_columns(element.bits()));
            assertThat(WeightOrder.FRAGMENTS.outputs() * columns * element.bits() / Byte.SIZE)
                    .isEqualTo(Boundary.TILE_BYTES);
        }
        assertThat(AttentionPlan.BLOCK_INTS).isEqualTo(Boundary.PREFILL_WORDS);
        assertThat(Draw.NONE).isEqualTo(Boundary.NO_TOKEN);
        assertThat(KvShape.PAGE).isEqualTo(Boundary.PAGE);
        assertThat(KvShape.SCALE_GROUP).isEqualTo(Boundary.SCALE_GROUP);
        assertThat(AttentionPlan.STATE_HEADER).isEqualTo(Boundary.STATE_HEADER);
        assertThat(QuantizedActivations.GROUP).isEqualTo(Boundary.INPUT_GROUP);
        assertThat(QuantizedActivations.GROUP_BYTES).isEqualTo(Boundary.GROUP_BYTES);
        assertThat(PagedKvStore.DIM_MULTIPLE).isEqualTo(Boundary.DIM_MULTIPLE);
        assertThat(PagedKvStore.MOST_HEAD_DIM).isEqualTo(Boundary.MOST_HEAD_DIM);
        assertThat(AttentionPlan.MOST_PREFILL_DIM).isEqualTo(Boundary.MOST_PREFILL_DIM);
        assertThat(GpuDevice.MOST_SAMPLE_COLUMNS).isEqualTo(Boundary.SAMPLE_COLUMNS);
        assertThat(SampleRows.INTS).isEqualTo(Boundary.SampleRow.INTS);
    }

    @Test
    void kernelsOfAReorderedStructureAreRefused() throws Exception {
        String header = Files.readString(BoundaryGenerator.source("cuda/include/demitasse/rope.cuh"));
        String before = "int64_t rope_dim;";
        assertThat(header).contains(before);
        Path changed = folder.resolve("rope.cuh");
        Files.writeString(changed, header.replace(before, "int64_t unknown;\n    int64_t rope_dim;"));
        String text = BoundaryGenerator.run(folder, "dev.demitasse.cuda", List.of(changed));
        assertThat(text).contains("ROPE_DIM = " + (Boundary.RopeAngles.ROPE_DIM + 1));
        long other = BoundaryGenerator.fingerprint(text);
        assertThatThrownBy(() -> KernelModules.requireSameBoundary(String.format("boundary %015x", other)))
                .isInstanceOf(BackendUnavailableException.class)
                .hasMessageContaining("build again");
        String own = String.format("boundary %015x", Boundary.FINGERPRINT);
        assertThatCode(() -> KernelModules.requireSameBoundary(own)).doesNotThrowAnyException();
    }
}
