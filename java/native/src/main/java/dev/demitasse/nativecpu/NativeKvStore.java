package dev.demitasse.nativecpu;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.demitasse.device.KvStore;
import dev.demitasse.kv.KvShape;
import dev.demitasse.memory.HostMemory;
import java.lang.foreign.MemorySegment;

/** The pages of a cache with their description for C++ ({@code KvPages} in command.h). */
final class NativeKvStore implements KvStore {
    private static final int ELEMENT_MULTIPLE = 16;

    private final KvShape shape;
    private final HostMemory keys;
    private final HostMemory values;
    private final HostMemory keyScales;
    private final HostMemory valueScales;
    private final HostMemory description;
    private final CommandList commands;

    NativeKvStore(KvShape shape, CommandList commands) {
        this.shape = shape;
        this.commands = commands;
        long vectors = (long) shape.layers() * shape.pages() * shape.kvHeads() * KvShape.PAGE;
        long bytes = vectors * paddedDim() * shape.type().bytes();
        long scaleBytes = shape.scales() * Float.BYTES;
        HostMemory[] blocks = HostMemory.allocateAll(bytes, bytes, scaleBytes, scaleBytes, 8 * Long.BYTES);
        keys = blocks[0];
        values = blocks[1];
        keyScales = blocks[2];
        valueScales = blocks[3];
        description = blocks[4];
        boolean scaled = shape.type().scaled();
        long[] words = {
            keys.address(),
            values.address(),
            scaled ? keyScales.address() : 0,
            scaled ? valueScales.address() : 0,
            shape.pages(),
            shape.kvHeads(),
            shape.headDim(),
            shape.type().ordinal()
        };
        MemorySegment.copy(words, 0, description.segment(), JAVA_LONG, 0, words.length);
    }

    /** Elements of a head with padding. */
    int paddedDim() {
        return (shape.headDim() + ELEMENT_MULTIPLE - 1) / ELEMENT_MULTIPLE * ELEMENT_MULTIPLE;
    }

    /** The address of its description. */
    long address() {
        return description.address();
    }

    @Override
    public KvShape shape() {
        return shape;
    }

    @Override
    public void close() {
        commands.run();
        keys.close();
        values.close();
        keyScales.close();
        valueScales.close();
        description.close();
    }
}
