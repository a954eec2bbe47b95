package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.ADDRESS;
import static dev.demitasse.vector.Lanes.BYTES;
import static dev.demitasse.vector.Lanes.INT;
import static dev.demitasse.vector.Lanes.INTS;
import static dev.demitasse.vector.Lanes.MEMORY;
import static dev.demitasse.vector.Lanes.OFFSET;
import static dev.demitasse.vector.Lanes.ORDER;
import static dev.demitasse.vector.Lanes.SHORTS;

import dev.demitasse.cpu.PackedMatrix;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Computes: {@code out[n] = sum_g s_a[g] (s_w[n][g] sum_k q_w q_a + m_w[n][g] sum_k q_a)} for the 16 rows n of a panel
 * and one row of activations.
 *
 * <p>Layout: weights {@code [k / 8][16 rows][4 bytes]}, low nibbles columns 0 … 3, high ones 4 … 7 ({@link
 * PackedMatrix}); activations as {@link QuantizeRows} leaves them. A 16-bit lane of a weight vector holds columns (0,
 * 4, 1, 5) or (2, 6, 3, 7) of one row, so that a nibble meets a broadcast pair of activations and rows never mix.
 *
 * <p>Requires: columns a multiple of 32; groups of 16, or of a multiple of 32.
 *
 * <p>Accuracy: integer sums are exact: a lane adds 16 products of a group of 32, each at most 15 · 127, so at most
 * 30,480 &lt; 2^15. The fold is FP32, in the order of the groups.
 *
 * <p>Launch: one task a panel.
 *
 * <p>Moves: 16 · K / 2 bytes of weights and 8 (16) K / 32 · 16 bytes of scales (and minimums) a panel; 9 vector
 * operations for 32 products.
 *
 * <p>Why: nibbles are taken out by one shift and one mask in 16-bit lanes and need no widening before the group's end;
 * INT8 lanes have no multiplication in the Vector API.
 */
final class GemvInt4 {
    private static final short MASK = 15;

    private GemvInt4() {}

    /**
     * One panel by row {@code row} of {@code x}.
     *
     * @param scratch {@link IntegerFold#SCRATCH_BYTES}
     * @param out receives 16 FP32 results
     */
    static void panel(PackedMatrix matrix, int panel, IntegerRows x, int row, long scratch, long out) {
        IntegerFold fold = new IntegerFold(matrix, panel);
        int chunks = IntegerFold.per16(matrix) ? 2 : 4;
        int parts = IntegerFold.parts(matrix, x);
        for (int v = 0; v < 64 / BYTES; v += 2) {
            long target = out + (long) v * BYTES;
            Lanes.clear(target, 2);
            for (int first = 0; first < parts; first += IntegerFold.PARTS) {
                int count = Math.min(IntegerFold.PARTS, parts - first);
                long weights = matrix.quants().address() + panel * matrix.panelBytes() + (long) first * chunks * 64;
                sums(weights + (long) v * BYTES, x.words(row) + (long) first * chunks * 16, chunks, count, scratch);
                fold.fold(scratch, 2 * BYTES, true, first, count, v, x, row, target);
            }
        }
    }

    /** Sums of {@code count} parts of {@code chunks} chunks of 8 columns, as pairs of 16-bit integers. */
    private static void sums(long weights, long words, int chunks, int count, long scratch) {
        long firstWeight = weights & ADDRESS;
        long firstWord = words & ADDRESS;
        long target = scratch & ADDRESS;
        for (int part = 0; part < count; part++) {
            ShortVector a0 = ShortVector.zero(SHORTS);
            ShortVector a1 = ShortVector.zero(SHORTS);
            for (int c = part * chunks; c < (part + 1) * chunks; c++) {
                long w = firstWeight + (c * 64 & OFFSET);
                long p = firstWord + (c * 16 & OFFSET);
                ShortVector w0 = ShortVector.fromMemorySegment(SHORTS, MEMORY, w, ORDER);
                ShortVector w1 = ShortVector.fromMemorySegment(SHORTS, MEMORY, w + BYTES, ORDER);
                ShortVector x = IntVector.broadcast(INTS, MEMORY.get(INT, p)).reinterpretAsShorts();
                a0 = a0.add(w0.and(MASK).mul(x));
                a1 = a1.add(w1.and(MASK).mul(x));
                x = IntVector.broadcast(INTS, MEMORY.get(INT, p + 4)).reinterpretAsShorts();
                a0 = a0.add(w0.lanewise(VectorOperators.LSHR, 4).and(MASK).mul(x));
                a1 = a1.add(w1.lanewise(VectorOperators.LSHR, 4).and(MASK).mul(x));
                x = IntVector.broadcast(INTS, MEMORY.get(INT, p + 8)).reinterpretAsShorts();
                a0 = a0.add(w0.lanewise(VectorOperators.LSHR, 8).and(MASK).mul(x));
                a1 = a1.add(w1.lanewise(VectorOperators.LSHR, 8).and(MASK).mul(x));
                x = IntVector.broadcast(INTS, MEMORY.get(INT, p + 12)).reinterpretAsShorts();
                a0 = a0.add(w0.lanewise(VectorOperators.LSHR, 12).mul(x));
                a1 = a1.add(w1.lanewise(VectorOperators.LSHR, 12).mul(x));
            }
            a0.intoMemorySegment(MEMORY, target + (part * 2 * BYTES & OFFSET), ORDER);
            a1.intoMemorySegment(MEMORY, target + (part * 2 * BYTES & OFFSET) + BYTES, ORDER);
        }
    }
}
