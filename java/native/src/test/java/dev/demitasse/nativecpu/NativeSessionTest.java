package dev.demitasse.nativecpu;

import dev.demitasse.testkit.SessionContractTest;
import org.junit.jupiter.api.condition.EnabledIf;

@EnabledIf(
        value = "dev.demitasse.nativecpu.InstructionSetTest#built",
        disabledReason = "the native library is not built: CMake or a C++ compiler is missing")
class NativeSessionTest extends SessionContractTest {
    NativeSessionTest() {
        super("native");
    }
}
