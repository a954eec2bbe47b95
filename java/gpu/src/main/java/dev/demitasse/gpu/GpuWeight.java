package dev.demitasse.gpu;

import dev.demitasse.device.LinearWeight;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.quant.LevelTable;
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
    private final @Nullable MemoryBlock memory; // null: in parts, or others own it
    private final List<GpuWeight> parts; // this one alone, where it is not split
    private final long elements; // 0: in parts
    private final int tiles;
    private final int paddedColumns;
    private final boolean fp16Scales;
    private final long scales;
    private final long mins;
    private final long stride;
    private final int group;
    private final GpuElement element;
    private final long[] levels;
    private final long bytes;

    private GpuWeight(Packed packed, @Nullable MemoryBlock memory, long address) {
        this.layout = packed.layout;
        this.rows = packed.source.rows();
        this.columns = packed.source.columns();
        this.memory = memory;
        this.parts = List.of(this);
        this.elements = address;
        this.bytes = packed.bytes();
        WeightTiles integers = packed.tiles;
        this.tiles = integers == null ? 0 : integers.tiles();
        this.paddedColumns = integers == null ? 0 : integers.paddedColumns();
        this.fp16Scales = integers != null && integers.fp16Scales();
        this.scales = integers == null ? 0 : address + integers.quants().byteSize();
        this.mins = integers == null || !layout.minimum() ? 0 : scales + integers.minimumOffset();
        this.stride = packed.rows == null ? 0 : packed.rows.stride();
        this.group = packed.group;
        this.element = GpuElement.of(layout, packed.levels);
        this.levels = words(packed.levels);
    }

    private GpuWeight(MatrixSource source, WeightLayout layout, List<GpuWeight> parts) {
        this.layout = layout;
        this.rows = source.rows();
        this.columns = source.columns();
        this.memory = null;
        this.parts = parts;
        this.elements = 0;
        this.bytes = parts.stream().mapToLong(GpuWeight::bytes).sum();
        this.tiles = 0;
        this.paddedColumns = parts.getFirst().paddedColumns;
        this.fp16Scales = false;
        this.scales = 0;
        this.mins = 0;
        this.stride = 0;
        this.group = parts.getFirst().group;
        this.element = parts.getFirst().element;
        this.levels = parts.getFirst().levels;
    }

    /** A matrix in host memory as it is to lie on the device: tiles of integers, or rows of floating-point numbers. */
    static final class Packed implements AutoCloseable {
        private final MatrixSource source;
        private final WeightLayout layout;
        private final int group;
        private final @Nullable LevelTable levels;
        private final @Nullable WeightTiles tiles;
        private final @Nullable WeightRows rows;

        /**
         * Packs a matrix.
         *
         * @param wide with FP32 scales, even where FP16 is exact
         * @param levels what all integers are, or null
         */
        Packed(MatrixSource source, WeightLayout layout, Target to, boolean wide, @Nullable LevelTable levels) {
            this.source = source;
            this.layout = layout;
            this.levels = levels;
            boolean integers = layout.element().quantized();
            group = integers ? WeightTiles.groupOf(layout, to.perRow) : 0;
            tiles = integers ? new WeightTiles(source, layout, to.order, group, wide, levels) : null;
            rows = integers ? null : new WeightRows(source, layout, to.order);
        }

        /** Whether scales are FP16. */
        boolean narrowScales() {
            return tiles != null && tiles.fp16Scales();
        }

        private List<MemorySegment> pieces() {
            return tiles != null
                    ? List.of(tiles.quants(), tiles.scales())
                    : List.of(Objects.requireNonNull(rows).segment());
        }

        /** Bytes on the device. */
        long bytes() {
            return pieces().stream().mapToLong(MemorySegment::byteSize).sum();
        }

        /** Copies it to a block of device memory, which others own. */
        GpuWeight write(MemoryBlock memory, long offset) {
            long at = offset;
            for (MemorySegment piece : pieces()) {
                memory.write(at, piece);
                at += piece.byteSize();
            }
            return new GpuWeight(this, null, memory.address() + offset);
        }

        @Override
        public void close() {
            if (tiles != null) {
                tiles.close();
            }
            if (rows != null) {
                rows.close();
            }
        }
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
        GpuElement element = GpuElement.of(layout, GpuElement.levelsOf(source, layout));
        int multiple = order.columns(element);
        long columns = (long) (source.columns() + multiple - 1) / multiple * multiple;
        long scales = element.quantized() ? columns / 16 * 2 * Float.BYTES : 0;
        return columns * element.bits() / Byte.SIZE + scales;
    }

    private static GpuWeight whole(MatrixSource source, WeightLayout layout, Target to) {
        try (Packed packed = new Packed(source, layout, to, false, GpuElement.levelsOf(source, layout))) {
            MemoryBlock memory = new MemoryBlock(packed.bytes(), to.device, to.runner, MemoryLedger.Purpose.WEIGHTS);
            try {
                packed.write(memory, 0);
                return new GpuWeight(packed, memory, memory.address());
            } catch (RuntimeException | Error e) {
                memory.close();
                throw e;
            }
        }
    }

    /** What it consists of, in the order of rows; itself where it is whole. */
    public List<GpuWeight> parts() {
        return parts;
    }

    /** The address of the elements. */
    public long elements() {
        if (elements == 0) {
            throw new IllegalStateException("it is in parts");
        }
        return elements;
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

    /** How elements are stored. */
    public GpuElement element() {
        return element;
    }

    /** The levels that integers are places of, eight a number, the first of them lowest; zeros for none. */
    public long[] levels() {
        return levels;
    }

    private static long[] words(@Nullable LevelTable levels) {
        long[] words = new long[2];
        byte[] all = levels == null ? new byte[0] : levels.levels();
        for (int i = 0; i < all.length; i++) {
            words[i / Long.BYTES] |= (all[i] & 0xFFL) << i % Long.BYTES * Byte.SIZE;
        }
        return words;
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
        return bytes;
    }

    @Override
    public void close() {
        if (memory != null) {
            memory.close();
        } else if (elements == 0) {
            parts.forEach(GpuWeight::close);
        }
    }
}
