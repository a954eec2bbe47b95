package dev.demitasse.cuda;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.testkit.DeviceContractTest;
import org.junit.jupiter.api.condition.EnabledIf;

@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaDeviceTest extends DeviceContractTest {
    CudaDeviceTest() {
        super("cuda");
    }

    @Override
    protected DeviceOptions options(ActivationType activations) {
        return super.options(activations).withBatchInvariant(true);
    }
}
