package dev.demitasse.opencl;

import dev.demitasse.testkit.DeviceContractTest;
import org.junit.jupiter.api.condition.EnabledIf;

@EnabledIf(value = "dev.demitasse.opencl.OpenClBackendTest#usable", disabledReason = OpenClBackendTest.WHY_NOT)
class GpuKernelsDeviceTest extends DeviceContractTest {
    GpuKernelsDeviceTest() {
        super(GpuKernelsBackend.NAME);
    }
}
