package dev.demitasse.cuda;

import dev.demitasse.device.LinearWeight;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.PackedMatrix;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Locale;
import java.util.stream.IntStream;

/** A weight matrix in device memory: integers in tiles ({@link WeightTiles}), floating-point numbers in padded rows. */
final class CudaWeight implements LinearWeight {
    private final WeightLayout layout;
    private final int rows;
    private final int columns;
    private final CudaMemory memory;
    private final int tiles;
    private final boolean halfScales;
    private final long scales;
    private final long mins;
    private final long stride;
    private final int part;
    private final String[] floatKernels; // for one row of FP32 activations, and for more
    private final String[] integerKernels; // for up to four rows, and for up to eight

    private CudaWeight(
            PackedMatrix matrix,
            CudaMemory memory,
            int tiles,
            boolean halfScales,
            long scales,
            long mins,
            long stride,
            int part) {
        this.layout = matrix.layout();
        this.rows = matrix.rows();
        this.columns = matrix.columns();
        this.memory = memory;
        this.tiles = tiles;
        this.halfScales = halfScales;
        this.scales = scales;
        this.mins = mins;
        this.stride = stride;
        this.part = part;
        String stem = "gemv_" + element() + suffix() + (layout.element().quantised() ? "_float" : "");
        this.floatKernels = new String[] {stem + "_rows1", stem + "_rows4"};
        String integers = "gemv_" + element() + suffix();
        this.integerKernels = new String[] {integers + "_rows4", integers + "_rows8"};
    }

    private String element() {
        return layout.element().name().toLowerCase(Locale.ROOT);
    }

    private String suffix() {
        return !layout.element().quantised() ? "" : part == 0 ? "_row" : part == 16 ? "_half" : "_group";
    }

    /** The kernel for few rows of FP32, four at a time or one. Names are made once: they are asked for in every step. */
    String floatGemvKernel(int rows) {
        return floatKernels[rows == 1 ? 0 : 1];
    }

    /** The kernel for few rows of integers, four or eight at a time. */
    String integerGemvKernel(boolean eight) {
        return integerKernels[eight ? 1 : 0];
    }

    /** The kernel for many rows: of that tile, or by that instruction. */
    String gemmKernel(String tile) {
        return "gemm_" + element() + suffix() + tile;
    }

    /** Copies a matrix to the device; the matrix stays open. {@code wholeRows}: activations have one scale a row. */
    static CudaWeight upload(PackedMatrix matrix, boolean wholeRows, CudaContext context, LaunchList launches) {
        if (!matrix.layout().element().quantised()) {
            return uploadRows(matrix, context, launches);
        }
        int part = WeightTiles.partOf(matrix.layout(), wholeRows);
        try (WeightTiles tiles = new WeightTiles(matrix, part)) {
            CudaMemory memory = memory(tiles.segment(), context, launches);
            return new CudaWeight(
                    matrix,
                    memory,
                    tiles.tiles(),
                    tiles.halfScales(),
                    memory.address() + tiles.scaleOffset(),
                    matrix.layout().minimum() ? memory.address() + tiles.minimumOffset() : 0,
                    0,
                    part);
        }
    }

    private static CudaWeight uploadRows(PackedMatrix matrix, CudaContext context, LaunchList launches) {
        int bytes = matrix.layout().element().bits() / 8;
        long stride = ((long) matrix.columns() * bytes + 15) / 16 * 16;
        try (HostMemory rows = HostMemory.allocate(stride * matrix.rows())) {
            MemorySegment in = matrix.quants();
            MemorySegment out = rows.segment();
            IntStream.range(0, matrix.rows()).parallel().forEach(row -> {
                long from = (long) (row / PackedMatrix.PANEL) * matrix.columns() * PackedMatrix.PANEL
                        + row % PackedMatrix.PANEL;
                for (int k = 0; k < matrix.columns(); k++) {
                    long index = from + (long) k * PackedMatrix.PANEL;
                    long to = row * stride + (long) k * bytes;
                    if (bytes == 4) {
                        out.set(ValueLayout.JAVA_INT, to, in.getAtIndex(ValueLayout.JAVA_INT, index));
                    } else {
                        out.set(ValueLayout.JAVA_SHORT, to, in.getAtIndex(ValueLayout.JAVA_SHORT, index));
                    }
                }
            });
            return new CudaWeight(matrix, memory(out, context, launches), 0, false, 0, 0, stride, 0);
        }
    }

    private static CudaMemory memory(MemorySegment source, CudaContext context, LaunchList launches) {
        CudaMemory memory = new CudaMemory(source.byteSize(), context, launches, CudaContext.Purpose.WEIGHTS);
        try {
            memory.write(0, source);
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

    /** 1 where scales and minimums are FP16. */
    int halfScales() {
        return halfScales ? 1 : 0;
    }

    /** Columns that share a scale: 16 or 32, or 0 for all. */
    int part() {
        return part;
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
