package dev.demitasse.reference;

import dev.demitasse.testkit.DraftContractTest;

class ReferenceDraftTest extends DraftContractTest {
    ReferenceDraftTest() {
        super("reference");
    }
}
