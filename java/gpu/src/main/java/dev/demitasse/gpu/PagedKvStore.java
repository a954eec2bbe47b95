package dev.demitasse.gpu;

import dev.demitasse.device.KvStore;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.PageParts;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The pages of a cache in device memory ({@code pages.cuh}, {@code pages.h}); where it is larger than an allocation may
 * be, in parts of some layers each.
 */
public final class PagedKvStore implements KvStore {
    /** Elements to which those of a head are padded. */
    public static final int DIM_MULTIPLE = 16;
    /** Elements of a head, at most. */
    public static final int MOST_HEAD_DIM = 576;

    /** Left for workspaces, and for what the driver takes for kernels and graphs. */
    private static final long RESERVED_BYTES = 32L << 20;

    private final KvShape shape;
    private final String layout;
    private final int firstLayer; // of the whole
    private final @Nullable MemoryBlock memory; // keys, values, scales of keys, scales of values; null: in parts
    private final List<PagedKvStore> parts; // this one alone, where it is not split
    private final int layersOfPart;
    private final long elementBytes;
    private final long scaleBytes;

    PagedKvStore(KvShape shape, String layout, GpuMemory device, ListRunner<?, ?> runner) {
        if (shape.headDim() > MOST_HEAD_DIM) {
            throw new UsageException(device.device() + ": heads of " + shape.headDim()
                    + " elements are not supported; at most " + MOST_HEAD_DIM + " are.");
        }
        this.shape = shape;
        this.layout = layout;
        this.elementBytes = elementBytes(shape);
        this.scaleBytes = shape.scales() * Float.BYTES;
        long bytes = 2 * (elementBytes + scaleBytes);
        long free = Math.max(0, device.freeBytes() - RESERVED_BYTES);
        if (bytes > free) {
            long perPage = bytes / Math.max(1, shape.pages());
            throw new OutOfDeviceMemoryException(device.device() + ": a cache of " + shape.pages() * KvShape.PAGE
                    + " positions takes " + MemoryLedger.mebibytes(bytes) + " MiB, and "
                    + MemoryLedger.mebibytes(free) + " MiB are free (" + device.ledger()
                    + "); the longest that fits is " + free / perPage * KvShape.PAGE
                    + " positions, longer with a cache of INT8 or INT4.");
        }
        this.firstLayer = 0;
        if (bytes <= device.mostBytes()) {
            this.memory = new MemoryBlock(bytes, device, runner, MemoryLedger.Purpose.CACHE);
            this.parts = List.of(this);
            this.layersOfPart = shape.layers();
            return;
        }
        this.memory = null;
        this.parts = new ArrayList<>();
        this.layersOfPart = (int) (device.mostBytes() / (bytes / shape.layers()));
        if (layersOfPart == 0) {
            throw new OutOfDeviceMemoryException(device.device() + ": a layer of the cache takes "
                    + MemoryLedger.mebibytes(bytes / shape.layers()) + " MiB, and one allocation may have "
                    + MemoryLedger.mebibytes(device.mostBytes())
                    + " MiB; take a shorter context, or a cache of INT8 or INT4.");
        }
        try {
            for (int first = 0; first < shape.layers(); first += layersOfPart) {
                int layers = Math.min(layersOfPart, shape.layers() - first);
                parts.add(new PagedKvStore(
                        new KvShape(layers, shape.kvHeads(), shape.headDim(), shape.pages(), shape.type()),
                        layout,
                        first,
                        device,
                        runner));
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    /** A part. */
    private PagedKvStore(KvShape shape, String layout, int firstLayer, GpuMemory device, ListRunner<?, ?> runner) {
        this.shape = shape;
        this.layout = layout;
        this.elementBytes = elementBytes(shape);
        this.scaleBytes = shape.scales() * Float.BYTES;
        this.firstLayer = firstLayer;
        this.memory = new MemoryBlock(2 * (elementBytes + scaleBytes), device, runner, MemoryLedger.Purpose.CACHE);
        this.parts = List.of(this);
        this.layersOfPart = shape.layers();
    }

    private static long elementBytes(KvShape shape) {
        long vectors = (long) shape.layers() * shape.pages() * shape.kvHeads() * KvShape.PAGE;
        return shape.type().bytes(vectors * paddedDim(shape.headDim()));
    }

    /** What has a layer of the whole. */
    public PagedKvStore of(int layer) {
        return parts.get(layer / layersOfPart);
    }

    /** The first layer of a part. */
    public int firstLayer() {
        return firstLayer;
    }

    private long address() {
        return Objects.requireNonNull(memory, "it is in parts").address();
    }

    /** Elements of a head with padding. */
    public static int paddedDim(int dim) {
        return (dim + DIM_MULTIPLE - 1) / DIM_MULTIPLE * DIM_MULTIPLE;
    }

    /** The address of the keys. */
    public long keys() {
        return address();
    }

    /** The address of the values. */
    public long values() {
        return address() + elementBytes;
    }

    /** The address of the keys' scales, or 0 where there are none. */
    public long keyScales() {
        return shape.type().scaled() ? address() + 2 * elementBytes : 0;
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
    public String layout() {
        return layout; // backends differ in the scales of FP8
    }

    @Override
    public long pageBytes() {
        return 2 * (elementBytes + scaleBytes) / shape.pages();
    }

    @Override
    public void readPage(int page, MemorySegment target) {
        move(page, target, MemoryBlock::read);
    }

    @Override
    public void writePage(int page, MemorySegment source) {
        move(page, source, MemoryBlock::write);
    }

    /** Copies from a place of the device's memory, or to it. */
    @FunctionalInterface
    private interface Move {
        void move(MemoryBlock memory, long at, MemorySegment host);
    }

    /** Copies a page, one part of the store after the other. */
    private void move(int page, MemorySegment host, Move move) {
        long first = 0;
        for (PagedKvStore part : parts) {
            long begin = first;
            long elements = part.elementBytes / part.shape.layers() / part.shape.pages();
            long scales = part.scaleBytes / part.shape.layers() / part.shape.pages();
            long[] arrays = {0, part.elementBytes, 2 * part.elementBytes, 2 * part.elementBytes + part.scaleBytes};
            MemoryBlock block = Objects.requireNonNull(part.memory, "a part is whole");
            new PageParts(part.shape, elements, elements, scales, scales)
                    .visit(
                            page,
                            (array, at, from, length) ->
                                    move.move(block, arrays[array] + at, host.asSlice(begin + from, length)));
            first += part.pageBytes();
        }
    }

    @Override
    public void close() {
        if (memory != null) {
            memory.close();
        } else {
            parts.forEach(PagedKvStore::close);
        }
    }
}
