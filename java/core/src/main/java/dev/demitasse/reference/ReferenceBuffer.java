package dev.demitasse.reference;

import dev.demitasse.device.Buffer;
import dev.demitasse.memory.HostMemory;
import java.lang.foreign.MemorySegment;

/** A buffer of the reference device. */
record ReferenceBuffer(HostMemory memory) implements Buffer {
    MemorySegment segment() {
        return memory.segment();
    }

    @Override
    public long bytes() {
        return memory.bytes();
    }

    @Override
    public void write(long offset, MemorySegment source) {
        segment().asSlice(offset, source.byteSize()).copyFrom(source);
    }

    @Override
    public void read(long offset, MemorySegment target) {
        target.copyFrom(segment().asSlice(offset, target.byteSize()));
    }

    @Override
    public void close() {
        memory.close();
    }
}
