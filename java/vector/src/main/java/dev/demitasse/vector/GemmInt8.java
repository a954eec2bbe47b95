package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.ADDRESS;
import static dev.demitasse.vector.Lanes.BYTES;
import static dev.demitasse.vector.Lanes.INT;
import static dev.demitasse.vector.Lanes.INTS;
import static dev.demitasse.vector.Lanes.MEMORY;
import static dev.demitasse.vector.Lanes.OFFSET;
import static dev.demitasse.vector.Lanes.ORDER;
import static dev.demitasse.vector.Lanes.SHORTS;

import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Computes: {@link GemvInt8} for a block of rows of activations.
 *
 * <p>Layout, Requires, Accuracy: as {@link GemvInt8}, and the same bits. Bytes are unpacked to 16-bit lanes first, in
 * the steps of {@link GemmInt4}; so where magnitudes are at most 16, its sums serve, since 16 products of a step's lane
 * then fit 16 bits (16 · 16 · 127 = 32,512). Else a lane is widened after 2 steps (magnitudes up to 128) or 8 (up to
 * 32).
 *
 * <p>Launch: one task a panel and a block of rows; a tile is one vector of panel rows × 4 activation rows.
 *
 * <p>Moves: weights once for the block; two steps and a row take 3 operations to multiply and add and 5 to widen for 32
 * products.
 *
 * <p>Why: as {@link GemmInt4}; one vector at a time keeps 32-bit sums, products and activations within 16 registers.
 */
final class GemmInt8 {
    /** The largest magnitude with which 16 products fit 16 bits. */
    static final int TINY = 16;

    private GemmInt8() {}

    /** Unpacks {@code bytes} weights of a panel to steps. */
    static void unpack(long weights, int bytes, long steps) {
        for (int i = 0; i < bytes / 2 / BYTES; i++) {
            long from = weights + i * BYTES / 64 * 128 + i * BYTES % 64 & ADDRESS;
            long to = steps + i * BYTES / 64 * 256 + i * BYTES % 64 & ADDRESS;
            ShortVector w0 = ShortVector.fromMemorySegment(SHORTS, MEMORY, from, ORDER);
            ShortVector w1 = ShortVector.fromMemorySegment(SHORTS, MEMORY, from + 64, ORDER);
            w0.lanewise(VectorOperators.LSHL, 8)
                    .lanewise(VectorOperators.ASHR, 8)
                    .intoMemorySegment(MEMORY, to, ORDER);
            w1.lanewise(VectorOperators.LSHL, 8)
                    .lanewise(VectorOperators.ASHR, 8)
                    .intoMemorySegment(MEMORY, to + 64, ORDER);
            w0.lanewise(VectorOperators.ASHR, 8).intoMemorySegment(MEMORY, to + 128, ORDER);
            w1.lanewise(VectorOperators.ASHR, 8).intoMemorySegment(MEMORY, to + 192, ORDER);
        }
    }

