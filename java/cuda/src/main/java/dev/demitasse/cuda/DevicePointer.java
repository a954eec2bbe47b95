package dev.demitasse.cuda;

import jcuda.driver.CUdeviceptr;

/** An address of device memory, also as a number. */
final class DevicePointer extends CUdeviceptr {
    /** Where {@code cuMemAlloc} will write. */
    DevicePointer() {}

    /** The pointer to an address. */
    static DevicePointer of(long address) {
        return new DevicePointer(new DevicePointer(), address);
    }

    private DevicePointer(DevicePointer base, long offset) {
        super(base, offset);
    }

    /** The same, {@code offset} bytes further. */
    DevicePointer at(long offset) {
        return new DevicePointer(this, offset);
    }

    long address() {
        return getNativePointer() + getByteOffset();
    }
}
