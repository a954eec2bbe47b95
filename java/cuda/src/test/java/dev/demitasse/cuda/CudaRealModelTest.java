package dev.demitasse.cuda;

import dev.demitasse.testkit.RealModelContractTest;
import java.util.List;
import org.junit.jupiter.api.condition.EnabledIf;

/**
 * A real model, on a GPU alone: {@code ci/gpu.sh} runs it where the model's file is beside the bundle; the emulator
 * would take hours.
 */
@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaRealModelTest extends RealModelContractTest {
    CudaRealModelTest() {
        super("cuda");
    }

    @Override
    protected List<String> models() {
        return List.of("SmolLM2-135M-Instruct.Q4_1");
    }
}
