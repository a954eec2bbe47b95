package dev.demitasse.cuda;

import dev.demitasse.testkit.DeviceContractTest;
import org.junit.jupiter.api.condition.EnabledIf;

/** The device as it is by default: prefill attention on tensor cores, within the bound that attention_prefill.cu states. */
@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaTensorCoreTest extends DeviceContractTest {
    CudaTensorCoreTest() {
        super("cuda", 1e-5);
    }
}
