package dev.demitasse.opencl;

import static org.lwjgl.opencl.CL10.CL_DEVICE_NOT_FOUND;
import static org.lwjgl.opencl.CL10.CL_DEVICE_TYPE_ALL;
import static org.lwjgl.opencl.CL10.CL_SUCCESS;
import static org.lwjgl.opencl.CL10.clGetDeviceIDs;
import static org.lwjgl.opencl.CL10.clGetPlatformIDs;

import dev.demitasse.device.Support;
import dev.demitasse.exception.DeviceFailedException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.lwjgl.PointerBuffer;
import org.lwjgl.opencl.KHRICD;
import org.lwjgl.system.Configuration;
import org.lwjgl.system.MemoryStack;

/** The system's OpenCL loader, and the devices of all drivers that it finds. */
final class Loader {
    /** By the beginning of the operating system's name; on Linux LWJGL would ask for the one without a version. */
    private static final Map<String, String> LIBRARIES = Map.of(
            "linux", "libOpenCL.so.1",
            "windows", "OpenCL.dll",
            "mac", "/System/Library/Frameworks/OpenCL.framework/OpenCL");

    private static final System.Logger LOG = System.getLogger(Loader.class.getName());

    private Loader() {}

    /** Whether there is one that can be used; loads LWJGL only where there is. */
    static Support probe() {
        String system = System.getProperty("os.name", "");
        String library = library(system);
        if (library == null) {
            return Support.absent("it is not known where " + system + " has an OpenCL loader", "use another backend");
        }
        try (Arena arena = Arena.ofConfined()) {
            SymbolLookup.libraryLookup(library, arena);
        } catch (IllegalArgumentException e) {
            return Support.absent(
                    "there is no OpenCL loader (" + library + ")",
                    "install one (Debian: ocl-icd-libopencl1) and the OpenCL driver of your GPU");
        } catch (IllegalCallerException e) {
            return Support.noNativeAccess(e, Loader.class);
        }
        try {
            if (Configuration.OPENCL_LIBRARY_NAME.get() == null) {
                Configuration.OPENCL_LIBRARY_NAME.set(library);
            }
            try (MemoryStack stack = MemoryStack.stackPush();
                    JvmSignals _ = JvmSignals.keep()) {
                IntBuffer count = stack.mallocInt(1);
                int failed = clGetPlatformIDs(null, count);
                if (failed != CL_SUCCESS && failed != KHRICD.CL_PLATFORM_NOT_FOUND_KHR) {
                    return Support.no(
                            "the OpenCL loader does not start: " + Results.name(failed), "install its drivers again");
                }
            }
            return Support.yes("");
        } catch (LinkageError e) {
            String reason = String.valueOf(e.getMessage()).lines().findFirst().orElse("no reason given");
            return Support.notLinked(
                    "LWJGL's native library cannot be loaded: " + reason,
                    Configuration.class,
                    "put the jar of lwjgl's natives of this platform on the class path");
        }
    }

    /** The loader's library; null where the operating system has none that is known. */
    static @Nullable String library(String system) {
        String name = system.toLowerCase(Locale.ROOT);
        for (Map.Entry<String, String> entry : LIBRARIES.entrySet()) {
            if (name.startsWith(entry.getKey())) {
                return entry.getValue();
            }
        }
        return null;
    }

    /** All devices of all platforms, GPUs first; the loader must be there. */
    static List<DeviceInfo> devices() {
        List<DeviceInfo> devices = new ArrayList<>();
        try (MemoryStack stack = MemoryStack.stackPush();
                JvmSignals _ = JvmSignals.keep()) {
            IntBuffer count = stack.mallocInt(1);
            int failed = clGetPlatformIDs(null, count);
            if (failed == KHRICD.CL_PLATFORM_NOT_FOUND_KHR || count.get(0) == 0) {
                return devices;
            }
            Results.check(failed, "counting platforms");
            PointerBuffer platforms = stack.mallocPointer(count.get(0));
            Results.check(clGetPlatformIDs(platforms, (IntBuffer) null), "listing platforms");
            for (int i = 0; i < platforms.capacity(); i++) {
                addDevices(platforms.get(i), devices);
            }
        }
        devices.sort(Comparator.comparing(device -> !device.gpu()));
        return devices;
    }

    /** The devices of a platform; a driver that fails does not hide what others have. */
    private static void addDevices(long platform, List<DeviceInfo> devices) {
        try (MemoryStack stack = MemoryStack.stackPush()) {
            IntBuffer count = stack.mallocInt(1);
            int failed = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, null, count);
            if (failed == CL_DEVICE_NOT_FOUND) {
                return;
            }
            Results.check(failed, "counting devices");
            PointerBuffer ids = stack.mallocPointer(count.get(0));
            Results.check(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, ids, (IntBuffer) null), "listing devices");
            for (int k = 0; k < ids.capacity(); k++) {
                devices.add(DeviceInfo.of(platform, ids.get(k)));
            }
        } catch (DeviceFailedException e) {
            LOG.log(System.Logger.Level.WARNING, "opencl: a driver is left out: {0}", e.getMessage());
        }
    }
}
