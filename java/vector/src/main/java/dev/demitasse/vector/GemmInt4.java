package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.BYTES;
import static dev.demitasse.vector.Lanes.INT;
import static dev.demitasse.vector.Lanes.INTS;
import static dev.demitasse.vector.Lanes.MEMORY;
import static dev.demitasse.vector.Lanes.ORDER;
import static dev.demitasse.vector.Lanes.SHORTS;

import dev.demitasse.quant.PackedMatrix;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Computes: {@link GemvInt4} for four rows of activations at once.
 *
 * <p>Layout, Requires, Accuracy: as {@link GemvInt4}, and the same bits.
 *
 * <p>Launch: one task a block of panels and rows; a tile is 16 panel rows × 4 activation rows in two vectors × 4 sums.
 *
 * <p>Moves: weights once for four rows; for 64 weights of a vector 6 operations to take out nibbles and 8 a row to multiply and add,
 * so 5.6 products an operation with the fold, where FP32 FMA has 8 but only two of four pipes: 22 against 16 a cycle on Zen 3.
 *
 * <p>Why: 8 sums of 16-bit lanes, 2 weight vectors and the activations fit 16 registers; more rows would spill.
 */
final class GemmInt4 {
    /** Activation rows of a tile. */
    static final int ROWS = 4;

    private static final short MASK = 15;

    private GemmInt4() {}

    /**
     * One panel by rows {@code row … row + 3} of {@code x}.
     *
     * @param scratch {@link IntegerFold#SCRATCH_BYTES}
     * @param out receives 4 × 16 FP32 results, row after row
     */
    static void panel(PackedMatrix matrix, int panel, IntegerRows x, int row, long scratch, long out) {
        IntegerFold fold = new IntegerFold(matrix, panel);
        int chunks = IntegerFold.halves(matrix) ? 2 : 4;
        int parts = IntegerFold.parts(matrix, x);
        Lanes.clear(out, ROWS * 64 / BYTES);
        for (int v = 0; v < 64 / BYTES; v += 2) {
            for (int first = 0; first < parts; first += IntegerFold.PARTS) {
                int count = Math.min(IntegerFold.PARTS, parts - first);
                long weights = matrix.quants().address() + panel * matrix.panelBytes() + (long) first * chunks * 64;
                long words = x.words(row) + (long) first * chunks * 16;
                sums(weights + (long) v * BYTES, words, x.wordStride(), chunks, count, scratch);
                for (int r = 0; r < ROWS; r++) {
                    long sums = scratch + r * 2L * BYTES;
                    long target = out + r * 64L + (long) v * BYTES;
                    fold.fold(sums, 2L * ROWS * BYTES, true, first, count, v, x, row + r, target);
                }
            }
        }
    }

    /** Sums of {@code count} parts of {@code chunks} chunks of 8 columns, as pairs of 16-bit integers. */
    private static void sums(long weights, long p0, long stride, int chunks, int count, long scratch) {
        long p1 = p0 + stride;
        long p2 = p1 + stride;
        long p3 = p2 + stride;
        for (int part = 0; part < count; part++) {
            ShortVector a00 = ShortVector.zero(SHORTS);
            ShortVector a01 = ShortVector.zero(SHORTS);
            ShortVector a10 = ShortVector.zero(SHORTS);
            ShortVector a11 = ShortVector.zero(SHORTS);
            ShortVector a20 = ShortVector.zero(SHORTS);
            ShortVector a21 = ShortVector.zero(SHORTS);
            ShortVector a30 = ShortVector.zero(SHORTS);
            ShortVector a31 = ShortVector.zero(SHORTS);
            for (int c = part * chunks; c < (part + 1) * chunks; c++) {
                ShortVector w0 = ShortVector.fromMemorySegment(SHORTS, MEMORY, weights + c * 64L, ORDER);
                ShortVector w1 = ShortVector.fromMemorySegment(SHORTS, MEMORY, weights + c * 64L + BYTES, ORDER);
                for (int nibble = 0; nibble < 4; nibble++) {
                    ShortVector n0 = w0.and(MASK);
                    ShortVector n1 = w1.and(MASK);
                    w0 = w0.lanewise(VectorOperators.LSHR, 4);
                    w1 = w1.lanewise(VectorOperators.LSHR, 4);
                    long at = c * 16L + (nibble & 1) * 8L + (nibble >> 1) * 4L;
                    ShortVector x = IntVector.broadcast(INTS, MEMORY.get(INT, p0 + at)).reinterpretAsShorts();
                    a00 = a00.add(n0.mul(x));
                    a01 = a01.add(n1.mul(x));
                    x = IntVector.broadcast(INTS, MEMORY.get(INT, p1 + at)).reinterpretAsShorts();
                    a10 = a10.add(n0.mul(x));
                    a11 = a11.add(n1.mul(x));
                    x = IntVector.broadcast(INTS, MEMORY.get(INT, p2 + at)).reinterpretAsShorts();
                    a20 = a20.add(n0.mul(x));
                    a21 = a21.add(n1.mul(x));
                    x = IntVector.broadcast(INTS, MEMORY.get(INT, p3 + at)).reinterpretAsShorts();
                    a30 = a30.add(n0.mul(x));
                    a31 = a31.add(n1.mul(x));
                }
            }
            long to = scratch + (long) part * 2 * ROWS * BYTES;
            a00.intoMemorySegment(MEMORY, to + 0 * BYTES, ORDER);
            a01.intoMemorySegment(MEMORY, to + 1 * BYTES, ORDER);
            a10.intoMemorySegment(MEMORY, to + 2 * BYTES, ORDER);
            a11.intoMemorySegment(MEMORY, to + 3 * BYTES, ORDER);
            a20.intoMemorySegment(MEMORY, to + 4 * BYTES, ORDER);
            a21.intoMemorySegment(MEMORY, to + 5 * BYTES, ORDER);
            a30.intoMemorySegment(MEMORY, to + 6 * BYTES, ORDER);
            a31.intoMemorySegment(MEMORY, to + 7 * BYTES, ORDER);
        }
    }
}
