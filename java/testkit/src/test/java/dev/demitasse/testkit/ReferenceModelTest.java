package dev.demitasse.testkit;

class ReferenceModelTest extends ModelContractTest {
    ReferenceModelTest() {
        super("reference");
    }
}
