package dev.demitasse.nativecpu;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.demitasse.device.KvStore;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.PageParts;
import dev.demitasse.memory.HostMemory;
import java.lang.foreign.MemorySegment;

/** The pages of a cache with their description for C++ ({@code KvPages} in command.h). */
final class NativeKvStore implements KvStore {
    private final KvShape shape;
    private final HostMemory keys;
    private final HostMemory values;
    private final HostMemory keyScales;
    private final HostMemory valueScales;
    private final HostMemory description;
    private final HostMemory[] arrays;
    private final PageParts parts;
    private final CommandList commands;

    NativeKvStore(KvShape shape, CommandList commands) {
        this.shape = shape;
        this.commands = commands;
        long vectors = (long) shape.layers() * shape.pages() * shape.kvHeads() * KvShape.PAGE;
        long bytes = shape.type().bytes(vectors * paddedDim());
        long scaleBytes = shape.scales() * Float.BYTES;
        HostMemory[] blocks = HostMemory.allocateAll(
                bytes, bytes, scaleBytes, scaleBytes, (long) Boundary.KvPages.WORDS * Long.BYTES);
        keys = blocks[0];
        values = blocks[1];
        keyScales = blocks[2];
        valueScales = blocks[3];
        description = blocks[4];
        arrays = new HostMemory[] {keys, values, keyScales, valueScales};
        long count = (long) shape.layers() * shape.pages();
        parts = new PageParts(shape, bytes / count, bytes / count, scaleBytes / count, scaleBytes / count);
        boolean scaled = shape.type().scaled();
        set(Boundary.KvPages.KEYS, keys.address());
        set(Boundary.KvPages.VALUES, values.address());
        set(Boundary.KvPages.KEY_SCALES, scaled ? keyScales.address() : 0);
        set(Boundary.KvPages.VALUE_SCALES, scaled ? valueScales.address() : 0);
        set(Boundary.KvPages.PAGES, shape.pages());
        set(Boundary.KvPages.HEADS, shape.kvHeads());
        set(Boundary.KvPages.HEAD_DIM, shape.headDim());
        set(Boundary.KvPages.TYPE, Boundary.KvType.of(shape.type()));
    }

    private void set(int field, long value) {
        description.segment().setAtIndex(JAVA_LONG, field, value);
    }

    /** Elements of a head with padding. */
    int paddedDim() {
        return (shape.headDim() + Boundary.ELEMENT_MULTIPLE - 1)
                / Boundary.ELEMENT_MULTIPLE
                * Boundary.ELEMENT_MULTIPLE;
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
    public String layout() {
        return "native";
    }

    @Override
    public long pageBytes() {
        return parts.pageBytes();
    }

    @Override
    public void readPage(int page, MemorySegment target) {
        commands.run();
        parts.read(page, array -> arrays[array].segment(), target);
    }

    @Override
    public void writePage(int page, MemorySegment source) {
        commands.run();
        parts.write(page, array -> arrays[array].segment(), source);
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
