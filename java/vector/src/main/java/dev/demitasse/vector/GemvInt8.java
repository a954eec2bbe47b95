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
 * <p>Layout: weights {@code [k / 4][16 rows][4 bytes]} ({@link PackedMatrix}); activations as {@link QuantizeRows}
 * leaves them. A 16-bit lane holds columns (0, 1) or (2, 3) of one row as its two bytes. Levels of a table are unpacked
 * first ({@link UnpackLevels}).
 *
 * <p>Requires: columns a multiple of 32; groups of 16, or of a multiple of 32.
 *
 * <p>Accuracy: integer sums are exact. A lane adds 2 products a chunk of 4 columns; with magnitudes up to 128 it is
 * widened after one chunk (2 · 128 · 127 = 32,512 &lt; 2^15), with magnitudes up to 32 after four (8 · 32 · 127 =
 * 32,512). 32-bit sums of a group stay below 2^20. The fold is FP32, in the order of the groups.
 *
 * <p>Launch: one task a panel.
 *
 * <p>Moves: 16 K bytes of weights and 8 (16) K / 32 · 16 bytes of scales (and minimums) a panel; 12 vector operations
 * for 32 products, 9 with small magnitudes.
 *
 * <p>Why: as {@link GemvInt4}.
 */
final class GemvInt8 {
    /** The largest magnitude with which four chunks fit 16 bits. */
    static final int SMALL = 32;
    /** Bytes of scratch. */
    static final int SCRATCH_BYTES = IntegerFold.SCRATCH_BYTES + UnpackLevels.SCRATCH_BYTES;

    private GemvInt8() {}

    /**
     * One panel by row {@code row} of {@code x}.
     *
     * @param scratch {@link #SCRATCH_BYTES}
     * @param out receives 16 FP32 results
     */
    static void panel(PackedMatrix matrix, int panel, IntegerRows x, int row, long scratch, long out) {
        IntegerFold fold = new IntegerFold(matrix, panel);
        int chunks = IntegerFold.per16(matrix) ? 4 : 8;
        int run = matrix.maximumMagnitude() <= SMALL ? 4 : 1;
        int parts = IntegerFold.parts(matrix, x);
        Lanes.clear(out, 64 / BYTES);
        for (int first = 0; first < parts; first += IntegerFold.PARTS) {
            int count = Math.min(IntegerFold.PARTS, parts - first);
            long weights = UnpackLevels.parts(matrix, panel, first, count, scratch + IntegerFold.SCRATCH_BYTES);
            long words = x.words(row) + (long) first * chunks * 8;
            for (int v = 0; v < 64 / BYTES; v += 2) {
                if (run == 1) {
                    sums(weights + (long) v * BYTES, words, chunks / 2, count, scratch);
                } else {
                    smallSums(weights + (long) v * BYTES, words, chunks / 2, count, scratch);
                }
                fold.fold(scratch, 2 * BYTES, false, first, count, v, x, row, out + (long) v * BYTES);
            }
        }
    }

    /** Sums of {@code count} parts of {@code pairs} pairs of chunks of 4 columns, as 32-bit integers. */
    private static void sums(long weights, long words, int pairs, int count, long scratch) {
        long firstWeight = weights & ADDRESS;
        long firstWord = words & ADDRESS;
        long target = scratch & ADDRESS;
        for (int part = 0; part < count; part++) {
            IntVector s0 = IntVector.zero(INTS);
            IntVector s1 = IntVector.zero(INTS);
            for (int c = part * pairs; c < (part + 1) * pairs; c++) {
                long w = firstWeight + (c * 128 & OFFSET);
                long p = firstWord + (c * 16 & OFFSET);
                ShortVector x0 = IntVector.broadcast(INTS, MEMORY.get(INT, p)).reinterpretAsShorts();
                ShortVector x1 =
                        IntVector.broadcast(INTS, MEMORY.get(INT, p + 8)).reinterpretAsShorts();
                ShortVector w0 = ShortVector.fromMemorySegment(SHORTS, MEMORY, w, ORDER);
                ShortVector w1 = ShortVector.fromMemorySegment(SHORTS, MEMORY, w + BYTES, ORDER);
                IntVector p0 = w0.lanewise(VectorOperators.LSHL, 8)
                        .lanewise(VectorOperators.ASHR, 8)
                        .mul(x0)
                        .add(w0.lanewise(VectorOperators.ASHR, 8).mul(x1))
                        .reinterpretAsInts();
                IntVector p1 = w1.lanewise(VectorOperators.LSHL, 8)
                        .lanewise(VectorOperators.ASHR, 8)
                        .mul(x0)
                        .add(w1.lanewise(VectorOperators.ASHR, 8).mul(x1))
                        .reinterpretAsInts();
                s0 = s0.add(p0.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p0.lanewise(VectorOperators.ASHR, 16));
                s1 = s1.add(p1.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p1.lanewise(VectorOperators.ASHR, 16));
                x0 = IntVector.broadcast(INTS, MEMORY.get(INT, p + 4)).reinterpretAsShorts();
                x1 = IntVector.broadcast(INTS, MEMORY.get(INT, p + 12)).reinterpretAsShorts();
                w0 = ShortVector.fromMemorySegment(SHORTS, MEMORY, w + 64, ORDER);
                w1 = ShortVector.fromMemorySegment(SHORTS, MEMORY, w + 64 + BYTES, ORDER);
                p0 = w0.lanewise(VectorOperators.LSHL, 8)
                        .lanewise(VectorOperators.ASHR, 8)
                        .mul(x0)
                        .add(w0.lanewise(VectorOperators.ASHR, 8).mul(x1))
                        .reinterpretAsInts();
                p1 = w1.lanewise(VectorOperators.LSHL, 8)
                        .lanewise(VectorOperators.ASHR, 8)
                        .mul(x0)
                        .add(w1.lanewise(VectorOperators.ASHR, 8).mul(x1))
                        .reinterpretAsInts();
                s0 = s0.add(p0.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p0.lanewise(VectorOperators.ASHR, 16));
                s1 = s1.add(p1.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p1.lanewise(VectorOperators.ASHR, 16));
            }
            s0.intoMemorySegment(MEMORY, target + (part * 2 * BYTES & OFFSET), ORDER);
            s1.intoMemorySegment(MEMORY, target + (part * 2 * BYTES & OFFSET) + BYTES, ORDER);
        }
    }

