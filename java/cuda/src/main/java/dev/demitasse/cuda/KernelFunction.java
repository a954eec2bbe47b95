package dev.demitasse.cuda;

import jcuda.driver.CUfunction;

/** A kernel of a loaded module, also as the driver's handle. */
final class KernelFunction extends CUfunction {
    long address() {
        return getNativePointer();
    }
}
