package dev.demitasse.cuda;

import static dev.demitasse.cuda.KernelTable.pieces;

import dev.demitasse.gpu.GpuWeight;
import dev.demitasse.gpu.Workspace;

/**
 * Integer weights and their activations as the FP16 operands of {@code gemm_f16_wgmma}: the memory where they lie, and
 * the launches that convert them ({@code dequantize.cu}). There is room for one matrix and for the rows of one step, so
 * each is converted just before it is used.
 */
final class Fp16Operands implements AutoCloseable {
    private final Workspace weights;
    private final Workspace activations;

    Fp16Operands(CudaContext context) {
        this.weights = new Workspace(context);
        this.activations = new Workspace(context);
    }

    /** Bytes of rows of either operand, in whole tiles. */
    static long bytes(int rows, int columns) {
        return (long) pieces(rows, Boundary.TILE_OUTPUTS) * Boundary.fp16_tiles(columns) * Boundary.TILE_BYTES;
    }

    /** Makes room for a matrix and for rows of activations; whether what there was has moved. */
    boolean reserve(GpuWeight weight, int rows) {
        boolean moved = weights.reserve(bytes(weight.rows(), weight.columns()));
        moved |= activations.reserve(bytes(rows, weight.columns()));
        return moved;
    }

    /** Where the matrix lies. */
    long weights() {
        return weights.address();
    }

    /** Where the activations lie. */
    long activations() {
        return activations.address();
    }

    /** Converts a matrix. */
    Launch convert(GpuWeight weight) {
        long[] words = new Words(Boundary.DequantizeArgs.WORDS)
                .set(Boundary.DequantizeArgs.QUANTS, weight.elements())
                .set(Boundary.DequantizeArgs.SCALES, weight.scales())
                .set(Boundary.DequantizeArgs.MINS, weight.mins())
                .set(Boundary.DequantizeArgs.FP16_SCALES, weight.fp16Scales() ? 1 : 0)
                .set(Boundary.DequantizeArgs.INTEGERS, Boundary.Integers.of(weight.element()))
                .set(Boundary.DequantizeArgs.GROUP, weight.group())
                .set(Boundary.DequantizeArgs.OUTPUTS, weight.rows())
                .set(Boundary.DequantizeArgs.TILES, weight.tiles())
                .set(Boundary.DequantizeArgs.COLUMNS, weight.columns())
                .set(Boundary.DequantizeArgs.LEVELS, weight.levels())
                .set(Boundary.DequantizeArgs.OUT, weights.address())
                .done();
        long tiles = (long) pieces(weight.rows(), Boundary.TILE_OUTPUTS) * weight.tiles();
        return new Launch.Kernel("dequantize_weights", grid(tiles), words);
    }

    /** Converts rows of activations. */
    Launch convert(long x, int rows, int columns) {
        long[] words = new Words(Boundary.Fp16RowsArgs.WORDS)
                .set(Boundary.Fp16RowsArgs.X, x)
                .set(Boundary.Fp16RowsArgs.ROWS, rows)
                .set(Boundary.Fp16RowsArgs.COLUMNS, columns)
                .set(Boundary.Fp16RowsArgs.OUT, activations.address())
                .done();
        return new Launch.Kernel("fp16_rows", grid(bytes(rows, columns) / Boundary.TILE_BYTES), words);
    }

    private static Launch.Grid grid(long tiles) {
        int blocks = pieces(tiles * Boundary.TILE_THREADS, Boundary.ELEMENT_THREADS);
        return Launch.Grid.of(blocks, Boundary.ELEMENT_THREADS);
    }

    @Override
    public void close() {
        weights.close();
        activations.close();
    }
}
