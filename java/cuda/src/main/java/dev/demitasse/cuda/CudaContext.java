package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuCtxCreate;
import static jcuda.driver.JCudaDriver.cuCtxDestroy;
import static jcuda.driver.JCudaDriver.cuCtxSetCurrent;
import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemFree;
import static jcuda.driver.JCudaDriver.cuMemGetInfo;
import static jcuda.driver.JCudaDriver.cuMemHostAlloc;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoHAsync;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoDAsync;
import static jcuda.driver.JCudaDriver.cuMemsetD8Async;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamDestroy;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.exception.DeviceFailedException;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gpu.GpuMemory;
import dev.demitasse.gpu.MemoryLedger;
import dev.demitasse.gpu.StagingMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUresult;
import org.jspecify.annotations.Nullable;

/**
 * A CUDA context with its streams and its memory. After an error that breaks the context every further use ends in
 * {@link DeviceFailedException}; a broken or closed context is never used again.
 */
final class CudaContext implements GpuMemory, AutoCloseable {
    private static final int STREAM_NON_BLOCKING = 1;
    /** Bytes that are copied at once. */
    private static final long CHUNK_BYTES = 16L << 20;

    private final CUcontext context = new CUcontext();
    private final CudaStream stream = new CudaStream();
    private final CudaStream copies = new CudaStream();
    private final MemoryLedger ledger = new MemoryLedger();
    private @Nullable String failure;
    private boolean closed;

    CudaContext(Driver.Gpu gpu) {
        int failed = cuCtxCreate(context, 0, Driver.device(gpu.ordinal()));
        if (failed != 0) {
            throw new BackendUnavailableException("cuda: no context on " + gpu + ": " + Driver.name(failed)
                    + "; close other programs that use the GPU.");
        }
        try {
            check(cuStreamCreate(stream, STREAM_NON_BLOCKING), "making a stream");
            check(cuStreamCreate(copies, STREAM_NON_BLOCKING), "making a stream");
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    /** Where kernels run. */
    CudaStream stream() {
        return stream;
    }

    /** Where data are copied that kernels will wait for. */
    CudaStream copies() {
        return copies;
    }

    /**
     * Makes this the context of the calling thread.
     *
     * @throws DeviceFailedException where it is broken
     */
    void enter() {
        requireUsable();
        check(cuCtxSetCurrent(context), "entering the context");
    }

    @Override
    public String device() {
        return "cuda";
    }

    /** Needs no current context. */
    @Override
    public void requireUsable() {
        if (closed) {
            throw new UsageException("The device is closed.");
        }
        if (failure != null) {
            throw new DeviceFailedException(failure);
        }
    }

    /** Throws where the driver reports an error; one that breaks the context is remembered. */
    void check(int result, String doing) {
        if (result == 0) {
            return;
        }
        DeviceFailedException exception = new DeviceFailedException("cuda: " + Driver.name(result) + " while " + doing
                + ". The device cannot be used any more; close it, and open it again.");
        if (result != CUresult.CUDA_ERROR_INVALID_VALUE && result != CUresult.CUDA_ERROR_NOT_FOUND) {
            failure = exception.getMessage();
        }
        throw exception;
    }

    @Override
    public void synchronize(String doing) {
        enter();
        check(cuStreamSynchronize(stream), doing);
    }

    @Override
    public boolean usable() {
        return !closed && failure == null;
    }

    @Override
    public long allocate(long bytes, MemoryLedger.Purpose purpose) {
        enter();
        long rounded = Math.max(bytes, 16);
        DevicePointer pointer = new DevicePointer();
        int failed = cuMemAlloc(pointer, rounded);
        if (failed == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            throw new OutOfDeviceMemoryException(doNotFit(bytes, purpose));
        }
        check(failed, "allocating " + bytes + " bytes");
        check(cuMemsetD8Async(pointer, (byte) 0, rounded, stream), "zeroing memory");
        ledger.enter(purpose, bytes);
        return pointer.address();
    }

    @Override
    public StagingMemory allocateStaging(long bytes) {
        enter();
        Pointer pointer = new Pointer();
        int failed = cuMemHostAlloc(pointer, bytes, 0);
        if (failed == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            throw new OutOfDeviceMemoryException(
                    "cuda: " + MemoryLedger.mebibytes(bytes) + " MiB of the host's memory cannot be pinned.");
        }
        check(failed, "allocating pinned memory");
        MemorySegment segment = MemorySegment.ofBuffer(pointer.getByteBuffer(0, bytes));
        segment.fill((byte) 0);
        return new PinnedMemory(pointer, segment);
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
        enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment chunk = arena.allocate(Math.min(host.byteSize(), CHUNK_BYTES));
            Pointer staging = Pointer.to(chunk.asByteBuffer());
            for (long at = 0; at < host.byteSize(); at += CHUNK_BYTES) {
                long count = Math.min(CHUNK_BYTES, host.byteSize() - at);
                DevicePointer there = DevicePointer.of(address + at);
                if (toDevice) {
                    chunk.asSlice(0, count).copyFrom(host.asSlice(at, count));
                    check(cuMemcpyHtoDAsync(there, staging, count, stream), "copying to the GPU");
                    synchronize("copying to the GPU");
                } else {
                    check(cuMemcpyDtoHAsync(staging, there, count, stream), "copying from the GPU");
                    synchronize("copying from the GPU");
                    host.asSlice(at, count).copyFrom(chunk.asSlice(0, count));
                }
            }
        }
    }

    @Override
    public void free(long address, long bytes, MemoryLedger.Purpose purpose) {
        if (usable()) {
            enter();
            check(cuMemFree(DevicePointer.of(address)), "freeing memory");
            ledger.enter(purpose, -bytes);
        }
    }

    @Override
    public long freeBytes() {
        enter();
        long[] free = new long[1];
        long[] total = new long[1];
        check(cuMemGetInfo(free, total), "asking for free memory");
        return free[0];
    }

    @Override
    public MemoryLedger ledger() {
        return ledger;
    }

    /** Destroys the context, and with it all of its memory. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (failure == null) {
            cuStreamDestroy(stream);
            cuStreamDestroy(copies);
        }
        cuCtxDestroy(context);
    }
}
