package dev.demitasse.cuda;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.gpu.GpuDevice;
import dev.demitasse.gpu.GpuWeight;
import dev.demitasse.gpu.GroupTiles;
import dev.demitasse.gpu.WeightOrder;

/** The operations of a device as launches of CUDA kernels. */
final class CudaDevice extends GpuDevice {
    private static final System.Logger LOG = System.getLogger(CudaDevice.class.getName());

    private final Parts parts;

    /** What a device is made of. */
    private record Parts(
            Driver.Gpu gpu,
            KernelTable.Settings settings,
            CudaContext context,
            KernelModules kernels,
            StepLaunches launches,
            GraphRunner runner) {}

    private CudaDevice(Parts parts) {
        super(
                parts.settings.activations(),
                parts.context,
                parts.runner,
                new Limits(
                        LinearLaunches.MOST_ROWS,
                        WeightOrder.FRAGMENTS,
                        AttentionLaunches.limits(parts.settings.batchInvariant())));
        this.parts = parts;
    }

    /** The device of a GPU, which goes by what was measured of kernels. */
    static CudaDevice open(DeviceOptions options, Driver.Gpu gpu, KernelChoice choice) {
        ActivationType wanted = options.activations();
        boolean wgmma = TensorCores.of(options.instructionSet(), gpu) == TensorCores.WGMMA;
        KernelTable.Settings settings = new KernelTable.Settings(
                wanted == null ? ActivationType.INT8 : wanted,
                gpu.multiprocessors(),
                gpu.number(),
                wgmma,
                options.batchInvariant(),
                choice);
        CudaContext context = new CudaContext(gpu);
        try {
            KernelModules kernels = new KernelModules(wgmma);
            StepLaunches launches = new StepLaunches(context, kernels, settings);
            GraphRunner runner = new GraphRunner(context, kernels, launches, gpu.overlapsKernels());
            if (LOG.isLoggable(System.Logger.Level.DEBUG)) {
                KernelTable.describe(settings, false).forEach(line -> LOG.log(System.Logger.Level.DEBUG, line));
            }
            return new CudaDevice(new Parts(gpu, settings, context, kernels, launches, runner));
        } catch (RuntimeException | Error e) {
            context.close();
            throw e;
        }
    }

    @Override
    public String description() {
        return parts.gpu.toString();
    }

    /** What decides how a matrix is multiplied. */
    KernelTable.Multiplication multiplication(GpuWeight weight, int rows) {
        return parts.launches.multiplication(weight, rows);
    }

    @Override
    protected boolean quantizes(GpuWeight weight, int rows) {
        return parts.launches.quantizes(weight, rows);
    }

    @Override
    protected GroupTiles groupTiles(int rows, int groups, int most) {
        return ExpertLaunches.tiles(rows, groups);
    }

    @Override
    protected void closeKernels() {
        parts.launches.close();
        parts.runner.close();
        if (parts.context.usable()) {
            parts.kernels.close();
        }
    }

    @Override
    protected void closeMemory() {
        parts.context.close();
    }
}
