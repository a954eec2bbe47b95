package dev.demitasse.opencl;

import static org.lwjgl.opencl.CL10.CL_CONTEXT_PLATFORM;
import static org.lwjgl.opencl.CL10.CL_MAP_READ;
import static org.lwjgl.opencl.CL10.CL_MEM_ALLOC_HOST_PTR;
import static org.lwjgl.opencl.CL10.CL_MEM_READ_WRITE;
import static org.lwjgl.opencl.CL10.CL_SUCCESS;
import static org.lwjgl.opencl.CL10.clCreateBuffer;
import static org.lwjgl.opencl.CL10.clCreateCommandQueue;
import static org.lwjgl.opencl.CL10.clCreateContext;
import static org.lwjgl.opencl.CL10.clFinish;
import static org.lwjgl.opencl.CL10.clReleaseCommandQueue;
import static org.lwjgl.opencl.CL10.clReleaseMemObject;
import static org.lwjgl.opencl.CL10.nclEnqueueMapBuffer;
import static org.lwjgl.opencl.CL10.nclEnqueueReadBuffer;
import static org.lwjgl.opencl.CL10.nclEnqueueUnmapMemObject;
import static org.lwjgl.opencl.CL10.nclEnqueueWriteBuffer;
import static org.lwjgl.opencl.CL12.CL_MAP_WRITE_INVALIDATE_REGION;
import static org.lwjgl.opencl.CL12.nclEnqueueFillBuffer;

import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.exception.DeviceFailedException;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gpu.GpuMemory;
import dev.demitasse.gpu.MemoryLedger;
import dev.demitasse.gpu.StagingMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.IntBuffer;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.lwjgl.PointerBuffer;
import org.lwjgl.system.MemoryStack;
import org.lwjgl.system.MemoryUtil;

/**
 * An OpenCL context with its in-order queue and its memory. OpenCL 1.2 has no addresses, so this one makes some: the
 * number of a buffer, which is never used again, and an offset in its low 40 bits.
 *
 * <p>After an error that is not one of memory every further use ends in {@link DeviceFailedException}.
 */
final class OpenClContext implements GpuMemory, AutoCloseable {
    /**
     * By device, for as long as the process runs: to make one takes long, and PoCL 3.1 with LLVM 15 may end the process
     * where one is given back.
     */
    private static final Map<Long, Long> CONTEXTS = new HashMap<>();

    private static final int OFFSET_BITS = 40;
    private static final long MOST_BUFFERS = 1L << 63 - OFFSET_BITS;
    /** Bytes that are copied at once from memory that is the collector's. */
    private static final long CHUNK_BYTES = 16L << 20;

    private final DeviceInfo device;
    private final long context;
    private final long queue;
    private final MemoryLedger ledger = new MemoryLedger();
    private final Map<Long, Long> buffers = new HashMap<>();
    private long lastBuffer;
    private long mostBytes;
    private @Nullable String failure;
    private boolean closed;

    OpenClContext(DeviceInfo device) {
        this.device = device;
        this.mostBytes = device.allocationBytes();
        this.context = contextOf(device);
        try (MemoryStack stack = MemoryStack.stackPush()) {
            IntBuffer result = stack.mallocInt(1);
            queue = clCreateCommandQueue(context, device.id(), 0, result);
            requireOpened(result.get(0), "queue", device);
        }
    }

    /** The context of a device: a new one where there is none, or the last one broke. */
    private static synchronized long contextOf(DeviceInfo device) {
        return CONTEXTS.computeIfAbsent(device.id(), id -> {
            try (MemoryStack stack = MemoryStack.stackPush();
                    JvmSignals _ = JvmSignals.keep()) {
                IntBuffer result = stack.mallocInt(1);
                PointerBuffer properties = stack.pointers(CL_CONTEXT_PLATFORM, device.platform(), 0);
                long made = clCreateContext(properties, device.id(), null, 0, result);
                requireOpened(result.get(0), "context", device);
                return made;
            }
        });
    }

