package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuMemcpyDtoHAsync;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoDAsync;

import dev.demitasse.gpu.MemoryLedger;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import jcuda.Pointer;

/** A block of device memory. Whoever looks at it or gives it back has what was recorded run first. */
final class CudaMemory implements AutoCloseable {
    /** Bytes that are copied at once. */
    private static final long CHUNK_BYTES = 16L << 20;

    private final CudaContext context;
    private final GraphRunner runner;
    private final MemoryLedger.Purpose purpose;
    private final DevicePointer pointer;
    private final long bytes;
    private boolean closed;

    CudaMemory(long bytes, CudaContext context, GraphRunner runner, MemoryLedger.Purpose purpose) {
        this.context = context;
        this.runner = runner;
        this.purpose = purpose;
        this.bytes = bytes;
        this.pointer = context.allocate(bytes, purpose);
    }

    long bytes() {
        return bytes;
    }

    DevicePointer pointer() {
        return pointer;
    }

    long address() {
        return pointer().address();
    }

    /** Copies host memory here, before this returns. */
    void write(long offset, MemorySegment source) {
        runner.synchronize();
        copy(offset, source, true);
    }

    /** Copies from here to host memory, before this returns. */
    void read(long offset, MemorySegment target) {
        runner.steps().run();
        copy(offset, target, false);
        runner.synchronize();
    }

    private void copy(long offset, MemorySegment host, boolean toDevice) {
        context.enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment chunk = arena.allocate(Math.min(host.byteSize(), CHUNK_BYTES));
            Pointer staging = Pointer.to(chunk.asByteBuffer());
            for (long at = 0; at < host.byteSize(); at += CHUNK_BYTES) {
                long count = Math.min(CHUNK_BYTES, host.byteSize() - at);
                DevicePointer device = pointer().at(offset + at);
                if (toDevice) {
                    chunk.asSlice(0, count).copyFrom(host.asSlice(at, count));
                    context.check(cuMemcpyHtoDAsync(device, staging, count, context.stream()), "copying to the GPU");
                    context.synchronize("copying to the GPU");
                } else {
                    context.check(cuMemcpyDtoHAsync(staging, device, count, context.stream()), "copying from the GPU");
                    context.synchronize("copying from the GPU");
                    host.asSlice(at, count).copyFrom(chunk.asSlice(0, count));
                }
            }
        }
    }

    /** Gives it back. Closing twice, or after the device, does nothing. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (context.usable()) {
            runner.synchronize();
            context.free(pointer, bytes, purpose);
        }
    }
}
