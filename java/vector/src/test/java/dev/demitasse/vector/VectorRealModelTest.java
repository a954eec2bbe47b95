package dev.demitasse.vector;

import dev.demitasse.testkit.RealModelContractTest;

class VectorRealModelTest extends RealModelContractTest {
    VectorRealModelTest() {
        super("vector");
    }
}
