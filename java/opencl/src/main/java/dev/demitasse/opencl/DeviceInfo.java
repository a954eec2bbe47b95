package dev.demitasse.opencl;

import static org.lwjgl.opencl.CL10.CL_DEVICE_COMPILER_AVAILABLE;
import static org.lwjgl.opencl.CL10.CL_DEVICE_ENDIAN_LITTLE;
import static org.lwjgl.opencl.CL10.CL_DEVICE_EXTENSIONS;
import static org.lwjgl.opencl.CL10.CL_DEVICE_GLOBAL_MEM_SIZE;
import static org.lwjgl.opencl.CL10.CL_DEVICE_LOCAL_MEM_SIZE;
import static org.lwjgl.opencl.CL10.CL_DEVICE_MAX_COMPUTE_UNITS;
import static org.lwjgl.opencl.CL10.CL_DEVICE_MAX_MEM_ALLOC_SIZE;
import static org.lwjgl.opencl.CL10.CL_DEVICE_MAX_WORK_GROUP_SIZE;
import static org.lwjgl.opencl.CL10.CL_DEVICE_NAME;
import static org.lwjgl.opencl.CL10.CL_DEVICE_SINGLE_FP_CONFIG;
import static org.lwjgl.opencl.CL10.CL_DEVICE_TYPE;
import static org.lwjgl.opencl.CL10.CL_DEVICE_TYPE_GPU;
import static org.lwjgl.opencl.CL10.CL_DEVICE_VERSION;
import static org.lwjgl.opencl.CL10.CL_DRIVER_VERSION;
import static org.lwjgl.opencl.CL10.CL_PLATFORM_NAME;
import static org.lwjgl.opencl.CL10.CL_PLATFORM_VERSION;
import static org.lwjgl.opencl.CL10.clGetDeviceInfo;
import static org.lwjgl.opencl.CL10.clGetPlatformInfo;
import static org.lwjgl.opencl.CL11.CL_DEVICE_HOST_UNIFIED_MEMORY;
import static org.lwjgl.opencl.CL12.CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT;
import static org.lwjgl.opencl.CL21.CL_DEVICE_MAX_NUM_SUB_GROUPS;

import dev.demitasse.device.Support;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.lwjgl.PointerBuffer;
import org.lwjgl.system.MemoryStack;
import org.lwjgl.system.MemoryUtil;

/**
 * A device, as its driver describes it.
 *
 * @param platform the driver's handle
 * @param id the device's handle
 * @param name what the driver calls it
 * @param version of OpenCL: {@code OpenCL 3.0 ...}
 * @param software names and versions of platform and driver: what programs are compiled by
 * @param gpu whether it is one
 * @param units compute units
 * @param bytes of global memory
 * @param allocationBytes of one allocation, at most
 * @param limits what a work-group may have
 * @param usable whether it is little-endian and has a compiler
 * @param correctDivision whether division can be asked to be correctly rounded
 * @param features what it has beyond OpenCL 1.2
 */
