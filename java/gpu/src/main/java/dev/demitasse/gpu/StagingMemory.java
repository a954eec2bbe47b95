package dev.demitasse.gpu;

import java.lang.foreign.MemorySegment;

/** Memory of the host that a device copies from and to. */
public interface StagingMemory extends AutoCloseable {
    /** The memory. */
    MemorySegment segment();

    /** Gives it back; nothing must be under way. */
    @Override
    void close();
}
