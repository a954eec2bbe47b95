package dev.demitasse.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A mapping on huge pages that blocks of less than a huge page share: the matrices of a small model are of that size. A
 * part is handed out once, so it is zeroed; the mapping is given back when the last of its blocks is.
 */
final class Slab {
    private static final long BYTES = 16L << 20;

    private static @Nullable Slab open;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment memory = HugePages.map(BYTES, arena);
    private long used;
    private int blocks;

    private Slab() {}

    /** A part of a slab, and the slab. */
    record Block(Slab slab, MemorySegment segment) {
        void free() {
            slab.release();
        }
    }

    /** The next {@code bytes} of the open slab, or the first of a new one; at most a huge page. */
    static synchronized Block allocate(long bytes) {
        Slab slab = open;
        if (slab == null || BYTES - slab.used < bytes) {
            slab = new Slab();
            Slab full = open;
            open = slab;
            slab.blocks = 1; // it is open
            if (full != null) {
                full.release();
            }
        }
        MemorySegment segment = slab.memory.asSlice(slab.used, bytes);
        slab.used += (bytes + HostMemory.ALIGNMENT - 1) / HostMemory.ALIGNMENT * HostMemory.ALIGNMENT;
        slab.blocks++;
        return new Block(slab, segment);
    }

    private void release() {
        synchronized (Slab.class) {
            if (--blocks == 0) {
                arena.close();
            } else if (blocks == 1 && open == this) {
                open = null;
                release();
            }
        }
    }
}
