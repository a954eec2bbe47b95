package dev.demitasse.vector;

import dev.demitasse.UsageException;
import dev.demitasse.device.KvStore;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.memory.HostMemory;

/**
 * The cache as the attention kernel reads it. Per layer, page and head: keys {@code [element][position]}, so that a vector holds the
 * scores of neighbouring positions; values {@code [position][element]}. Elements are padded to a multiple of 8.
 */
final class VectorKvStore implements KvStore {
    private final KvShape shape;
    private final int paddedDim;
    private final HostMemory keys;
    private final HostMemory values;

    VectorKvStore(KvShape shape) {
        this.shape = shape;
        this.paddedDim = (shape.headDim() + 7) / 8 * 8;
        long bytes = (long) shape.layers() * shape.pages() * shape.kvHeads() * blockBytes();
        this.keys = HostMemory.allocate(bytes);
        this.values = HostMemory.allocate(bytes);
    }

    static VectorKvStore of(KvStore store) {
        if (!(store instanceof VectorKvStore vector)) {
            throw new UsageException("A cache of another device was given to the vector device.");
        }
        return vector;
    }

    /** Elements of a head with padding. */
    int paddedDim() {
        return paddedDim;
    }

    boolean half() {
        return shape.type() == KvType.F16;
    }

    /** Bytes of the keys (or values) of one head in one page. */
    private long blockBytes() {
        return (long) paddedDim * KvShape.PAGE * shape.type().bytes();
    }

    /** Address of the keys of a head in a page. */
    long keys(int layer, int page, int kvHead) {
        return keys.address() + block(layer, page, kvHead);
    }

    /** Address of the values of a head in a page. */
    long values(int layer, int page, int kvHead) {
        return values.address() + block(layer, page, kvHead);
    }

    private long block(int layer, int page, int kvHead) {
        return (((long) layer * shape.pages() + page) * shape.kvHeads() + kvHead) * blockBytes();
    }

    @Override
    public KvShape shape() {
        return shape;
    }

    @Override
    public void close() {
        keys.close();
        values.close();
    }
}
