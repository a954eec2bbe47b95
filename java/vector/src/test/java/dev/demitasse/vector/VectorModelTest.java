package dev.demitasse.vector;

import dev.demitasse.testkit.ModelContractTest;

class VectorModelTest extends ModelContractTest {
    VectorModelTest() {
        super("vector");
    }
}
