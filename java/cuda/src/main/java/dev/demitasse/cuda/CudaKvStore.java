package dev.demitasse.cuda;

import dev.demitasse.device.KvStore;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gpu.MemoryLedger;
import dev.demitasse.kv.KvShape;

/** The pages of a cache in device memory ({@code cuda/include/demitasse/pages.cuh}). */
final class CudaKvStore implements KvStore {
    /** Left for workspaces, and for what the driver takes for kernels and graphs. */
    private static final long RESERVED_BYTES = 32L << 20;

    private final KvShape shape;
    private final CudaMemory memory; // keys, values, scales of keys, scales of values
    private final long elementBytes;
    private final long scaleBytes;

    CudaKvStore(KvShape shape, CudaContext context, GraphRunner runner) {
        if (shape.headDim() > Boundary.MOST_HEAD_DIM) {
            throw new UsageException("cuda: heads of " + shape.headDim() + " elements are not supported; at most "
                    + Boundary.MOST_HEAD_DIM + " are.");
        }
        this.shape = shape;
        long vectors = (long) shape.layers() * shape.pages() * shape.kvHeads() * KvShape.PAGE;
        this.elementBytes =
                vectors * Boundary.padded_dim(shape.headDim()) * shape.type().bytes();
        this.scaleBytes = shape.scales() * Float.BYTES;
        long bytes = 2 * (elementBytes + scaleBytes);
        long free = Math.max(0, context.freeBytes() - RESERVED_BYTES);
        if (bytes > free) {
            long perPage = bytes / Math.max(1, shape.pages());
            throw new OutOfDeviceMemoryException("cuda: a cache of " + shape.pages() * KvShape.PAGE
                    + " positions takes " + MemoryLedger.mebibytes(bytes) + " MiB, and "
                    + MemoryLedger.mebibytes(free) + " MiB are free (" + context.ledger()
                    + "); the longest that fits is " + free / perPage * KvShape.PAGE
                    + " positions, longer with a cache of INT8 or FP8.");
        }
        this.memory = new CudaMemory(bytes, context, runner, MemoryLedger.Purpose.CACHE);
    }

    /** The structure {@code KvPages}. */
    long[] pages() {
        long base = memory.address();
        boolean scaled = shape.type().scaled();
        return new Words(Boundary.KvPages.WORDS)
                .set(Boundary.KvPages.KEYS, base)
                .set(Boundary.KvPages.VALUES, base + elementBytes)
                .set(Boundary.KvPages.KEY_SCALES, scaled ? base + 2 * elementBytes : 0)
                .set(Boundary.KvPages.VALUE_SCALES, scaled ? base + 2 * elementBytes + scaleBytes : 0)
                .set(Boundary.KvPages.PAGES, shape.pages())
                .set(Boundary.KvPages.HEADS, shape.kvHeads())
                .set(Boundary.KvPages.HEAD_DIM, shape.headDim())
                .done();
    }

    @Override
    public KvShape shape() {
        return shape;
    }

    @Override
    public void close() {
        memory.close();
    }
}
