package dev.demitasse.vector;

import dev.demitasse.testkit.DeviceContractTest;

class VectorDeviceTest extends DeviceContractTest {
    VectorDeviceTest() {
        super("vector");
    }
}
