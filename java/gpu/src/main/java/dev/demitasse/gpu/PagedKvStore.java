package dev.demitasse.gpu;

import dev.demitasse.device.KvStore;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;

/** The pages of a cache in device memory ({@code pages.cuh}, {@code pages.h}). */
public final class PagedKvStore implements KvStore {
    /** Elements to which those of a head are padded. */
    public static final int DIM_MULTIPLE = 16;
    /** Elements of a head, at most. */
    public static final int MOST_HEAD_DIM = 256;

    /** Left for workspaces, and for what the driver takes for kernels and graphs. */
    private static final long RESERVED_BYTES = 32L << 20;

    private final KvShape shape;
    private final MemoryBlock memory; // keys, values, scales of keys, scales of values
    private final long elementBytes;
    private final long scaleBytes;

    PagedKvStore(KvShape shape, GpuMemory device, ListRunner<?, ?> runner) {
        if (shape.headDim() > MOST_HEAD_DIM) {
            throw new UsageException(device.device() + ": heads of " + shape.headDim()
                    + " elements are not supported; at most " + MOST_HEAD_DIM + " are.");
        }
        this.shape = shape;
        long vectors = (long) shape.layers() * shape.pages() * shape.kvHeads() * KvShape.PAGE;
        this.elementBytes = vectors * paddedDim(shape.headDim()) * shape.type().bytes();
        this.scaleBytes = shape.scales() * Float.BYTES;
        long bytes = 2 * (elementBytes + scaleBytes);
        long free = Math.max(0, device.freeBytes() - RESERVED_BYTES);
        if (bytes > free) {
            long perPage = bytes / Math.max(1, shape.pages());
            throw new OutOfDeviceMemoryException(device.device() + ": a cache of " + shape.pages() * KvShape.PAGE
                    + " positions takes " + MemoryLedger.mebibytes(bytes) + " MiB, and "
                    + MemoryLedger.mebibytes(free) + " MiB are free (" + device.ledger()
                    + "); the longest that fits is " + free / perPage * KvShape.PAGE
                    + " positions, longer with a cache of INT8 or FP8.");
        }
        this.memory = new MemoryBlock(bytes, device, runner, MemoryLedger.Purpose.CACHE);
    }

    /** Elements of a head with padding. */
    public static int paddedDim(int dim) {
        return (dim + DIM_MULTIPLE - 1) / DIM_MULTIPLE * DIM_MULTIPLE;
    }

    /** The address of the keys. */
    public long keys() {
        return memory.address();
    }

    /** The address of the values. */
    public long values() {
        return memory.address() + elementBytes;
    }

    /** The address of the keys' scales, or 0 where there are none. */
    public long keyScales() {
        return shape.type().scaled() ? memory.address() + 2 * elementBytes : 0;
    }

    /** The address of the values' scales, or 0 where there are none. */
    public long valueScales() {
        return shape.type().scaled() ? keyScales() + scaleBytes : 0;
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
