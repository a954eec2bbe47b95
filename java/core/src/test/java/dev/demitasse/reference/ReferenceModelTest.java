package dev.demitasse.reference;

import dev.demitasse.testkit.ModelContractTest;

class ReferenceModelTest extends ModelContractTest {
    ReferenceModelTest() {
        super("reference");
    }
}
