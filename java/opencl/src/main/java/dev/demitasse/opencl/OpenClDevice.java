package dev.demitasse.opencl;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.gpu.GpuDevice;
import dev.demitasse.gpu.GpuWeight;
import dev.demitasse.gpu.GroupTiles;
import dev.demitasse.gpu.WeightOrder;

/** The operations of a device as launches of OpenCL kernels. A row has the same bits in any batch. */
final class OpenClDevice extends GpuDevice {
    private final Parts parts;

    /** What a device is made of. */
    private record Parts(
            ActivationType activations,
            OpenClContext context,
            Programs programs,
            StepLaunches launches,
            CommandRunner runner) {}

    private OpenClDevice(Parts parts) {
        super(
                parts.activations,
                parts.context,
                parts.runner,
                new Limits(LinearLaunches.MOST_ROWS, WeightOrder.SIDE_BY_SIDE, AttentionLaunches.limits()));
        this.parts = parts;
    }

    /** Opens a device. */
    static OpenClDevice open(DeviceOptions options, DeviceInfo device) {
        DeviceInfo.Kernels kernels = device.kernels();
        ActivationType wanted = options.activations();
        OpenClContext context = new OpenClContext(device);
        try {
            Programs programs = new Programs(context, ProgramCache.of(device), kernels);
            StepLaunches launches = new StepLaunches(context, device.units(), kernels);
            return new OpenClDevice(new Parts(
                    wanted == null ? ActivationType.INT8 : wanted,
                    context,
                    programs,
                    launches,
                    new CommandRunner(context, programs, launches)));
        } catch (RuntimeException | Error e) {
            context.close();
            throw e;
        }
    }

    /** For tests. */
    OpenClContext context() {
        return parts.context;
    }

    @Override
    public String description() {
        return parts.context.info().toString();
    }

    @Override
    protected boolean quantizes(GpuWeight weight, int rows) {
        return activations().integers() && weight.layout().element().quantized();
    }

    @Override
    protected GroupTiles groupTiles(int rows, int groups, int most) {
        return ExpertLaunches.tiles(rows, groups, most);
    }

    @Override
    protected void closeKernels() {
        parts.launches.close();
        parts.runner.close();
        if (parts.context.usable()) {
            parts.programs.close();
        }
    }

    @Override
    protected void closeMemory() {
        parts.context.close();
    }
}
