package dev.demitasse.vector;

import dev.demitasse.testkit.DraftContractTest;

class VectorDraftTest extends DraftContractTest {
    VectorDraftTest() {
        super("vector");
    }
}
