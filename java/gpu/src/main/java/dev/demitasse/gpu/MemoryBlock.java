package dev.demitasse.gpu;

import java.lang.foreign.MemorySegment;

/** A block of device memory. Whoever looks at it or gives it back has what was recorded run first. */
final class MemoryBlock implements AutoCloseable {
    private final GpuMemory memory;
    private final ListRunner<?, ?> runner;
    private final MemoryLedger.Purpose purpose;
    private final long address;
    private final long bytes;
    private boolean closed;

    MemoryBlock(long bytes, GpuMemory memory, ListRunner<?, ?> runner, MemoryLedger.Purpose purpose) {
        this.memory = memory;
        this.runner = runner;
        this.purpose = purpose;
        this.bytes = bytes;
        this.address = memory.allocate(bytes, purpose);
    }

    long bytes() {
        return bytes;
    }

    long address() {
        return address;
    }

    /** Copies host memory here, before this returns. */
    void write(long offset, MemorySegment source) {
        runner.synchronize();
        memory.write(address + offset, source);
    }

    /** Copies from here to host memory, before this returns. */
    void read(long offset, MemorySegment target) {
        runner.steps().run();
        memory.read(address + offset, target);
        runner.synchronize();
    }

    /** Gives it back. Closing twice, or after the device, does nothing. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (memory.usable()) {
            runner.synchronize();
            memory.free(address, bytes, purpose);
        }
    }
}
