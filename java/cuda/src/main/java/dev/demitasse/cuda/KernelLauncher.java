package dev.demitasse.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/**
 * Starts kernels by {@code cuLaunchKernelEx} (CUDA driver API), which JCuda does not have: it alone launches a kernel
 * that may begin before the one before it has ended. Everything that the driver reads lies outside of the heap.
 */
final class KernelLauncher {
    /** {@code CUlaunchConfig}. */
    private static final MemoryLayout CONFIG = MemoryLayout.structLayout(
            JAVA_INT.withName("gridX"),
            JAVA_INT.withName("gridY"),
            JAVA_INT.withName("gridZ"),
            JAVA_INT.withName("threads"),
            JAVA_INT.withName("blockY"),
            JAVA_INT.withName("blockZ"),
            JAVA_INT.withName("sharedBytes"),
            MemoryLayout.paddingLayout(4),
            ADDRESS.withName("stream"),
            ADDRESS.withName("attributes"),
            JAVA_INT.withName("attributeCount"),
            MemoryLayout.paddingLayout(4));

    private static final long GRID_X = offset("gridX");
    private static final long GRID_Y = offset("gridY");
    private static final long GRID_Z = offset("gridZ");
    private static final long THREADS = offset("threads");
    private static final long SHARED_BYTES = offset("sharedBytes");
    private static final long ATTRIBUTE_COUNT = offset("attributeCount");

    /** {@code CUlaunchAttribute}: a number of a kind, padding, and 64 bytes of value. */
    private static final long ATTRIBUTE_BYTES = 72;

    private static final long ATTRIBUTE_VALUE = 8;

    private static final int PROGRAMMATIC_STREAM_SERIALIZATION = 6;

    /** Room for one kernel's structure of arguments. */
    private static final long ARGUMENT_BYTES = 1024;

    private static final MethodHandle LAUNCH = Linker.nativeLinker()
            .downcallHandle(
                    SymbolLookup.libraryLookup("libcuda.so.1", Arena.global()).findOrThrow("cuLaunchKernelEx"),
                    FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS));

    private final MemorySegment config;
    private final MemorySegment structure;
    private final MemorySegment arguments;

    /** For launches on a stream. */
    KernelLauncher(CudaStream stream) {
        Arena arena = Arena.ofAuto();
        MemorySegment attribute = arena.allocate(ATTRIBUTE_BYTES, Long.BYTES);
        attribute.set(JAVA_INT, 0, PROGRAMMATIC_STREAM_SERIALIZATION);
        attribute.set(JAVA_INT, ATTRIBUTE_VALUE, 1);
        config = arena.allocate(CONFIG);
        config.set(JAVA_INT, offset("blockY"), 1);
        config.set(JAVA_INT, offset("blockZ"), 1);
        config.set(JAVA_LONG, offset("stream"), stream.address());
        config.set(ADDRESS, offset("attributes"), attribute);
        structure = arena.allocate(ARGUMENT_BYTES, Long.BYTES);
        arguments = arena.allocate(ADDRESS);
        arguments.set(ADDRESS, 0, structure);
    }

    private static long offset(String field) {
        return CONFIG.byteOffset(MemoryLayout.PathElement.groupElement(field));
    }

    /**
     * Launches a kernel; the driver has copied its arguments when this returns.
     *
     * @param overlaps whether it may begin before the kernel before it has ended, which it awaits itself
     * @return the driver's error, or 0
     */
    int launch(KernelFunction function, Launch.Kernel kernel, boolean overlaps) {
        Launch.Grid grid = kernel.grid();
        config.set(JAVA_INT, GRID_X, grid.x());
        config.set(JAVA_INT, GRID_Y, grid.y());
        config.set(JAVA_INT, GRID_Z, grid.z());
        config.set(JAVA_INT, THREADS, grid.threads());
        config.set(JAVA_INT, SHARED_BYTES, grid.sharedBytes());
        config.set(JAVA_INT, ATTRIBUTE_COUNT, overlaps ? 1 : 0);
        MemorySegment.copy(kernel.arguments(), 0, structure, JAVA_LONG, 0, kernel.arguments().length);
        try {
            return (int) LAUNCH.invokeExact(config, function.address(), arguments, MemorySegment.NULL);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError("a native function throws nothing", e);
        }
    }
}
