package dev.demitasse.cuda;

import dev.demitasse.device.Backend;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Support;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.exception.DeviceFailedException;
import java.util.List;
import java.util.function.Consumer;

/** The backend {@code cuda}: NVIDIA GPUs of compute capability 8.0 and later. */
public final class CudaBackend implements Backend {
    /** For the service loader. */
    public CudaBackend() {}

    @Override
    public String name() {
        return "cuda";
    }

    @Override
    public Support probe() {
        Support driver = Driver.probe();
        if (driver.absent()) {
            return driver;
        }
        if (!KernelModules.built()) {
            return Support.no(
                    "this build has no CUDA kernels: there was no nvcc", "run ci/cuda-toolchain.sh and build again");
        }
        if (!driver.ok()) {
            return driver;
        }
        try {
            List<Driver.Gpu> gpus = Driver.gpus();
            if (gpus.isEmpty()) {
                return Support.no("the driver has no GPU", "plug one in, or make it visible (CUDA_VISIBLE_DEVICES)");
            }
            Support first = Support.no("", "");
            StringBuilder found = new StringBuilder(driver.reason());
            boolean any = false;
            for (Driver.Gpu gpu : gpus) {
                Support support = gpu.support();
                first = gpu.ordinal() == 0 ? support : first;
                any |= support.ok();
                found.append(", ").append(gpu.ordinal()).append(": ").append(support.reason());
            }
            return any ? Support.yes(found.toString()) : first;
        } catch (DeviceFailedException e) {
            return Support.no(String.valueOf(e.getMessage()), "use another backend");
        }
    }

    /** The emulator is for tests alone, and never chosen. */
    @Override
    public boolean automatic() {
        return Driver.gpus().stream().noneMatch(gpu -> gpu.name().equals(Driver.EMULATOR));
    }

    @Override
    public Device open(DeviceOptions options) {
        Driver.Gpu gpu = gpu(options);
        return CudaDevice.open(options, gpu, KernelChoice.of(gpu));
    }

    @Override
    public void tune(DeviceOptions options, Consumer<String> report) {
        new Tuning(options, gpu(options), Tuning.COLD_BYTES, report).run(Tuning.SIZES, Tuning.ROWS);
    }

    private Driver.Gpu gpu(DeviceOptions options) {
        Support support = probe();
        if (!support.ok()) {
            throw new BackendUnavailableException("cuda: " + support + ".");
        }
        List<Driver.Gpu> gpus = Driver.gpus();
        if (options.ordinal() < 0 || options.ordinal() >= gpus.size()) {
            throw new BackendUnavailableException(
                    "cuda: there is no device " + options.ordinal() + "; there are " + gpus + ", counted from 0.");
        }
        Driver.Gpu gpu = gpus.get(options.ordinal());
        if (!gpu.support().ok()) {
            throw new BackendUnavailableException("cuda: " + gpu.support() + ".");
        }
        return gpu;
    }
}
