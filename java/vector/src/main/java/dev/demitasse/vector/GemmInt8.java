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
 * Computes: {@link GemvInt8} for four rows of activations at once.
 *
 * <p>Layout, Requires, Accuracy: as {@link GemvInt8}, and the same bits.
 *
 * <p>Launch: one task a block of panels and rows; a tile is one vector of panel rows × 4 activation rows.
 *
 * <p>Moves: weights once for four rows; for 32 weights of a vector 3 operations to take out bytes and 8 a row to multiply, add and
 * widen (5 with small magnitudes), so 14 (21) products a cycle on Zen 3's four pipes.
 *
 * <p>Why: one vector at a time keeps 32-bit sums, bytes and activations within 16 registers.
 */
final class GemmInt8 {
    /** Activation rows of a tile. */
    static final int ROWS = 4;

    private GemmInt8() {}

    /**
     * One panel by rows {@code row … row + 3} of {@code x}.
     *
     * @param scratch {@link IntegerFold#SCRATCH_BYTES}
     * @param out receives 4 × 16 FP32 results, row after row
     */
    static void panel(PackedMatrix matrix, int panel, IntegerRows x, int row, long scratch, long out) {
        IntegerFold fold = new IntegerFold(matrix, panel);
        int chunks = IntegerFold.halves(matrix) ? 4 : 8;
        boolean small = matrix.maximumMagnitude() <= GemvInt8.SMALL;
        int parts = IntegerFold.parts(matrix, x);
        Lanes.clear(out, ROWS * 64 / BYTES);
        for (int v = 0; v < 64 / BYTES; v += 2) {
            for (int first = 0; first < parts; first += IntegerFold.PARTS) {
                int count = Math.min(IntegerFold.PARTS, parts - first);
                long weights = matrix.quants().address() + panel * matrix.panelBytes() + (long) first * chunks * 64;
                long words = x.words(row) + (long) first * chunks * 8;
                for (int u = 0; u < 2; u++) {
                    long vector = weights + (long) (v + u) * BYTES;
                    if (small) {
                        smallSums(vector, words, x.wordStride(), chunks, count, scratch + (long) u * BYTES);
                    } else {
                        sums(vector, words, x.wordStride(), chunks, count, scratch + (long) u * BYTES);
                    }
                }
                for (int r = 0; r < ROWS; r++) {
                    long sums = scratch + r * 2L * BYTES;
                    long target = out + r * 64L + (long) v * BYTES;
                    fold.fold(sums, 2L * ROWS * BYTES, false, first, count, v, x, row + r, target);
                }
            }
        }
    }

