package dev.demitasse.vector;

import dev.demitasse.testkit.HyperparametersContractTest;

class VectorHyperparametersTest extends HyperparametersContractTest {
    VectorHyperparametersTest() {
        super("vector");
    }
}
