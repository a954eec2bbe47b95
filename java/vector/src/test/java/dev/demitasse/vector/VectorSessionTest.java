package dev.demitasse.vector;

import dev.demitasse.testkit.SessionContractTest;

class VectorSessionTest extends SessionContractTest {
    VectorSessionTest() {
        super("vector");
    }
}
