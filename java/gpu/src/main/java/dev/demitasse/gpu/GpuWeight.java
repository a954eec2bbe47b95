package dev.demitasse.gpu;

import dev.demitasse.device.LinearWeight;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A weight matrix in device memory: integers in tiles ({@link WeightTiles}), floating-point numbers in padded rows
 * ({@link WeightRows}). Where it is larger than an allocation may be, it is in parts of some rows each, which are such
 * matrices, and has neither addresses nor layout of its own.
 */
public final class GpuWeight implements LinearWeight {
    /** Rows of a part are a multiple of those that any kernel's work-group has. */
    private static final int PART_ROWS = 64;

    private final WeightLayout layout;
    private final int rows;
    private final int columns;
    private final @Nullable MemoryBlock memory; // null: in parts
    private final List<GpuWeight> parts; // this one alone, where it is not split
    private final int tiles;
    private final int paddedColumns;
    private final boolean fp16Scales;
    private final long scales;
    private final long mins;
    private final long stride;
    private final int group;

    private GpuWeight(
            MatrixSource source,
            WeightLayout layout,
            MemoryBlock memory,
            int tiles,
            int paddedColumns,
            boolean fp16Scales,
            long scales,
            long mins,
            long stride,
            int group) {
        this.layout = layout;
        this.rows = source.rows();
        this.columns = source.columns();
        this.memory = memory;
        this.parts = List.of(this);
        this.tiles = tiles;
        this.paddedColumns = paddedColumns;
        this.fp16Scales = fp16Scales;
        this.scales = scales;
        this.mins = mins;
        this.stride = stride;
        this.group = group;
    }

    private GpuWeight(MatrixSource source, WeightLayout layout, List<GpuWeight> parts) {
        this.layout = layout;
        this.rows = source.rows();
        this.columns = source.columns();
        this.memory = null;
        this.parts = parts;
        this.tiles = 0;
        this.paddedColumns = parts.getFirst().paddedColumns;
        this.fp16Scales = false;
        this.scales = 0;
        this.mins = 0;
        this.stride = 0;
        this.group = parts.getFirst().group;
    }

    /**
     * Where weights go.
     *
     * @param perRow whether activations have one scale a row
     */
    record Target(WeightOrder order, boolean perRow, GpuMemory device, ListRunner<?, ?> runner) {}

    /** Puts a matrix on a device. */
    static GpuWeight upload(MatrixSource source, WeightLayout layout, Target to) {
        long most = to.device.mostBytes() / rowBytes(source, layout, to.order) / PART_ROWS * PART_ROWS;
        if (source.rows() <= most) {
            return whole(source, layout, to);
        }
        if (most == 0) {
            throw new OutOfDeviceMemoryException(to.device.device() + ": " + PART_ROWS + " rows of " + source.name()
                    + " are more than one allocation may have; use another device.");
        }
        List<GpuWeight> parts = new ArrayList<>();
        try {
            for (int first = 0; first < source.rows(); first += (int) most) {
                int count = (int) Math.min(most, source.rows() - first);
                parts.add(whole(source.rows(first, count), layout, to));
            }
        } catch (RuntimeException | Error e) {
            parts.forEach(GpuWeight::close);
            throw e;
        }
        return new GpuWeight(source, layout, parts);
    }

    /** The most bytes that a row takes, with FP32 scales and minimums of each 16 columns. */
    private static long rowBytes(MatrixSource source, WeightLayout layout, WeightOrder order) {
        int multiple = order.columns(layout.element());
        long columns = (long) (source.columns() + multiple - 1) / multiple * multiple;
        long scales = layout.element().quantized() ? columns / 16 * 2 * Float.BYTES : 0;
        return columns * layout.element().bits() / Byte.SIZE + scales;
    }

    private static GpuWeight whole(MatrixSource source, WeightLayout layout, Target to) {
        if (!layout.element().quantized()) {
            try (WeightRows rows = new WeightRows(source, layout, to.order)) {
                MemoryBlock memory = memory(to, rows.segment());
                return new GpuWeight(source, layout, memory, 0, 0, false, 0, 0, rows.stride(), 0);
            }
        }
        int group = WeightTiles.groupOf(layout, to.perRow);
        try (WeightTiles tiles = new WeightTiles(source, layout, to.order, group)) {
            MemoryBlock memory = memory(to, tiles.quants(), tiles.scales());
            long scales = memory.address() + tiles.quants().byteSize();
            return new GpuWeight(
                    source,
                    layout,
                    memory,
                    tiles.tiles(),
                    tiles.paddedColumns(),
                    tiles.fp16Scales(),
                    scales,
                    layout.minimum() ? scales + tiles.minimumOffset() : 0,
                    0,
                    group);
        }
    }

    /** Device memory that holds the sources one after the other. */
    private static MemoryBlock memory(Target to, MemorySegment... sources) {
        long bytes = 0;
        for (MemorySegment source : sources) {
            bytes += source.byteSize();
        }
        MemoryBlock memory = new MemoryBlock(bytes, to.device, to.runner, MemoryLedger.Purpose.WEIGHTS);
        try {
            long at = 0;
            for (MemorySegment source : sources) {
                memory.write(at, source);
                at += source.byteSize();
            }
            return memory;
        } catch (RuntimeException | Error e) {
            memory.close();
            throw e;
        }
    }

    /** What it consists of, in the order of rows; itself where it is whole. */
    public List<GpuWeight> parts() {
        return parts;
    }

    /** The address of the elements. */
    public long elements() {
        return Objects.requireNonNull(memory, "it is in parts").address();
    }

    /** The address of the scales, or 0. */
    public long scales() {
        return scales;
    }

    /** The address of the minimums, or 0. */
    public long mins() {
        return mins;
    }

    /** Tiles of a row of integers. */
    public int tiles() {
        return tiles;
    }

    /** Whether scales and minimums are FP16. */
    public boolean fp16Scales() {
        return fp16Scales;
    }

    /** Columns that share a scale: 16 or 32, or 0 for all. */
    public int group() {
        return group;
    }

    /** Bytes of a row of floating-point numbers. */
    public long stride() {
        return stride;
    }

    /** Whether elements are 4 bits. */
    public boolean int4() {
        return layout.element() == WeightLayout.Element.INT4;
    }

    /** Columns with padding of integers. */
    public int paddedColumns() {
        return paddedColumns;
    }

    @Override
    public int rows() {
        return rows;
    }

    @Override
    public int columns() {
        return columns;
    }

    @Override
    public WeightLayout layout() {
        return layout;
    }

    @Override
    public long bytes() {
        return memory != null
                ? memory.bytes()
                : parts.stream().mapToLong(GpuWeight::bytes).sum();
    }

    @Override
    public void close() {
        if (memory != null) {
            memory.close();
        } else {
            parts.forEach(GpuWeight::close);
        }
    }
}
