package dev.demitasse.cuda;

import dev.demitasse.device.LinearWeight;
import dev.demitasse.gpu.MemoryLedger;
import dev.demitasse.gpu.WeightRows;
import dev.demitasse.gpu.WeightTiles;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;

/** A weight matrix in device memory: integers in tiles ({@link WeightTiles}), floating-point numbers in padded rows. */
final class CudaWeight implements LinearWeight {
    private final WeightLayout layout;
    private final int rows;
    private final int columns;
    private final CudaMemory memory;
    private final int tiles;
    private final boolean fp16Scales;
    private final long scales;
    private final long mins;
    private final long stride;
    private final int group;

    private CudaWeight(
            MatrixSource source,
            WeightLayout layout,
            CudaMemory memory,
            int tiles,
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
        this.fp16Scales = fp16Scales;
        this.scales = scales;
        this.mins = mins;
        this.stride = stride;
        this.group = group;
    }

    /** Puts a matrix on the device. {@code perRow}: activations have one scale a row. */
    static CudaWeight upload(
            MatrixSource source, WeightLayout layout, boolean perRow, CudaContext context, GraphRunner runner) {
        if (!layout.element().quantized()) {
            try (WeightRows rows = new WeightRows(source, layout)) {
                CudaMemory memory = memory(context, runner, rows.segment());
                return new CudaWeight(source, layout, memory, 0, false, 0, 0, rows.stride(), 0);
            }
        }
        int group = WeightTiles.groupOf(layout, perRow);
        try (WeightTiles tiles = new WeightTiles(source, layout, group)) {
            CudaMemory memory = memory(context, runner, tiles.quants(), tiles.scales());
            long scales = memory.address() + tiles.quants().byteSize();
            return new CudaWeight(
                    source,
                    layout,
                    memory,
                    tiles.tiles(),
                    tiles.fp16Scales(),
                    scales,
                    layout.minimum() ? scales + tiles.minimumOffset() : 0,
                    0,
                    group);
        }
    }

    /** Device memory that holds the sources one after the other. */
    private static CudaMemory memory(CudaContext context, GraphRunner runner, MemorySegment... sources) {
        long bytes = 0;
        for (MemorySegment source : sources) {
            bytes += source.byteSize();
        }
        CudaMemory memory = new CudaMemory(bytes, context, runner, MemoryLedger.Purpose.WEIGHTS);
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
    long elements() {
        return memory.address();
    }

    /** The address of the scales, or 0. */
    long scales() {
        return scales;
    }

    /** The address of the minimums, or 0. */
    long mins() {
        return mins;
    }

    /** Tiles of a row of integers. */
    int tiles() {
        return tiles;
    }

    /** Whether scales and minimums are FP16. */
    boolean fp16Scales() {
        return fp16Scales;
    }

    /** Columns that share a scale: 16 or 32, or 0 for all. */
    int group() {
        return group;
    }

    /** Bytes of a row of floating-point numbers. */
    long stride() {
        return stride;
    }

    /** Whether elements are 4 bits. */
    boolean int4() {
        return layout.element() == WeightLayout.Element.INT4;
    }

    /** Columns with padding of integers. */
    int paddedColumns() {
        return tiles * WeightTiles.columnsOfTile(int4());
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
