package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuCtxCreate;
import static jcuda.driver.JCudaDriver.cuCtxDestroy;
import static jcuda.driver.JCudaDriver.cuCtxSetCurrent;
import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemFree;
import static jcuda.driver.JCudaDriver.cuMemGetInfo;
import static jcuda.driver.JCudaDriver.cuMemHostAlloc;
import static jcuda.driver.JCudaDriver.cuMemsetD8Async;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamDestroy;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.exception.DeviceFailedException;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gpu.MemoryLedger;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUresult;
import org.jspecify.annotations.Nullable;

/**
 * A CUDA context with its streams and its memory. After an error that breaks the context every further use ends in
 * {@link DeviceFailedException}; a broken or closed context is never used again.
 */
final class CudaContext implements AutoCloseable {
    private static final int STREAM_NON_BLOCKING = 1;

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

    /**
     * For what is only recorded, which needs no current context.
     *
     * @throws DeviceFailedException where the context is broken
     */
    void requireUsable() {
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

    /** Waits until all that was launched is complete. */
    void synchronize(String doing) {
        check(cuStreamSynchronize(stream), doing);
    }

    /** Whether memory of it can still be given back. */
    boolean usable() {
        return !closed && failure == null;
    }

    /**
     * Zeroed memory, at least one byte.
     *
     * @throws OutOfDeviceMemoryException where the GPU has not so much; the message says what holds the rest
     */
    DevicePointer allocate(long bytes, MemoryLedger.Purpose purpose) {
        enter();
        long rounded = Math.max(bytes, 16);
        DevicePointer pointer = new DevicePointer();
        int failed = cuMemAlloc(pointer, rounded);
        if (failed == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            throw new OutOfDeviceMemoryException("cuda: " + MemoryLedger.mebibytes(bytes) + " MiB for "
                    + purpose + " do not fit: " + MemoryLedger.mebibytes(freeBytes())
                    + " MiB are free; " + ledger + ".");
        }
        check(failed, "allocating " + bytes + " bytes");
        check(cuMemsetD8Async(pointer, (byte) 0, rounded, stream), "zeroing memory");
        ledger.enter(purpose, bytes);
        return pointer;
    }

    /**
     * Memory of the host that the GPU reaches, not zeroed; given back by {@code cuMemFreeHost}.
     *
     * @throws OutOfDeviceMemoryException where there is not so much
     */
    void allocatePinned(Pointer pointer, long bytes) {
        enter();
        int failed = cuMemHostAlloc(pointer, bytes, 0);
        if (failed == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            throw new OutOfDeviceMemoryException(
                    "cuda: " + MemoryLedger.mebibytes(bytes) + " MiB of the host's memory cannot be pinned.");
        }
        check(failed, "allocating pinned memory");
    }

    /** Gives memory back. What was launched before must be complete. */
    void free(DevicePointer pointer, long bytes, MemoryLedger.Purpose purpose) {
        if (usable()) {
            enter();
            check(cuMemFree(pointer), "freeing memory");
            ledger.enter(purpose, -bytes);
        }
    }

    /** Bytes that the GPU still has. */
    long freeBytes() {
        enter();
        long[] free = new long[1];
        long[] total = new long[1];
        check(cuMemGetInfo(free, total), "asking for free memory");
        return free[0];
    }

    /** What holds memory. */
    MemoryLedger ledger() {
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
