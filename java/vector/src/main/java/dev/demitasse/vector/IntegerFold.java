package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.ADDRESS;
import static dev.demitasse.vector.Lanes.BYTES;
import static dev.demitasse.vector.Lanes.FLOAT;
import static dev.demitasse.vector.Lanes.FLOATS;
import static dev.demitasse.vector.Lanes.INTS;
import static dev.demitasse.vector.Lanes.MEMORY;
import static dev.demitasse.vector.Lanes.ORDER;

import dev.demitasse.cpu.PackedMatrix;
import dev.demitasse.quant.WeightLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * From the integer sums of groups to the result: {@code out += s_a (s_w products + m_w inputs)}, group after group, for
 * one panel and one row of activations. Where the layout has no minimum but a zero, {@code zero inputs} is taken off
 * the products.
 *
 * <p>The kernels leave their sums in scratch, one part (a group of 32 columns, or half of it where weights have a scale
 * for 16) after the other, and this folds them; so all tiles give the same bits, and each loop stays small enough to be
 * compiled whole.
 */
final class IntegerFold {
    /** Parts that a kernel sums before they are folded. */
    static final int PARTS = 16;
    /** Bytes of scratch for the sums of four rows. */
    static final int SCRATCH_BYTES = PARTS * 4 * 64;

    private static final int PANEL_BYTES = PackedMatrix.PANEL * Float.BYTES;

    private final long scales;
    private final long mins;
    private final boolean minimum;
    private final float zero;
    /** Whether a part is 16 columns of a group of activations. */
    private final boolean per16;
    /** log2 of the parts that share a scale; 31 where all do. */
    private final int scaleShift;

    /** For one panel of a matrix. */
    IntegerFold(PackedMatrix matrix, int panel) {
        long offset = (long) panel * matrix.groups() * PANEL_BYTES;
        this.scales = matrix.scales().address() + offset;
        this.mins = matrix.mins().address() + offset;
        this.minimum = matrix.layout().minimum();
        this.zero = minimum ? 0 : matrix.layout().zero();
        this.per16 = per16(matrix);
        this.scaleShift = matrix.layout().group() == WeightLayout.ROW
                ? 31
                : Integer.numberOfTrailingZeros(Math.max(1, matrix.group() / 32));
    }

    /** Whether the matrix has a scale for 16 columns, so that a part is 16 columns of a group of activations. */
    static boolean per16(PackedMatrix matrix) {
        return matrix.group() == 16;
    }

    /** Parts of a row of activations. */
    static int parts(PackedMatrix matrix, IntegerRows x) {
        return per16(matrix) ? 2 * x.groups() : x.groups();
    }

