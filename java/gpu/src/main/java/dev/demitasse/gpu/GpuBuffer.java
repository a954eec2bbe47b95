package dev.demitasse.gpu;

import dev.demitasse.device.Buffer;
import java.lang.foreign.MemorySegment;

/** A buffer in device memory. */
final class GpuBuffer implements Buffer {
    /** Writes up to this length are part of the recorded step, and wait for nothing. */
    private static final long RECORDED_BYTES = 1 << 20;

    private final MemoryBlock memory;
    private final StepList steps;

    GpuBuffer(MemoryBlock memory, StepList steps) {
        this.memory = memory;
        this.steps = steps;
    }

    /** The address of the first byte. */
    long address() {
        return memory.address();
    }

    @Override
    public long bytes() {
        return memory.bytes();
    }

    @Override
    public void write(long offset, MemorySegment source) {
        if (source.byteSize() == 0) {
            return;
        }
        if (source.byteSize() <= RECORDED_BYTES) {
            steps.copy(source, memory.address() + offset);
        } else {
            memory.write(offset, source);
        }
    }

    @Override
    public void read(long offset, MemorySegment target) {
        memory.read(offset, target);
    }

    @Override
    public void close() {
        memory.close();
    }
}
