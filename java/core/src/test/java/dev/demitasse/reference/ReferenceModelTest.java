package dev.demitasse.reference;

import dev.demitasse.testkit.ModelContractTest;

class ReferenceModelTest extends ModelContractTest {
    ReferenceModelTest() {
        super("reference");
    }

    /** It takes twice as long as others, and other modules' tests wait for it. */
    @Override
    protected boolean isSlow() {
        return true;
    }
}
