package dev.demitasse.opencl;

/** A device taken for a GPU with the same features, and memory of its own. */
public final class GpuKernelsBackend extends OpenClBackend {
    static final String NAME = "opencl-gpu-kernels";

    /** For the service loader. */
    public GpuKernelsBackend() {}

    @Override
    public String name() {
        return NAME;
    }

    @Override
    DeviceInfo seen(DeviceInfo device) {
        return device.asGpu();
    }
}
