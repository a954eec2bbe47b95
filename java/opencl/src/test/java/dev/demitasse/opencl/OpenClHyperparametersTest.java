package dev.demitasse.opencl;

import dev.demitasse.testkit.HyperparametersContractTest;
import org.junit.jupiter.api.condition.EnabledIf;

@EnabledIf(value = "dev.demitasse.opencl.OpenClBackendTest#usable", disabledReason = OpenClBackendTest.WHY_NOT)
class OpenClHyperparametersTest extends HyperparametersContractTest {
    OpenClHyperparametersTest() {
        super("opencl");
    }

    @Override
    protected int rounds() {
        return 2;
    }
}
