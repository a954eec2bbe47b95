package dev.demitasse.vector;

import dev.demitasse.testkit.SharingContractTest;

class VectorSharingTest extends SharingContractTest {
    VectorSharingTest() {
        super("vector");
    }
}
