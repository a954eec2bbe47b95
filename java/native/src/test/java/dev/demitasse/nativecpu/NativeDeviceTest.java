package dev.demitasse.nativecpu;

import dev.demitasse.testkit.DeviceContractTest;

class NativeDeviceTest extends DeviceContractTest {
    NativeDeviceTest() {
        super("native");
    }
}
