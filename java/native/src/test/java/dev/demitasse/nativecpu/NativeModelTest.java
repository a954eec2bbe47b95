package dev.demitasse.nativecpu;

import dev.demitasse.testkit.ModelContractTest;

class NativeModelTest extends ModelContractTest {
    NativeModelTest() {
        super("native");
    }
}
