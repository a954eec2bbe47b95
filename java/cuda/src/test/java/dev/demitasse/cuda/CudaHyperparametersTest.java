package dev.demitasse.cuda;

import dev.demitasse.testkit.HyperparametersContractTest;
import org.junit.jupiter.api.condition.EnabledIf;

@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaHyperparametersTest extends HyperparametersContractTest {
    CudaHyperparametersTest() {
        super("cuda");
    }

    @Override
    protected int rounds() {
        return 10;
    }
}
