package dev.demitasse.cpu;

import dev.demitasse.device.Buffer;
import dev.demitasse.memory.HostMemory;
import java.lang.foreign.MemorySegment;

/** A buffer of a CPU device. */
public final class HostBuffer implements Buffer {
    private final HostMemory memory;

    /** A zeroed buffer. */
    public HostBuffer(long bytes) {
        memory = HostMemory.allocate(bytes);
    }

    /** The memory. */
    public MemorySegment segment() {
        return memory.segment();
    }

    /** The address of the first byte. */
    public long address() {
        return memory.address();
    }

    @Override
    public long bytes() {
        return memory.bytes();
    }

    @Override
    public void write(long offset, MemorySegment source) {
        memory.segment().asSlice(offset, source.byteSize()).copyFrom(source);
    }

    @Override
    public void read(long offset, MemorySegment target) {
        target.copyFrom(memory.segment().asSlice(offset, target.byteSize()));
    }

    @Override
    public void close() {
        memory.close();
    }
}
