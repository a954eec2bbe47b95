package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuMemFreeHost;

import dev.demitasse.device.TokenBuffer;
import dev.demitasse.gpu.MemoryLedger;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jcuda.Pointer;
import org.jspecify.annotations.Nullable;

/** Tokens in device memory, which {@code sample} also writes to pinned host memory. */
final class CudaTokens implements TokenBuffer {
    private final CudaContext context;
    private final GraphRunner runner;
    private final CudaMemory memory;
    private final Pointer pinned = new Pointer();
    private final MemorySegment host;
    private final int capacity;
    private GraphRunner.@Nullable Ticket launch; // that chose the tokens; null before it is under way
    private boolean closed;

    CudaTokens(int capacity, CudaContext context, GraphRunner runner) {
        this.context = context;
        this.runner = runner;
        this.capacity = capacity;
        long bytes = (long) capacity * Integer.BYTES;
        context.enter();
        context.allocatePinned(pinned, bytes);
        try {
            host = MemorySegment.ofBuffer(pinned.getByteBuffer(0, bytes));
            host.fill((byte) 0); // read where nothing was sampled
            memory = new CudaMemory(bytes, context, runner, MemoryLedger.Purpose.WORKSPACE);
        } catch (RuntimeException | Error e) {
            cuMemFreeHost(pinned);
            throw e;
        }
    }

    @Override
    public int capacity() {
        return capacity;
    }

    /** The device address of a token. */
    long address(int index) {
        return memory.address() + (long) index * Integer.BYTES;
    }

    /** Where the host reads it, as an address for kernels: pinned memory has one address for both. */
    long hostAddress(int index) {
        return host.address() + (long) index * Integer.BYTES;
    }

    /** The launch that chooses is under way. */
    void launched(GraphRunner.Ticket ticket) {
        launch = ticket;
    }

    @Override
    public void read(int[] out, int count) {
        runner.steps().run();
        if (launch != null) {
            runner.await(launch);
        }
        MemorySegment.copy(host, ValueLayout.JAVA_INT, 0, out, 0, count);
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            memory.close(); // waits for what still writes
            if (context.usable()) {
                cuMemFreeHost(pinned);
            }
        }
    }
}
