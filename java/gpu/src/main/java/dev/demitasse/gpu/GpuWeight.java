package dev.demitasse.gpu;

import dev.demitasse.device.LinearWeight;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;

/**
 * A weight matrix in device memory: integers in tiles ({@link WeightTiles}), floating-point numbers in padded rows
 * ({@link WeightRows}).
 */
public final class GpuWeight implements LinearWeight {
    private final WeightLayout layout;
    private final int rows;
    private final int columns;
    private final MemoryBlock memory;
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
        this.tiles = tiles;
        this.paddedColumns = paddedColumns;
        this.fp16Scales = fp16Scales;
        this.scales = scales;
        this.mins = mins;
        this.stride = stride;
        this.group = group;
    }

    /** Puts a matrix on the device. {@code perRow}: activations have one scale a row. */
    static GpuWeight upload(
            MatrixSource source,
            WeightLayout layout,
            WeightOrder order,
            boolean perRow,
            GpuMemory device,
            ListRunner<?, ?> runner) {
        if (!layout.element().quantized()) {
            try (WeightRows rows = new WeightRows(source, layout, order)) {
                MemoryBlock memory = memory(device, runner, rows.segment());
                return new GpuWeight(source, layout, memory, 0, 0, false, 0, 0, rows.stride(), 0);
            }
        }
        int group = WeightTiles.groupOf(layout, perRow);
        try (WeightTiles tiles = new WeightTiles(source, layout, order, group)) {
            MemoryBlock memory = memory(device, runner, tiles.quants(), tiles.scales());
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
    private static MemoryBlock memory(GpuMemory device, ListRunner<?, ?> runner, MemorySegment... sources) {
        long bytes = 0;
        for (MemorySegment source : sources) {
            bytes += source.byteSize();
        }
        MemoryBlock memory = new MemoryBlock(bytes, device, runner, MemoryLedger.Purpose.WEIGHTS);
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

    /** The address of the elements. */
    public long elements() {
        return memory.address();
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
        return memory.bytes();
    }

    @Override
    public void close() {
        memory.close();
    }
}
