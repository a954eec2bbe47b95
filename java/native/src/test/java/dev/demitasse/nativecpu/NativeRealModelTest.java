package dev.demitasse.nativecpu;

import dev.demitasse.testkit.RealModelContractTest;

class NativeRealModelTest extends RealModelContractTest {
    NativeRealModelTest() {
        super("native");
    }
}
