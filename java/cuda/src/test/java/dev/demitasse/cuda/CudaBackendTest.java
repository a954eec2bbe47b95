package dev.demitasse.cuda;

/** Whether there is a device to test: the emulator, or a GPU. */
final class CudaBackendTest {
    static final String WHY_NOT = "no CUDA toolchain was there to build the kernels and the emulator";

    private CudaBackendTest() {}

    static boolean usable() {
        return new CudaBackend().probe().ok();
    }
}
