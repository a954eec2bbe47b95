package dev.demitasse.reference;

import dev.demitasse.testkit.DeviceContractTest;

class ReferenceDeviceTest extends DeviceContractTest {
    ReferenceDeviceTest() {
        super("reference");
    }
}
