package dev.demitasse.nativecpu;

import dev.demitasse.testkit.HyperparametersContractTest;
import org.junit.jupiter.api.condition.EnabledIf;

@EnabledIf(
        value = "dev.demitasse.nativecpu.InstructionSetTest#built",
        disabledReason = "the native library is not built: CMake or a C++ compiler is missing")
class NativeHyperparametersTest extends HyperparametersContractTest {
    NativeHyperparametersTest() {
        super("native");
    }
}