    /**
     * Sums of one vector of panel rows by four rows of activations, as 32-bit integers.
     *
     * @param steps the vector's first step; steps lie 64 bytes apart
     * @param p0 words of the first row, {@code stride} bytes before the next row's
     * @param length steps of a part, 16 or 8
     * @param run steps after which a lane is widened, 2 or 8
     * @param sums receives [part][row], 2 vectors apart
     */
    static void sums(long steps, long p0, long stride, int length, int run, int count, long sums) {
        long first = steps & ADDRESS;
        long q0 = p0 & ADDRESS;
        long q1 = p0 + stride & ADDRESS;
        long q2 = p0 + 2 * stride & ADDRESS;
        long q3 = p0 + 3 * stride & ADDRESS;
        long target = sums & ADDRESS;
        for (int part = 0; part < count; part++) {
            IntVector s0 = IntVector.zero(INTS);
            IntVector s1 = IntVector.zero(INTS);
            IntVector s2 = IntVector.zero(INTS);
            IntVector s3 = IntVector.zero(INTS);
            for (int from = part * length; from < (part + 1) * length; from += run) {
                ShortVector a0 = ShortVector.zero(SHORTS);
                ShortVector a1 = ShortVector.zero(SHORTS);
                ShortVector a2 = ShortVector.zero(SHORTS);
                ShortVector a3 = ShortVector.zero(SHORTS);
                for (int i = from; i < from + run; i++) {
                    int at = i * 4 & OFFSET;
                    int step = i * 64 & OFFSET;
                    ShortVector w = ShortVector.fromMemorySegment(SHORTS, MEMORY, first + step, ORDER);
                    a0 = a0.add(w.mul(
                            IntVector.broadcast(INTS, MEMORY.get(INT, q0 + at)).reinterpretAsShorts()));
                    a1 = a1.add(w.mul(
                            IntVector.broadcast(INTS, MEMORY.get(INT, q1 + at)).reinterpretAsShorts()));
                    a2 = a2.add(w.mul(
                            IntVector.broadcast(INTS, MEMORY.get(INT, q2 + at)).reinterpretAsShorts()));
                    a3 = a3.add(w.mul(
                            IntVector.broadcast(INTS, MEMORY.get(INT, q3 + at)).reinterpretAsShorts()));
                }
                IntVector p = a0.reinterpretAsInts();
                s0 = s0.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p.lanewise(VectorOperators.ASHR, 16));
                p = a1.reinterpretAsInts();
                s1 = s1.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p.lanewise(VectorOperators.ASHR, 16));
                p = a2.reinterpretAsInts();
                s2 = s2.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p.lanewise(VectorOperators.ASHR, 16));
                p = a3.reinterpretAsInts();
                s3 = s3.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p.lanewise(VectorOperators.ASHR, 16));
            }
            long to = target + (part * 8 * BYTES & OFFSET);
            s0.intoMemorySegment(MEMORY, to + 0 * BYTES, ORDER);
            s1.intoMemorySegment(MEMORY, to + 2 * BYTES, ORDER);
            s2.intoMemorySegment(MEMORY, to + 4 * BYTES, ORDER);
            s3.intoMemorySegment(MEMORY, to + 6 * BYTES, ORDER);
        }
    }

    /** The same with {@code run} = 2, written out: the common case of 8-bit weights. */
    static void wideSums(long steps, long p0, long stride, int length, int count, long sums) {
        long first = steps & ADDRESS;
        long q0 = p0 & ADDRESS;
        long q1 = p0 + stride & ADDRESS;
        long q2 = p0 + 2 * stride & ADDRESS;
        long q3 = p0 + 3 * stride & ADDRESS;
        long target = sums & ADDRESS;
        for (int part = 0; part < count; part++) {
            IntVector s0 = IntVector.zero(INTS);
            IntVector s1 = IntVector.zero(INTS);
            IntVector s2 = IntVector.zero(INTS);
            IntVector s3 = IntVector.zero(INTS);
            for (int i = part * length; i < (part + 1) * length; i += 2) {
                int at = i * 4 & OFFSET;
                int step = i * 64 & OFFSET;
                ShortVector w = ShortVector.fromMemorySegment(SHORTS, MEMORY, first + step, ORDER);
                ShortVector u = ShortVector.fromMemorySegment(SHORTS, MEMORY, first + step + 64, ORDER);
                IntVector p = w.mul(IntVector.broadcast(INTS, MEMORY.get(INT, q0 + at))
                                .reinterpretAsShorts())
                        .add(u.mul(IntVector.broadcast(INTS, MEMORY.get(INT, q0 + at + 4))
                                .reinterpretAsShorts()))
                        .reinterpretAsInts();
                s0 = s0.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p.lanewise(VectorOperators.ASHR, 16));
                p = w.mul(IntVector.broadcast(INTS, MEMORY.get(INT, q1 + at)).reinterpretAsShorts())
                        .add(u.mul(IntVector.broadcast(INTS, MEMORY.get(INT, q1 + at + 4))
                                .reinterpretAsShorts()))
                        .reinterpretAsInts();
                s1 = s1.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p.lanewise(VectorOperators.ASHR, 16));
                p = w.mul(IntVector.broadcast(INTS, MEMORY.get(INT, q2 + at)).reinterpretAsShorts())
                        .add(u.mul(IntVector.broadcast(INTS, MEMORY.get(INT, q2 + at + 4))
                                .reinterpretAsShorts()))
                        .reinterpretAsInts();
                s2 = s2.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p.lanewise(VectorOperators.ASHR, 16));
                p = w.mul(IntVector.broadcast(INTS, MEMORY.get(INT, q3 + at)).reinterpretAsShorts())
                        .add(u.mul(IntVector.broadcast(INTS, MEMORY.get(INT, q3 + at + 4))
                                .reinterpretAsShorts()))
                        .reinterpretAsInts();
                s3 = s3.add(p.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16))
                        .add(p.lanewise(VectorOperators.ASHR, 16));
            }
            long to = target + (part * 8 * BYTES & OFFSET);
            s0.intoMemorySegment(MEMORY, to + 0 * BYTES, ORDER);
            s1.intoMemorySegment(MEMORY, to + 2 * BYTES, ORDER);
            s2.intoMemorySegment(MEMORY, to + 4 * BYTES, ORDER);
            s3.intoMemorySegment(MEMORY, to + 6 * BYTES, ORDER);
        }
    }
}
