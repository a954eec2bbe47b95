package dev.demitasse.opencl;

import dev.demitasse.testkit.RealModelContractTest;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Disabled;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

@EnabledIf(value = "dev.demitasse.opencl.OpenClBackendTest#usable", disabledReason = OpenClBackendTest.WHY_NOT)
class OpenClRealModelTest extends RealModelContractTest {
    OpenClRealModelTest() {
        super("opencl");
    }

    @Override
    protected List<String> models() {
        return List.of("SmolLM2-135M-Instruct.Q4_1");
    }

    @Override
    @ParameterizedTest
    @MethodSource("models")
    @Disabled("takes minutes, until prompts have kernels of their own")
    public void perplexityMatchesTheGoldenFigure(String name) throws IOException {
        super.perplexityMatchesTheGoldenFigure(name);
    }
}
