package dev.demitasse.opencl;

import dev.demitasse.testkit.RealModelContractTest;
import java.util.List;
import org.junit.jupiter.api.condition.EnabledIf;

@EnabledIf(value = "dev.demitasse.opencl.OpenClBackendTest#usable", disabledReason = OpenClBackendTest.WHY_NOT)
class OpenClRealModelTest extends RealModelContractTest {
    OpenClRealModelTest() {
        super("opencl");
    }

    @Override
    protected List<String> models() {
        return List.of("SmolLM2-135M-Instruct.Q4_1");
    }
}
