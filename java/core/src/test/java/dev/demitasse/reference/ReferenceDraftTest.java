package dev.demitasse.reference;

import dev.demitasse.runtime.DraftContractTest;

class ReferenceDraftTest extends DraftContractTest {
    ReferenceDraftTest() {
        super("reference");
    }
}
