package dev.demitasse.opencl;

import dev.demitasse.gpu.StagingMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Memory of the host outside of Java's heap. */
final class HostStaging implements StagingMemory {
    private static final long ALIGNMENT = 4096; // of copies that need no other copy

    private final Arena arena = Arena.ofShared();
    private final MemorySegment segment;

    HostStaging(long bytes) {
        segment = arena.allocate(Math.max(bytes, 1), ALIGNMENT);
    }

    @Override
    public MemorySegment segment() {
        return segment;
    }

    @Override
    public void close() {
        arena.close();
    }
}
