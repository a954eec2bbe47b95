package dev.demitasse.gpu;

import dev.demitasse.device.TokenBuffer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** Tokens in device memory, which {@code sample} also brings to staging memory. */
final class GpuTokens implements TokenBuffer {
    private final GpuMemory memory;
    private final ListRunner<?, ?> runner;
    private final MemoryBlock block;
    private final StagingMemory staging;
    private final MemorySegment host;
    private final int capacity;
    private ListRunner.@Nullable Ticket launch; // that chose the tokens; null before it is under way
    private boolean closed;

    GpuTokens(int capacity, GpuMemory memory, ListRunner<?, ?> runner) {
        this.memory = memory;
        this.runner = runner;
        this.capacity = capacity;
        long bytes = (long) capacity * Integer.BYTES;
        staging = memory.allocateStaging(bytes);
        host = staging.segment();
        try {
            block = new MemoryBlock(bytes, memory, runner, MemoryLedger.Purpose.WORKSPACE);
        } catch (RuntimeException | Error e) {
            staging.close();
            throw e;
        }
    }

    @Override
    public int capacity() {
        return capacity;
    }

    /** The device address of a token. */
    long address(int index) {
        return block.address() + (long) index * Integer.BYTES;
    }

    /** Where the host reads it. */
    long hostAddress(int index) {
        return host.address() + (long) index * Integer.BYTES;
    }

    /** The launch that chooses is under way. */
    void launched(ListRunner.Ticket ticket) {
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
            block.close(); // waits for what still writes
            if (memory.usable()) {
                staging.close();
            }
        }
    }
}
