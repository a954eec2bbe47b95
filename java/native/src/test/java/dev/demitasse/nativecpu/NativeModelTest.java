package dev.demitasse.nativecpu;

import dev.demitasse.testkit.ModelContractTest;
import java.util.List;
import org.junit.jupiter.api.condition.EnabledIf;

@EnabledIf(
        value = "dev.demitasse.nativecpu.InstructionSetTest#built",
        disabledReason = "the native library is not built: CMake or a C++ compiler is missing")
class NativeModelTest extends ModelContractTest {
    NativeModelTest() {
        super("native");
    }

    @Override
    protected List<String> decodedContexts() {
        return List.of("llama", "gemma3", "qwen35", "gemma4-ple", "deepseek2", "llama4");
    }
}
