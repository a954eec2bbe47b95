package dev.demitasse.opencl;

/** The device with the variants of kernels that a GPU with its features has, wherever it runs. */
public final class GpuKernelsBackend extends OpenClBackend {
    static final String NAME = "opencl-gpu-kernels";

    /** For the service loader. */
    public GpuKernelsBackend() {}

    @Override
    public String name() {
        return NAME;
    }

    @Override
    DeviceInfo.Kernels kernels(DeviceInfo device) {
        return DeviceInfo.Kernels.ofGpu(device.features());
    }
}
