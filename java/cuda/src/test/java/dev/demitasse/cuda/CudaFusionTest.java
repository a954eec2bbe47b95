package dev.demitasse.cuda;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Rope;
import dev.demitasse.gpu.GpuDevice;
import dev.demitasse.testkit.FusionContractTest;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaFusionTest extends FusionContractTest {
    @Override
    protected Device open(DeviceOptions options) {
        return new CudaBackend().open(options);
    }

    @Override
    protected int started(Device device) {
        return ((GpuDevice) device).started();
    }

    @ParameterizedTest
    @CsvSource({
        "INT8, 64, 1, INTERLEAVED, false, 10",
        "INT8, 64, 3, NEOX, false, 10",
        "INT8, 32, 12, INTERLEAVED, false, 11", // one matrix is cut into segments
        "INT8, 80, 2, INTERLEAVED, false, 11", // a head is no whole number of groups: attention does not quantize
        "INT8_ROW, 64, 3, INTERLEAVED, false, 12", // only a norm knows whole rows
        "F32, 64, 2, NEOX, false, 10",
        "INT8, 64, 3, NEOX, true, 11", // and what attention gave is rotated and quantized
        "INT8, 80, 2, INTERLEAVED, true, 12",
        "F32, 64, 2, NEOX, true, 11"
    })
    void aLayerGivesTheSameBitsInFewerKernels(
            ActivationType activations, int headDim, int rows, Rope rope, boolean rotated, int together) {
        requireFused(activations, headDim, rows, rope, rotated, together);
    }
}
