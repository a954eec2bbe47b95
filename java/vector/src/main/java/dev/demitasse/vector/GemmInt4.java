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
 * Computes: {@link GemvInt4} for a block of rows of activations.
 *
 * <p>Layout, Requires, Accuracy: as {@link GemvInt4}, and the same bits. Nibbles are unpacked to 16-bit lanes first,
 * {@code [step][16 panel rows × 2]}: a step is one nibble of every lane, 2 columns of 16 rows, and meets one word of
 * activations.
 *
 * <p>Launch: one task a panel and a block of rows; a tile is 16 panel rows × 4 activation rows in two vectors × 4 sums.
 *
 * <p>Moves: weights once for the block; a step and row take 4 operations for 64 products, 16 products an operation,
 * where FP32 FMA has 8 but only two of four pipes: at most 32 against 16 a cycle on Zen 3.
 *
 * <p>Why: unpacking once for 16 tiles leaves loops of linear addresses, out of which the compiler takes the bounds
 * checks; with the nibbles taken out in the tile, prefill was 1.4 times slower. Eight 16-bit sums, two weights and an
 * activation fit 16 registers.
 */
final class GemmInt4 {
    private static final short MASK = 15;

    private GemmInt4() {}

    /** Unpacks {@code count} parts of a panel from {@code first} on to steps. */
    static void unpack(PackedMatrix matrix, int panel, int first, int count, long steps) {
        int chunks = IntegerFold.per16(matrix) ? 2 : 4;
        long weights = matrix.quants().address() + panel * matrix.panelBytes() + (long) first * chunks * 64;
        for (int i = 0; i < count * chunks * 64 / BYTES; i++) {
            ShortVector w = ShortVector.fromMemorySegment(SHORTS, MEMORY, weights + (long) i * BYTES & ADDRESS, ORDER);
            long to = steps + i * BYTES / 64 * 256 + i * BYTES % 64 & ADDRESS;
            w.and(MASK).intoMemorySegment(MEMORY, to, ORDER);
            w.lanewise(VectorOperators.LSHR, 4).and(MASK).intoMemorySegment(MEMORY, to + 64, ORDER);
            w.lanewise(VectorOperators.LSHR, 8).and(MASK).intoMemorySegment(MEMORY, to + 128, ORDER);
            w.lanewise(VectorOperators.LSHR, 12).intoMemorySegment(MEMORY, to + 192, ORDER);
        }
    }

    /**
     * Sums of two vectors of panel rows by four rows of activations, as pairs of 16-bit integers.
     *
     * @param steps the two vectors' first step; steps lie 64 bytes apart
     * @param p0 words of the first row, {@code stride} bytes before the next row's
     * @param length steps of a part, 16 or 8
     * @param four 4, as a variable: the compiler would unroll a loop of known stride, and then lack registers
     * @param sums receives [part][row][2 vectors]
     */
    static void sums(long steps, long p0, long stride, int length, int four, int count, long sums) {
        long w = steps & ADDRESS;
        long q0 = p0 & ADDRESS;
        long q1 = p0 + stride & ADDRESS;
        long q2 = p0 + 2 * stride & ADDRESS;
        long q3 = p0 + 3 * stride & ADDRESS;
        long target = sums & ADDRESS;
        for (int part = 0; part < count; part++) {
            ShortVector a00 = ShortVector.zero(SHORTS);
            ShortVector a01 = ShortVector.zero(SHORTS);
            ShortVector a10 = ShortVector.zero(SHORTS);
            ShortVector a11 = ShortVector.zero(SHORTS);
            ShortVector a20 = ShortVector.zero(SHORTS);
            ShortVector a21 = ShortVector.zero(SHORTS);
            ShortVector a30 = ShortVector.zero(SHORTS);
            ShortVector a31 = ShortVector.zero(SHORTS);
            int end = (part + 1) * length * 4;
            for (int at = part * length * 4; at < end; at += four) {
                long word = at & OFFSET;
                ShortVector w0 = ShortVector.fromMemorySegment(SHORTS, MEMORY, w + word * 16, ORDER);
                ShortVector w1 = ShortVector.fromMemorySegment(SHORTS, MEMORY, w + word * 16 + BYTES, ORDER);
                ShortVector x =
                        IntVector.broadcast(INTS, MEMORY.get(INT, q0 + word)).reinterpretAsShorts();
                a00 = a00.add(w0.mul(x));
                a01 = a01.add(w1.mul(x));
                x = IntVector.broadcast(INTS, MEMORY.get(INT, q1 + word)).reinterpretAsShorts();
                a10 = a10.add(w0.mul(x));
                a11 = a11.add(w1.mul(x));
                x = IntVector.broadcast(INTS, MEMORY.get(INT, q2 + word)).reinterpretAsShorts();
                a20 = a20.add(w0.mul(x));
                a21 = a21.add(w1.mul(x));
                x = IntVector.broadcast(INTS, MEMORY.get(INT, q3 + word)).reinterpretAsShorts();
                a30 = a30.add(w0.mul(x));
                a31 = a31.add(w1.mul(x));
            }
            long to = target + (part * 8 * BYTES & OFFSET);
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