    private static synchronized void forgetContext(DeviceInfo device) {
        CONTEXTS.remove(device.id());
    }

    private static void requireOpened(int result, String what, DeviceInfo device) {
        if (result != CL_SUCCESS) {
            throw new BackendUnavailableException("opencl: no " + what + " on " + device + ": " + Results.name(result)
                    + "; close other programs that use the device.");
        }
    }

    /** Where an address lies in its buffer. */
    static long offset(long address) {
        return address & (1L << OFFSET_BITS) - 1;
    }

    /** The buffer of an address; 0 for address 0. */
    long buffer(long address) {
        if (address == 0) {
            return 0;
        }
        Long buffer = buffers.get(address >>> OFFSET_BITS);
        if (buffer == null) {
            throw new IllegalStateException("there is no buffer at address " + Long.toHexString(address));
        }
        return buffer;
    }

    DeviceInfo info() {
        return device;
    }

    long handle() {
        return context;
    }

    long queue() {
        return queue;
    }

    @Override
    public String device() {
        return "opencl";
    }

    @Override
    public void requireUsable() {
        if (closed) {
            throw new UsageException("The device is closed.");
        }
        if (failure != null) {
            throw new DeviceFailedException(failure);
        }
    }

    @Override
    public boolean usable() {
        return !closed && failure == null;
    }

    /** Throws where a function reports an error, which is remembered. */
    void check(int result, String doing) {
        try {
            Results.check(result, doing);
        } catch (DeviceFailedException e) {
            failure = e.getMessage();
            forgetContext(device);
            throw e;
        }
    }

    /** The same of a kernel, which is named where it fails alone. */
    void check(int result, String doing, Programs.Key kernel) {
        if (result != CL_SUCCESS) {
            check(result, doing + " " + kernel);
        }
    }

    @Override
    public void synchronize(String doing) {
        requireUsable();
        check(clFinish(queue), doing);
    }

    @Override
    public long allocate(long bytes, MemoryLedger.Purpose purpose) {
        requireUsable();
        long rounded = (Math.max(bytes, 1) + 15) / 16 * 16;
        if (rounded > device.allocationBytes()) {
            throw new OutOfDeviceMemoryException("opencl: " + MemoryLedger.mebibytes(bytes) + " MiB for " + purpose
                    + " are more than one allocation may have on " + device.name() + ", "
                    + MemoryLedger.mebibytes(device.allocationBytes()) + " MiB; take a smaller model or context.");
        }
        if (lastBuffer + 1 >= MOST_BUFFERS) {
            throw new UsageException("This device has had " + MOST_BUFFERS + " buffers; open another.");
        }
        long buffer;
        try (MemoryStack stack = MemoryStack.stackPush()) {
            IntBuffer result = stack.mallocInt(1);
            long flags = CL_MEM_READ_WRITE | (device.features().hostMemory() ? CL_MEM_ALLOC_HOST_PTR : 0);
            buffer = clCreateBuffer(context, flags, rounded, result);
            require(result.get(0), bytes, purpose);
            // Drivers may have no memory before it is used first.
            int failed =
                    nclEnqueueFillBuffer(queue, buffer, stack.ncalloc(4, 1, 4), Integer.BYTES, 0, rounded, 0, 0, 0);
            failed = failed == CL_SUCCESS ? clFinish(queue) : failed;
            if (failed != CL_SUCCESS) {
                clReleaseMemObject(buffer);
            }
            require(failed, bytes, purpose);
        }
        buffers.put(++lastBuffer, buffer);
        ledger.enter(purpose, bytes);
        return lastBuffer << OFFSET_BITS;
    }

    private void require(int result, long bytes, MemoryLedger.Purpose purpose) {
        if (Results.isOutOfMemory(result)) {
            throw new OutOfDeviceMemoryException(doNotFit(bytes, purpose));
        }
        check(result, "allocating " + bytes + " bytes");
    }