    /** The same for magnitudes up to {@link #SMALL}: widened after two pairs of chunks. */
    private static void smallSums(long weights, long words, int pairs, int count, long scratch) {
        long firstWeight = weights & ADDRESS;
        long firstWord = words & ADDRESS;
        long target = scratch & ADDRESS;
        for (int part = 0; part < count; part++) {
            IntVector s0 = IntVector.zero(INTS);
            IntVector s1 = IntVector.zero(INTS);
            for (int two = part * pairs; two < (part + 1) * pairs; two += 2) {
                ShortVector a0 = ShortVector.zero(SHORTS);
                ShortVector a1 = ShortVector.zero(SHORTS);
                for (int c = two; c < two + 2; c++) {
                    long w = firstWeight + (c * 128 & OFFSET);
                    long p = firstWord + (c * 16 & OFFSET);
                    ShortVector x0 =
                            IntVector.broadcast(INTS, MEMORY.get(INT, p)).reinterpretAsShorts();
                    ShortVector x1 =
                            IntVector.broadcast(INTS, MEMORY.get(INT, p + 8)).reinterpretAsShorts();
                    ShortVector w0 = ShortVector.fromMemorySegment(SHORTS, MEMORY, w, ORDER);
                    ShortVector w1 = ShortVector.fromMemorySegment(SHORTS, MEMORY, w + BYTES, ORDER);
                    a0 = a0.add(w0.lanewise(VectorOperators.LSHL, 8)
                                    .lanewise(VectorOperators.ASHR, 8)
                                    .mul(x0))
                            .add(w0.lanewise(VectorOperators.ASHR, 8).mul(x1));
                    a1 = a1.add(w1.lanewise(VectorOperators.LSHL, 8)
                                    .lanewise(VectorOperators.ASHR, 8)
                                    .mul(x0))
                            .add(w1.lanewise(VectorOperators.ASHR, 8).mul(x1));
                    x0 = IntVector.broadcast(INTS, MEMORY.get(INT, p + 4)).reinterpretAsShorts();
                    x1 = IntVector.broadcast(INTS, MEMORY.get(INT, p + 12)).reinterpretAsShorts();
                    w0 = ShortVector.fromMemorySegment(SHORTS, MEMORY, w + 64, ORDER);
                    w1 = ShortVector.fromMemorySegment(SHORTS, MEMORY, w + 64 + BYTES, ORDER);
                    a0 = a0.add(w0.lanewise(VectorOperators.LSHL, 8)
                                    .lanewise(VectorOperators.ASHR, 8)
                                    .mul(x0))
                            .add(w0.lanewise(VectorOperators.ASHR, 8).mul(x1));
                    a1 = a1.add(w1.lanewise(VectorOperators.LSHL, 8)
                                    .lanewise(VectorOperators.ASHR, 8)
                                    .mul(x0))
                            .add(w1.lanewise(VectorOperators.ASHR, 8).mul(x1));
                }
                IntVector p0 = a0.reinterpretAsInts();
                IntVector p1 = a1.reinterpretAsInts();
                s0 = s0.add(p0.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p0.lanewise(VectorOperators.ASHR, 16));
                s1 = s1.add(p1.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p1.lanewise(VectorOperators.ASHR, 16));
            }
            s0.intoMemorySegment(MEMORY, target + (part * 2 * BYTES & OFFSET), ORDER);
            s1.intoMemorySegment(MEMORY, target + (part * 2 * BYTES & OFFSET) + BYTES, ORDER);
        }
    }
}