    /** Sums of one vector for {@code count} parts of {@code chunks} chunks of 4 columns, as 32-bit integers. */
    private static void sums(long weights, long p0, long stride, int chunks, int count, long scratch) {
        long p1 = p0 + stride;
        long p2 = p1 + stride;
        long p3 = p2 + stride;
        for (int part = 0; part < count; part++) {
            IntVector s0 = IntVector.zero(INTS);
            IntVector s1 = IntVector.zero(INTS);
            IntVector s2 = IntVector.zero(INTS);
            IntVector s3 = IntVector.zero(INTS);
            for (int c = part * chunks; c < (part + 1) * chunks; c++) {
                ShortVector w = ShortVector.fromMemorySegment(SHORTS, MEMORY, weights + c * 64L, ORDER);
                ShortVector low = w.lanewise(VectorOperators.LSHL, 8).lanewise(VectorOperators.ASHR, 8);
                ShortVector high = w.lanewise(VectorOperators.ASHR, 8);
                long at = c * 8L;
                ShortVector m = low.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p0 + at)).reinterpretAsShorts()).add(high.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p0 + at + 4)).reinterpretAsShorts()));
                IntVector p = m.reinterpretAsInts();
                s0 = s0.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16)).add(p.lanewise(VectorOperators.ASHR, 16));
                m = low.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p1 + at)).reinterpretAsShorts()).add(high.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p1 + at + 4)).reinterpretAsShorts()));
                p = m.reinterpretAsInts();
                s1 = s1.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16)).add(p.lanewise(VectorOperators.ASHR, 16));
                m = low.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p2 + at)).reinterpretAsShorts()).add(high.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p2 + at + 4)).reinterpretAsShorts()));
                p = m.reinterpretAsInts();
                s2 = s2.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16)).add(p.lanewise(VectorOperators.ASHR, 16));
                m = low.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p3 + at)).reinterpretAsShorts()).add(high.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p3 + at + 4)).reinterpretAsShorts()));
                p = m.reinterpretAsInts();
                s3 = s3.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16)).add(p.lanewise(VectorOperators.ASHR, 16));
            }
            long to = scratch + (long) part * 2 * ROWS * BYTES;
            s0.intoMemorySegment(MEMORY, to + 0 * BYTES, ORDER);
            s1.intoMemorySegment(MEMORY, to + 2 * BYTES, ORDER);
            s2.intoMemorySegment(MEMORY, to + 4 * BYTES, ORDER);
            s3.intoMemorySegment(MEMORY, to + 6 * BYTES, ORDER);
        }
    }

    /** The same for magnitudes up to {@link GemvInt8#SMALL}: widened after four chunks. */
    private static void smallSums(long weights, long p0, long stride, int chunks, int count, long scratch) {
        long p1 = p0 + stride;
        long p2 = p1 + stride;
        long p3 = p2 + stride;
        for (int part = 0; part < count; part++) {
            IntVector s0 = IntVector.zero(INTS);
            IntVector s1 = IntVector.zero(INTS);
            IntVector s2 = IntVector.zero(INTS);
            IntVector s3 = IntVector.zero(INTS);
            for (int four = part * chunks; four < (part + 1) * chunks; four += 4) {
                ShortVector a0 = ShortVector.zero(SHORTS);
                ShortVector a1 = ShortVector.zero(SHORTS);
                ShortVector a2 = ShortVector.zero(SHORTS);
                ShortVector a3 = ShortVector.zero(SHORTS);
                for (int c = four; c < four + 4; c++) {
                    ShortVector w = ShortVector.fromMemorySegment(SHORTS, MEMORY, weights + c * 64L, ORDER);
                    ShortVector low = w.lanewise(VectorOperators.LSHL, 8).lanewise(VectorOperators.ASHR, 8);
                    ShortVector high = w.lanewise(VectorOperators.ASHR, 8);
                    long at = c * 8L;
                    a0 = a0.add(low.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p0 + at)).reinterpretAsShorts())).add(high.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p0 + at + 4)).reinterpretAsShorts()));
                    a1 = a1.add(low.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p1 + at)).reinterpretAsShorts())).add(high.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p1 + at + 4)).reinterpretAsShorts()));
                    a2 = a2.add(low.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p2 + at)).reinterpretAsShorts())).add(high.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p2 + at + 4)).reinterpretAsShorts()));
                    a3 = a3.add(low.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p3 + at)).reinterpretAsShorts())).add(high.mul(IntVector.broadcast(INTS, MEMORY.get(INT, p3 + at + 4)).reinterpretAsShorts()));
                }
                IntVector p = a0.reinterpretAsInts();
                s0 = s0.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16)).add(p.lanewise(VectorOperators.ASHR, 16));
                p = a1.reinterpretAsInts();
                s1 = s1.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16)).add(p.lanewise(VectorOperators.ASHR, 16));
                p = a2.reinterpretAsInts();
                s2 = s2.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16)).add(p.lanewise(VectorOperators.ASHR, 16));
                p = a3.reinterpretAsInts();
                s3 = s3.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16)).add(p.lanewise(VectorOperators.ASHR, 16));
            }
            long to = scratch + (long) part * 2 * ROWS * BYTES;
            s0.intoMemorySegment(MEMORY, to + 0 * BYTES, ORDER);
            s1.intoMemorySegment(MEMORY, to + 2 * BYTES, ORDER);
            s2.intoMemorySegment(MEMORY, to + 4 * BYTES, ORDER);
            s3.intoMemorySegment(MEMORY, to + 6 * BYTES, ORDER);
        }
    }
}
