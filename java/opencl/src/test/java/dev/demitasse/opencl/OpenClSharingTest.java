package dev.demitasse.opencl;

import dev.demitasse.testkit.SharingContractTest;
import org.junit.jupiter.api.condition.EnabledIf;

@EnabledIf(value = "dev.demitasse.opencl.OpenClBackendTest#usable", disabledReason = OpenClBackendTest.WHY_NOT)
class OpenClSharingTest extends SharingContractTest {
    OpenClSharingTest() {
        super("opencl");
    }

    @Override
    protected int rounds() {
        return 20;
    }
}