    /**
     * Folds {@code count} parts from {@code first} on into two vectors of the panel's rows.
     *
     * @param sums the two vectors' sums of the first part: 32-bit integers, or pairs of 16-bit ones to be added
     * @param stride bytes from one part's sums to the next's
     * @param pairs which of both they are
     * @param vector the first of the two vectors
     * @param out FP32 results of the two vectors, added to
     */
    void fold(
            long sums, long stride, boolean pairs, int first, int count, int vector, IntegerRows x, int row, long out) {
        FloatVector out0 = FloatVector.fromMemorySegment(FLOATS, MEMORY, out & ADDRESS, ORDER);
        FloatVector out1 = FloatVector.fromMemorySegment(FLOATS, MEMORY, out + BYTES & ADDRESS, ORDER);
        long inputs = per16 ? x.sums16(row) : x.sums(row);
        for (int i = 0; i < count; i++) {
            int part = first + i;
            IntVector p0 = IntVector.fromMemorySegment(INTS, MEMORY, sums + i * stride & ADDRESS, ORDER);
            IntVector p1 = IntVector.fromMemorySegment(INTS, MEMORY, sums + i * stride + BYTES & ADDRESS, ORDER);
            if (pairs) {
                p0 = p0.lanewise(VectorOperators.LSHL, 16)
                        .lanewise(VectorOperators.ASHR, 16)
                        .add(p0.lanewise(VectorOperators.ASHR, 16));
                p1 = p1.lanewise(VectorOperators.LSHL, 16)
                        .lanewise(VectorOperators.ASHR, 16)
                        .add(p1.lanewise(VectorOperators.ASHR, 16));
            }
            FloatVector f0 = (FloatVector) p0.convertShape(VectorOperators.I2F, FLOATS, 0);
            FloatVector f1 = (FloatVector) p1.convertShape(VectorOperators.I2F, FLOATS, 0);
            long at = (long) (part >> scaleShift) * PANEL_BYTES + (long) vector * BYTES;
            float input = MEMORY.get(FLOAT, inputs + part * 4L & ADDRESS);
            FloatVector s0 = FloatVector.fromMemorySegment(FLOATS, MEMORY, scales + at & ADDRESS, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(FLOATS, MEMORY, scales + at + BYTES & ADDRESS, ORDER);
            if (minimum) {
                f0 = s0.fma(
                        f0,
                        FloatVector.fromMemorySegment(FLOATS, MEMORY, mins + at & ADDRESS, ORDER)
                                .mul(input));
                f1 = s1.fma(
                        f1,
                        FloatVector.fromMemorySegment(FLOATS, MEMORY, mins + at + BYTES & ADDRESS, ORDER)
                                .mul(input));
            } else {
                f0 = s0.mul(f0.sub(zero * input)); // exact: integers below 2^24
                f1 = s1.mul(f1.sub(zero * input));
            }
            float scale = MEMORY.get(FLOAT, x.scales(row) + (per16 ? part / 2 : part) * 4L & ADDRESS);
            FloatVector activation = FloatVector.broadcast(FLOATS, scale);
            out0 = f0.fma(activation, out0);
            out1 = f1.fma(activation, out1);
        }
        out0.intoMemorySegment(MEMORY, out & ADDRESS, ORDER);
        out1.intoMemorySegment(MEMORY, out + BYTES & ADDRESS, ORDER);
    }

    /**
     * Folds {@code count} parts from {@code first} on into one vector of the panel's rows, for four rows of activations
     * at once.
     *
     * @param sums the vector's sums of the first part and row; those of the next row lie 2 vectors further, of the next
     *     part 8
     * @param one 1, as a variable: the compiler would unroll a loop of known stride, and then lack registers
     * @param vector which vector
     * @param out FP32 results of the first row, added to; the next row's lie 64 bytes further
     */
    void foldFour(
            long sums, boolean pairs, int first, int count, int one, int vector, IntegerRows x, int row, long out) {
        FloatVector o0 = FloatVector.fromMemorySegment(FLOATS, MEMORY, out + 0 & ADDRESS, ORDER);
        FloatVector o1 = FloatVector.fromMemorySegment(FLOATS, MEMORY, out + 64 & ADDRESS, ORDER);
        FloatVector o2 = FloatVector.fromMemorySegment(FLOATS, MEMORY, out + 128 & ADDRESS, ORDER);
        FloatVector o3 = FloatVector.fromMemorySegment(FLOATS, MEMORY, out + 192 & ADDRESS, ORDER);
        FloatVector none = FloatVector.zero(FLOATS);
        long inputs = per16 ? x.sums16(row) : x.sums(row);
        long inputStride = per16 ? 2 * x.scaleStride() : x.scaleStride();
        long activations = x.scales(row);
        long activationStride = x.scaleStride();
        for (int i = 0; i < count; i += one) {
            int part = first + i;
            long at = (long) (part >> scaleShift) * PANEL_BYTES + (long) vector * BYTES;
            FloatVector s = FloatVector.fromMemorySegment(FLOATS, MEMORY, scales + at & ADDRESS, ORDER);
            FloatVector m = minimum ? FloatVector.fromMemorySegment(FLOATS, MEMORY, mins + at & ADDRESS, ORDER) : none;
            long inputAt = inputs + part * 4L;
            float input;
            long activation = activations + (per16 ? part >> 1 : part) * 4L;
            long from = sums + (long) i * 8 * BYTES;
            IntVector p = IntVector.fromMemorySegment(INTS, MEMORY, from + 0 * BYTES & ADDRESS, ORDER);
            if (pairs) {
                p = p.lanewise(VectorOperators.LSHL, 16)
                        .lanewise(VectorOperators.ASHR, 16)
                        .add(p.lanewise(VectorOperators.ASHR, 16));
            }
            FloatVector f = (FloatVector) p.convertShape(VectorOperators.I2F, FLOATS, 0);
            input = MEMORY.get(FLOAT, inputAt & ADDRESS);
            f = s.fma(f.sub(zero * input), m.mul(input));
            o0 = f.fma(FloatVector.broadcast(FLOATS, MEMORY.get(FLOAT, activation & ADDRESS)), o0);
            p = IntVector.fromMemorySegment(INTS, MEMORY, from + 2 * BYTES & ADDRESS, ORDER);
            if (pairs) {
                p = p.lanewise(VectorOperators.LSHL, 16)
                        .lanewise(VectorOperators.ASHR, 16)
                        .add(p.lanewise(VectorOperators.ASHR, 16));
            }
            f = (FloatVector) p.convertShape(VectorOperators.I2F, FLOATS, 0);
            input = MEMORY.get(FLOAT, inputAt + 1 * inputStride & ADDRESS);
            f = s.fma(f.sub(zero * input), m.mul(input));
            o1 = f.fma(
                    FloatVector.broadcast(FLOATS, MEMORY.get(FLOAT, activation + 1 * activationStride & ADDRESS)), o1);
            p = IntVector.fromMemorySegment(INTS, MEMORY, from + 4 * BYTES & ADDRESS, ORDER);
            if (pairs) {
                p = p.lanewise(VectorOperators.LSHL, 16)
                        .lanewise(VectorOperators.ASHR, 16)
                        .add(p.lanewise(VectorOperators.ASHR, 16));
            }
            f = (FloatVector) p.convertShape(VectorOperators.I2F, FLOATS, 0);
            input = MEMORY.get(FLOAT, inputAt + 2 * inputStride & ADDRESS);
            f = s.fma(f.sub(zero * input), m.mul(input));
            o2 = f.fma(
                    FloatVector.broadcast(FLOATS, MEMORY.get(FLOAT, activation + 2 * activationStride & ADDRESS)), o2);
            p = IntVector.fromMemorySegment(INTS, MEMORY, from + 6 * BYTES & ADDRESS, ORDER);
            if (pairs) {
                p = p.lanewise(VectorOperators.LSHL, 16)
                        .lanewise(VectorOperators.ASHR, 16)
                        .add(p.lanewise(VectorOperators.ASHR, 16));
            }
            f = (FloatVector) p.convertShape(VectorOperators.I2F, FLOATS, 0);
            input = MEMORY.get(FLOAT, inputAt + 3 * inputStride & ADDRESS);
            f = s.fma(f.sub(zero * input), m.mul(input));
            o3 = f.fma(
                    FloatVector.broadcast(FLOATS, MEMORY.get(FLOAT, activation + 3 * activationStride & ADDRESS)), o3);
        }
        o0.intoMemorySegment(MEMORY, out + 0 & ADDRESS, ORDER);
        o1.intoMemorySegment(MEMORY, out + 64 & ADDRESS, ORDER);
        o2.intoMemorySegment(MEMORY, out + 128 & ADDRESS, ORDER);
        o3.intoMemorySegment(MEMORY, out + 192 & ADDRESS, ORDER);
    }
}
