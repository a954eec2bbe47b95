package dev.demitasse.vector;

import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.demitasse.device.KvStore;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.kv.PageParts;
import dev.demitasse.memory.HostMemory;
import java.lang.foreign.MemorySegment;

/**
 * The cache as the attention kernel reads it. Per layer, page and head: keys {@code [element][position]}, so that a
 * vector holds the scores of neighboring positions; values {@code [position][element]}. Elements are padded to a
 * multiple of 8, or 16 for INT4. Two elements of a position make a byte of INT4, the first of them in its lower bits:
 * keys {@code [element / 2][position]}, and values {@code [position][element % half]} with half of the elements.
 */
final class VectorKvStore implements KvStore {
    /** Bytes after the last element that may be read: the narrowest vector of bytes has 8. */
    private static final int SLACK = 8;

    private static final int EXPONENT = 0x7C00; // of FP16

    private final KvShape shape;
    private final int paddedDim;
    private final HostMemory keys;
    private final HostMemory values;
    private final HostMemory keyScales;
    private final HostMemory valueScales;
    private final HostMemory[] arrays;
    private final PageParts parts;
    private volatile boolean holdsNonFinite;

    VectorKvStore(KvShape shape) {
        this.shape = shape;
        int multiple = shape.type() == KvType.INT4 ? 16 : 8; // bytes of a position's values fill vectors
        this.paddedDim = (shape.headDim() + multiple - 1) / multiple * multiple;
        long bytes = (long) shape.layers() * shape.pages() * shape.kvHeads() * blockBytes();
        long scaleBytes = shape.scales() * Float.BYTES;
        HostMemory[] blocks = HostMemory.allocateAll(bytes + SLACK, bytes + SLACK, scaleBytes, scaleBytes);
        this.keys = blocks[0];
        this.values = blocks[1];
        this.keyScales = blocks[2];
        this.valueScales = blocks[3];
        this.arrays = blocks;
        long page = shape.kvHeads() * blockBytes();
        long scales = scaleBytes / shape.layers() / shape.pages();
        this.parts = new PageParts(shape, page, page, scales, scales);
    }

    /**
     * An FP16 element that is infinite or NaN was stored: from now on pages are unpacked by a slower way that knows
     * such.
     */
    void holdNonFinite() {
        holdsNonFinite = true;
    }

    boolean holdsNonFinite() {
        return holdsNonFinite;
    }

    /** Elements of a head with padding. */
    int paddedDim() {
        return paddedDim;
    }

    /** Bytes of the keys (or values) of one head in one page. */
    private long blockBytes() {
        return shape.type().bytes((long) paddedDim * KvShape.PAGE);
    }

    /** Address of the keys of a head in a page. */
    long keys(int layer, int page, int kvHead) {
        return keys.address() + block(layer, page, kvHead);
    }

    /** Address of the values of a head in a page. */
    long values(int layer, int page, int kvHead) {
        return values.address() + block(layer, page, kvHead);
    }

    /** Address of the scales of the keys of a head in a page, [group][position]. */
    long keyScales(int layer, int page, int kvHead) {
        return keyScales.address() + index(layer, page, kvHead) * shape.scaleGroups() * KvShape.PAGE * Float.BYTES;
    }

    /** The same of the values. */
    long valueScales(int layer, int page, int kvHead) {
        return valueScales.address() + index(layer, page, kvHead) * shape.scaleGroups() * KvShape.PAGE * Float.BYTES;
    }

    private long block(int layer, int page, int kvHead) {
        return index(layer, page, kvHead) * blockBytes();
    }

    private long index(int layer, int page, int kvHead) {
        return ((long) layer * shape.pages() + page) * shape.kvHeads() + kvHead;
    }

    @Override
    public KvShape shape() {
        return shape;
    }

    @Override
    public String layout() {
        return "vector";
    }

    @Override
    public long pageBytes() {
        return parts.pageBytes();
    }

    @Override
    public void readPage(int page, MemorySegment target) {
        parts.read(page, array -> arrays[array].segment(), target);
    }

    @Override
    public void writePage(int page, MemorySegment source) {
        parts.write(page, array -> arrays[array].segment(), source);
        if (shape.type() == KvType.F16 && hasNonFinite(source)) {
            holdNonFinite();
        }
    }

    private static boolean hasNonFinite(MemorySegment halves) {
        for (long at = 0; at < halves.byteSize(); at += Short.BYTES) {
            if ((halves.get(JAVA_SHORT_UNALIGNED, at) & EXPONENT) == EXPONENT) {
                return true;
            }
        }
        return false;
    }

    @Override
    public void close() {
        keys.close();
        values.close();
        keyScales.close();
        valueScales.close();
    }
}
