package dev.demitasse.reference;

import dev.demitasse.testkit.HyperparametersContractTest;

class ReferenceHyperparametersTest extends HyperparametersContractTest {
    ReferenceHyperparametersTest() {
        super("reference");
    }
}
