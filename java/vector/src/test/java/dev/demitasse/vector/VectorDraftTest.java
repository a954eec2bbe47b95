package dev.demitasse.vector;

import dev.demitasse.runtime.DraftContractTest;

class VectorDraftTest extends DraftContractTest {
    VectorDraftTest() {
        super("vector");
    }
}
