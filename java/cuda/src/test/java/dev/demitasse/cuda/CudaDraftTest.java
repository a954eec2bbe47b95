package dev.demitasse.cuda;

import dev.demitasse.testkit.DraftContractTest;
import java.util.List;
import org.junit.jupiter.api.condition.EnabledIf;

@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaDraftTest extends DraftContractTest {
    CudaDraftTest() {
        super("cuda");
    }

    @Override
    protected List<String> architectures() {
        return List.of("qwen35-mtp", "nemotron_h");
    }

    @Override
    protected int rounds() {
        return 3;
    }
}
