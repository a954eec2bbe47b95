package dev.demitasse.nativecpu;

import dev.demitasse.testkit.SharingContractTest;
import org.junit.jupiter.api.condition.EnabledIf;

@EnabledIf(
        value = "dev.demitasse.nativecpu.InstructionSetTest#built",
        disabledReason = "the native library is not built: CMake or a C++ compiler is missing")
class NativeSharingTest extends SharingContractTest {
    NativeSharingTest() {
        super("native");
    }
}
