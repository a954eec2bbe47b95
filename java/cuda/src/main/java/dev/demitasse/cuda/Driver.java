package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuDeviceGet;
import static jcuda.driver.JCudaDriver.cuDeviceGetAttribute;
import static jcuda.driver.JCudaDriver.cuDeviceGetCount;
import static jcuda.driver.JCudaDriver.cuDeviceGetName;
import static jcuda.driver.JCudaDriver.cuDeviceTotalMem;
import static jcuda.driver.JCudaDriver.cuDriverGetVersion;
import static jcuda.driver.JCudaDriver.cuInit;

import dev.demitasse.device.Support;
import dev.demitasse.exception.DeviceFailedException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import jcuda.driver.CUdevice;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/** What the CUDA driver says of itself and of its devices. */
final class Driver {
    /** The name under which the emulator (cuda/emulator) reports its device. */
    static final String EMULATOR = "Demitasse emulator";

    private static final int LEAST_CAPABILITY = 80;

    /** From which on graphs keep that a kernel may begin before the one before it has ended. */
    private static final DriverVersion OVERLAP_VERSION = new DriverVersion(12030);

    /** Major compute capabilities of which there is machine code that awaits the kernels before it. */
    private static final Set<Integer> OVERLAP_CAPABILITIES = Set.of(9, 10, 12);

    private static final int COMPUTE_CAPABILITY_MAJOR = 75;
    private static final int COMPUTE_CAPABILITY_MINOR = 76;
    private static final int MULTIPROCESSORS = 16;

    private Driver() {}

    /**
     * A GPU.
     *
     * @param ordinal its number for the driver
     * @param name what the driver calls it
     * @param number compute capability, 80 for 8.0
     * @param multiprocessors streaming multiprocessors
     * @param bytes of memory
     */
    record Gpu(int ordinal, String name, int number, int multiprocessors, long bytes) {
        private String capability() {
            return number / 10 + "." + number % 10;
        }

        /** Whether a kernel may begin before the one before it has ended (programmatic dependent launch). */
        boolean overlapsKernels() {
            return !version().isOlderThan(OVERLAP_VERSION) && OVERLAP_CAPABILITIES.contains(number / 10);
        }

        /** Why it cannot be used, or that it can, and the driver that it needs for it. */
        Support support() {
            if (name.equals(EMULATOR) && !"1".equals(System.getenv("DEMITASSE_ALLOW_EMULATOR"))) {
                return Support.no(
                        "libcuda.so.1 is Demitasse's emulator, which is test equipment",
                        "set DEMITASSE_ALLOW_EMULATOR=1 to use it all the same");
            }
            if (number < LEAST_CAPABILITY) {
                return Support.no(
                        name + " has compute capability " + capability() + ", and the kernels need 8.0",
                        "use another card (Ampere or newer) or another backend");
            }
            DriverVersion version = version();
            DriverVersion least = DriverVersion.least(number, KernelModules.driver());
            if (version.isOlderThan(least)) {
                return Support.no(
                        "the driver is for " + version + ", and the kernels need " + least + " on " + this,
                        "install a driver of version " + least.series() + " or newer");
            }
            return Support.yes(this + ", needs a driver of version " + least.series() + " or newer");
        }

        @Override
        public String toString() {
            return name + " (compute capability " + capability() + ", " + (bytes >> 20) + " MiB)";
        }
    }

    /** Whether the driver can be used at all; loads JCuda only where there is a driver. */
    static Support probe() {
        try (Arena arena = Arena.ofConfined()) {
            SymbolLookup.libraryLookup("libcuda.so.1", arena);
        } catch (IllegalArgumentException e) {
            return Support.absent(
                    "there is no NVIDIA driver (libcuda.so.1)", "install one where there is an NVIDIA GPU");
        } catch (IllegalCallerException e) {
            return Support.noNativeAccess(e, Driver.class);
        }
        try {
            int failed = cuInit(0);
            if (failed != 0) {
                return Support.no("the driver does not start: " + name(failed), cure(failed));
            }
            return Support.yes(version().toString());
        } catch (LinkageError e) {
            return Support.notLinked(
                    "JCuda's native library cannot be loaded: " + firstLine(e),
                    JCudaDriver.class,
                    "put the jar jcuda-natives of this platform on the class path");
        }
    }

    /** All GPUs. */
    static List<Gpu> gpus() {
        int[] count = new int[1];
        check(cuDeviceGetCount(count), "counting devices");
        List<Gpu> gpus = new ArrayList<>();
        for (int i = 0; i < count[0]; i++) {
            CUdevice device = device(i);
            byte[] name = new byte[256];
            check(cuDeviceGetName(name, name.length, device), "asking for a device's name");
            long[] bytes = new long[1];
            check(cuDeviceTotalMem(bytes, device), "asking for a device's memory");
            int length = 0;
            while (length < name.length && name[length] != 0) {
                length++;
            }
            gpus.add(new Gpu(
                    i,
                    new String(name, 0, length, StandardCharsets.UTF_8),
                    10 * attribute(device, COMPUTE_CAPABILITY_MAJOR) + attribute(device, COMPUTE_CAPABILITY_MINOR),
                    attribute(device, MULTIPROCESSORS),
                    bytes[0]));
        }
        return gpus;
    }

    static CUdevice device(int ordinal) {
        CUdevice device = new CUdevice();
        check(cuDeviceGet(device, ordinal), "opening device " + ordinal);
        return device;
    }

    private static int attribute(CUdevice device, int attribute) {
        int[] value = new int[1];
        check(cuDeviceGetAttribute(value, attribute, device), "asking for a device's attributes");
        return value[0];
    }

    /** What the driver says it is. */
    static DriverVersion version() {
        int[] version = new int[1];
        check(cuDriverGetVersion(version), "asking for the driver's version");
        return new DriverVersion(version[0]);
    }

    /** @throws DeviceFailedException where the driver reports an error */
    static void check(int result, String doing) {
        if (result != 0) {
            throw new DeviceFailedException(
                    "cuda: " + name(result) + " while " + doing + ". Close the device; " + cure(result) + ".");
        }
    }

    static String name(int result) {
        return CUresult.stringFor(result);
    }

    private static String cure(int result) {
        return switch (result) {
            case CUresult.CUDA_ERROR_NO_DEVICE -> "plug in an NVIDIA GPU, or make it visible (CUDA_VISIBLE_DEVICES)";
            case CUresult.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, CUresult.CUDA_ERROR_UNKNOWN ->
                "restart the machine: the driver's library and its kernel module may be of two versions";
            case CUresult.CUDA_ERROR_OUT_OF_MEMORY -> "close other programs that use the GPU";
            default -> "open it again, and report this if it returns";
        };
    }

    private static String firstLine(LinkageError e) {
        return String.valueOf(e.getMessage()).lines().findFirst().orElse("no reason given");
    }
}
