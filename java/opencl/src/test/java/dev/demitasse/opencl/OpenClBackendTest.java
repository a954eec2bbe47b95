package dev.demitasse.opencl;

/** Whether there is a device to test. */
final class OpenClBackendTest {
    static final String WHY_NOT = "there is no OpenCL driver (Debian: pocl-opencl-icd)";

    private OpenClBackendTest() {}

    static boolean usable() {
        return new OpenClBackend().probe().ok();
    }
}
