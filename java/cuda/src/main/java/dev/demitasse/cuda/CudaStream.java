package dev.demitasse.cuda;

import jcuda.driver.CUstream;

/** A stream, also as the driver's handle. */
final class CudaStream extends CUstream {
    long address() {
        return getNativePointer();
    }
}
