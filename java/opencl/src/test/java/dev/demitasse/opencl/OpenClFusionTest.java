package dev.demitasse.opencl;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Rope;
import dev.demitasse.gpu.GpuDevice;
import dev.demitasse.testkit.FusionContractTest;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@EnabledIf(value = "dev.demitasse.opencl.OpenClBackendTest#usable", disabledReason = OpenClBackendTest.WHY_NOT)
class OpenClFusionTest extends FusionContractTest {
    @Override
    protected Device open(DeviceOptions options) {
        return new OpenClBackend().open(options);
    }

    @Override
    protected int started(Device device) {
        return ((GpuDevice) device).started();
    }

    /** One more than CUDA's: what merges the segments of attention. */
    @ParameterizedTest
    @CsvSource({
        "INT8, 64, 1, INTERLEAVED, false, 11",
        "INT8, 64, 3, NEOX, false, 11",
        "INT8, 32, 12, INTERLEAVED, false, 11",
        "INT8, 80, 2, INTERLEAVED, false, 12", // a head is no whole number of groups: attention does not quantize
        "INT8_ROW, 64, 3, INTERLEAVED, false, 13", // only a norm knows whole rows
        "F32, 64, 2, NEOX, false, 11",
        "INT8, 64, 3, NEOX, true, 12", // and what attention gave is rotated and quantized
        "INT8, 80, 2, INTERLEAVED, true, 13",
        "F32, 64, 2, NEOX, true, 12"
    })
    void aLayerGivesTheSameBitsInFewerKernels(
            ActivationType activations, int headDim, int rows, Rope rope, boolean rotated, int together) {
        requireFused(activations, headDim, rows, rope, rotated, together);
    }
}
