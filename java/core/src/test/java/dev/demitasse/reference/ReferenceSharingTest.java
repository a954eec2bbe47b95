package dev.demitasse.reference;

import dev.demitasse.testkit.SharingContractTest;

class ReferenceSharingTest extends SharingContractTest {
    ReferenceSharingTest() {
        super("reference");
    }
}
