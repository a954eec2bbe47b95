package dev.demitasse.opencl;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.OutputType;
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
import org.junit.jupiter.api.Test;

/** What Java and OpenCL must agree on is written once. */
class BoundaryTest {
    @Test
    void enumsOfBothSidesHaveTheSameConstants() {
        BoundaryGenerator.requireNumbers(GpuElement.values(), Boundary.Element::of, Boundary.Element.COUNT);
        BoundaryGenerator.requireNumbers(OutputType.values(), Boundary.OutputType::of, Boundary.OutputType.COUNT);
        BoundaryGenerator.requireNumbers(KvType.values(), Boundary.KvType::of, Boundary.KvType.COUNT);
    }

    /** What every GPU device shares in Java is what OpenCL's headers say. */
    @Test
    void tilesAndPagesAreThoseOfTheHeaders() {
        assertThat(WeightOrder.SIDE_BY_SIDE.outputs()).isEqualTo(Boundary.BLOCK_OUTPUTS);
        for (GpuElement element : GpuElement.values()) {
            assertThat(WeightOrder.SIDE_BY_SIDE.columns(element)).isEqualTo(Boundary.INPUT_GROUP);
        }
        assertThat(Draw.NONE).isEqualTo(Boundary.NO_TOKEN);
        assertThat(KvShape.PAGE).isEqualTo(Boundary.PAGE);
        assertThat(KvShape.SCALE_GROUP).isEqualTo(Boundary.SCALE_GROUP);
        assertThat(AttentionPlan.STATE_HEADER).isEqualTo(Boundary.STATE_HEADER);
        assertThat(QuantizedActivations.GROUP).isEqualTo(Boundary.INPUT_GROUP);
        assertThat(QuantizedActivations.GROUP_BYTES).isEqualTo(Boundary.GROUP_BYTES);
        assertThat(PagedKvStore.DIM_MULTIPLE).isEqualTo(Boundary.DIM_MULTIPLE);
        assertThat(PagedKvStore.MOST_HEAD_DIM).isEqualTo(Boundary.MOST_HEAD_DIM);
        assertThat(GpuDevice.MOST_SAMPLE_COLUMNS).isEqualTo(Boundary.SAMPLE_COLUMNS);
        assertThat(SampleRows.INTS).isEqualTo(Boundary.SampleRow.INTS);
    }
}