record DeviceInfo(
        long platform,
        long id,
        String name,
        String version,
        String software,
        boolean gpu,
        int units,
        long bytes,
        long allocationBytes,
        Limits limits,
        boolean usable,
        boolean correctDivision,
        Features features) {
    /** Outputs of an item: of a GPU's many items, and of a processor's few, which vectors stand for. */
    private static final int GPU_WIDTH = 4;

    private static final int PROCESSOR_WIDTH = 8;

    private static final int NEEDED_ITEMS = 256;
    private static final int NEEDED_LOCAL_BYTES = 32 << 10;

    /**
     * What a device may have beyond OpenCL 1.2.
     *
     * @param dotProduct {@code cl_khr_integer_dot_product} for packed bytes
     * @param subgroups {@code cl_khr_subgroup_shuffle}, with OpenCL 3.0's subgroups
     * @param hostMemory its memory is the host's, so that what is mapped is not copied
     */
    record Features(boolean dotProduct, boolean subgroups, boolean hostMemory) {
        /** Older drivers do not know the question for subgroups. */
        static Features of(long id) {
            boolean modern = text(id, CL_DEVICE_VERSION).startsWith("OpenCL 3.");
            String extensions = " " + text(id, CL_DEVICE_EXTENSIONS) + " ";
            return new Features(
                    modern && extensions.contains(" cl_khr_integer_dot_product "),
                    modern
                            && extensions.contains(" cl_khr_subgroup_shuffle ")
                            && number(id, CL_DEVICE_MAX_NUM_SUB_GROUPS) != 0,
                    number(id, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0);
        }

        @Override
        public String toString() {
            return (hostMemory ? ", shared with the host" : "")
                    + (dotProduct ? ", integer dot product" : "")
                    + (subgroups ? ", subgroups" : "");
        }
    }

    /** What a work-group may have: items, and bytes of local memory. */
    record Limits(long items, long localBytes) {}

    /**
     * Which variants of kernels a device runs.
     *
     * @param width outputs of an item of the kernels of {@code linear}
     * @param product how they multiply integers
     * @param subgroups whether work-items exchange numbers by shuffles of subgroups
     */
    record Kernels(int width, Product product, boolean subgroups) {
        /** For a GPU with such features. */
        static Kernels ofGpu(Features features) {
            return new Kernels(GPU_WIDTH, features.dotProduct ? Product.DOT : Product.SHORT, features.subgroups);
        }

        /** For a processor, whose compilers make one multiplication after the other of DOT. */
        static Kernels ofProcessor() {
            return new Kernels(PROCESSOR_WIDTH, Product.SHORT, false);
        }

        /** As compilers take it: the language's version, and macros. */
        String options() {
            return "-cl-std=" + (product == Product.DOT || subgroups ? "CL3.0" : "CL1.2")
                    + (subgroups ? " -DSUBGROUPS" : "");
        }
    }

    /** How integers are multiplied. */
    enum Product {
        /** 16-bit integers, in OpenCL C 1.2. */
        SHORT,
        /** Four bytes by four at once. */
        DOT
    }

    /** The variants for this device. */
    Kernels kernels() {
        return gpu ? Kernels.ofGpu(features) : Kernels.ofProcessor();
    }

    /**
     * Whether the driver keeps compiled programs itself. PoCL does; and to give one away it compiles each kernel once
     * more, for work-groups of any size, which takes as long again and up to minutes.
     */
    boolean keepsPrograms() {
        return software.startsWith("Portable Computing Language");
    }

    /** The same device taken for a GPU with memory of its own; for tests. */
    DeviceInfo asGpu() {
        return new DeviceInfo(
                platform,
                id,
                name,
                version,
                software,
                true,
                units,
                bytes,
                allocationBytes,
                limits,
                usable,
                correctDivision,
                new Features(features.dotProduct, features.subgroups, false));
    }

    /** Asks a driver. */
    static DeviceInfo of(long platform, long id) {
        return new DeviceInfo(
                platform,
                id,
                text(id, CL_DEVICE_NAME),
                text(id, CL_DEVICE_VERSION),
                platformText(platform, CL_PLATFORM_NAME) + ", " + platformText(platform, CL_PLATFORM_VERSION) + ", "
                        + text(id, CL_DRIVER_VERSION),
                (number(id, CL_DEVICE_TYPE) & CL_DEVICE_TYPE_GPU) != 0,
                (int) number(id, CL_DEVICE_MAX_COMPUTE_UNITS),
                number(id, CL_DEVICE_GLOBAL_MEM_SIZE),
                number(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE),
                new Limits(number(id, CL_DEVICE_MAX_WORK_GROUP_SIZE), number(id, CL_DEVICE_LOCAL_MEM_SIZE)),
                number(id, CL_DEVICE_ENDIAN_LITTLE) != 0 && number(id, CL_DEVICE_COMPILER_AVAILABLE) != 0,
                (number(id, CL_DEVICE_SINGLE_FP_CONFIG) & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0,
                Features.of(id));
    }

    /** Why it cannot be used, or what it is. */
    Support support() {
        if (version.startsWith("OpenCL 1.0") || version.startsWith("OpenCL 1.1")) {
            return Support.no(name + " has " + version + ", and the kernels need 1.2", "install a newer driver");
        }
        if (!usable) {
            return Support.no(name + " has no compiler, or is not little-endian", "use another device");
        }
        if (limits.items < NEEDED_ITEMS || limits.localBytes < NEEDED_LOCAL_BYTES) {
            return Support.no(
                    name + " has work-groups of " + limits.items + " items and " + limits.localBytes
                            + " bytes, and the kernels need " + NEEDED_ITEMS + " and " + NEEDED_LOCAL_BYTES,
                    "use another device");
        }
        return Support.yes(toString());
    }

    /** NVIDIA's driver offers a card to CUDA too. */
    private String other() {
        return software.startsWith("NVIDIA CUDA") ? "the card is \"cuda\"'s too, " : "";
    }

    /** For people: its name, software, memory, units and features. */
    @Override
    public String toString() {
        return name + " (" + (gpu ? "GPU" : "no GPU") + ", " + other() + software + ", " + units + " units, "
                + (bytes >> 20) + " MiB" + features + ")";
    }

    private static String text(long id, int what) {
        try (MemoryStack stack = MemoryStack.stackPush()) {
            PointerBuffer length = stack.mallocPointer(1);
            Results.check(clGetDeviceInfo(id, what, (ByteBuffer) null, length), "asking for a device's properties");
            ByteBuffer bytes = MemoryUtil.memAlloc((int) length.get(0));
            try {
                Results.check(clGetDeviceInfo(id, what, bytes, null), "asking for a device's properties");
                return string(bytes);
            } finally {
                MemoryUtil.memFree(bytes);
            }
        }
    }

    private static String platformText(long id, int what) {
        try (MemoryStack stack = MemoryStack.stackPush()) {
            PointerBuffer length = stack.mallocPointer(1);
            Results.check(clGetPlatformInfo(id, what, (ByteBuffer) null, length), "asking for a platform's properties");
            ByteBuffer bytes = MemoryUtil.memAlloc((int) length.get(0));
            try {
                Results.check(clGetPlatformInfo(id, what, bytes, null), "asking for a platform's properties");
                return string(bytes);
            } finally {
                MemoryUtil.memFree(bytes);
            }
        }
    }

    private static String string(ByteBuffer bytes) {
        return StandardCharsets.UTF_8.decode(bytes).toString().replace("\0", "").strip();
    }

    /** A number of four or eight bytes. */
    private static long number(long id, int what) {
        try (MemoryStack stack = MemoryStack.stackPush()) {
            ByteBuffer bytes = stack.calloc(8);
            PointerBuffer length = stack.mallocPointer(1);
            Results.check(clGetDeviceInfo(id, what, bytes, length), "asking for a device's properties");
            return length.get(0) == Integer.BYTES ? bytes.getInt(0) & 0xFFFFFFFFL : bytes.getLong(0);
        }
    }
}
