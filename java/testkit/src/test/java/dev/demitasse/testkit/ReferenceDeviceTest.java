package dev.demitasse.testkit;

class ReferenceDeviceTest extends DeviceContractTest {
    ReferenceDeviceTest() {
        super("reference");
    }
}