    /** Has weights and caches be split that are larger, as if allocations could not be; for tests. */
    void splitAbove(long bytes) {
        mostBytes = bytes;
    }

    @Override
    public long mostBytes() {
        return mostBytes;
    }

    @Override
    public void free(long address, long bytes, MemoryLedger.Purpose purpose) {
        if (usable()) {
            check(clReleaseMemObject(buffer(address)), "freeing memory");
            buffers.remove(address >>> OFFSET_BITS);
            ledger.enter(purpose, -bytes);
        }
    }

    @Override
    public void write(long address, MemorySegment source) {
        copy(address, source, true);
    }

    @Override
    public void read(long address, MemorySegment target) {
        copy(address, target, false);
    }

    private void copy(long address, MemorySegment host, boolean toDevice) {
        requireUsable();
        if (host.byteSize() == 0) {
            return;
        }
        if (device.features().hostMemory()) {
            copyMapped(address, host, toDevice);
            return;
        }
        if (host.isNative()) {
            copy(address, host.address(), host.byteSize(), true, toDevice);
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment chunk = arena.allocate(Math.min(host.byteSize(), CHUNK_BYTES));
            for (long at = 0; at < host.byteSize(); at += CHUNK_BYTES) {
                long count = Math.min(CHUNK_BYTES, host.byteSize() - at);
                if (toDevice) {
                    chunk.asSlice(0, count).copyFrom(host.asSlice(at, count));
                }
                copy(address + at, chunk.address(), count, true, toDevice);
                if (!toDevice) {
                    host.asSlice(at, count).copyFrom(chunk.asSlice(0, count));
                }
            }
        }
    }

    /** Copies where the device's memory is the host's: at its place, with no copy by the driver. */
    private void copyMapped(long address, MemorySegment host, boolean toDevice) {
        long buffer = buffer(address);
        long flags = toDevice ? CL_MAP_WRITE_INVALIDATE_REGION : CL_MAP_READ;
        try (MemoryStack stack = MemoryStack.stackPush()) {
            IntBuffer result = stack.mallocInt(1);
            long at = nclEnqueueMapBuffer(
                    queue, buffer, 1, flags, offset(address), host.byteSize(), 0, 0, 0, MemoryUtil.memAddress(result));
            check(result.get(0), "mapping memory");
            MemorySegment mapped = MemorySegment.ofAddress(at).reinterpret(host.byteSize());
            if (toDevice) {
                mapped.copyFrom(host);
            } else {
                host.copyFrom(mapped);
            }
            check(nclEnqueueUnmapMemObject(queue, buffer, at, 0, 0, 0), "unmapping memory");
        }
    }

    /** Enqueues a copy between device memory and an address of the host; {@code waits} until it is done. */
    void copy(long address, long host, long bytes, boolean waits, boolean toDevice) {
        long buffer = buffer(address);
        if (toDevice) {
            check(
                    nclEnqueueWriteBuffer(queue, buffer, waits ? 1 : 0, offset(address), bytes, host, 0, 0, 0),
                    "copying to the device");
        } else {
            check(
                    nclEnqueueReadBuffer(queue, buffer, waits ? 1 : 0, offset(address), bytes, host, 0, 0, 0),
                    "copying from the device");
        }
    }

    @Override
    public StagingMemory allocateStaging(long bytes) {
        return new HostStaging(bytes);
    }

    /** By what this context has taken: OpenCL cannot say what others hold. */
    @Override
    public long freeBytes() {
        return Math.max(0, device.bytes() - ledger.total());
    }

    @Override
    public MemoryLedger ledger() {
        return ledger;
    }

    /** Gives all memory back, and the queue. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            buffers.values().forEach(buffer -> clReleaseMemObject(buffer));
            buffers.clear();
            clReleaseCommandQueue(queue);
        }
    }
}
