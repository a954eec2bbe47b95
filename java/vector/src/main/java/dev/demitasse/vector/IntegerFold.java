package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.BYTES;
import static dev.demitasse.vector.Lanes.FLOAT;
import static dev.demitasse.vector.Lanes.FLOATS;
import static dev.demitasse.vector.Lanes.INTS;
import static dev.demitasse.vector.Lanes.MEMORY;
import static dev.demitasse.vector.Lanes.ORDER;

import dev.demitasse.quant.PackedMatrix;
import dev.demitasse.quant.WeightLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * From the integer sums of groups to the result: {@code out += s_a (s_w products + m_w inputs)}, group after group, for one panel
 * and one row of activations.
 *
 * <p>The kernels leave their sums in scratch, one part (a group of 32 columns, or half of it where weights have a scale for 16)
 * after the other, and this folds them; so all tiles give the same bits, and each loop stays small enough to be compiled whole.
 */
final class IntegerFold {
    /** Parts that a kernel sums before they are folded. */
    static final int PARTS = 32;
    /** Bytes of scratch for the sums of four rows. */
    static final int SCRATCH_BYTES = PARTS * 4 * 64;

    private static final int PANEL_BYTES = PackedMatrix.PANEL * Float.BYTES;

    private final long scales;
    private final long mins;
    private final boolean minimum;
    private final float zero;
    /** Whether a part is half a group of activations. */
    private final boolean halves;
    /** Parts that share a scale. */
    private final int partsPerScale;

    /** For one panel of a matrix. */
    IntegerFold(PackedMatrix matrix, int panel) {
        long offset = (long) panel * matrix.groups() * PANEL_BYTES;
        this.scales = matrix.scales().address() + offset;
        this.mins = matrix.mins().address() + offset;
        this.minimum = matrix.layout().minimum();
        this.zero = matrix.layout().zero();
        this.halves = halves(matrix);
        this.partsPerScale =
                matrix.layout().group() == WeightLayout.ROW ? Integer.MAX_VALUE : Math.max(1, matrix.group() / 32);
    }

    /** Whether the matrix has a scale for 16 columns, so that a part is half a group of activations. */
    static boolean halves(PackedMatrix matrix) {
        return matrix.group() == 16;
    }

    /** Parts of a row of activations. */
    static int parts(PackedMatrix matrix, IntegerRows x) {
        return halves(matrix) ? 2 * x.groups() : x.groups();
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
    void fold(long sums, long stride, boolean pairs, int first, int count, int vector, IntegerRows x, int row, long out) {
        FloatVector out0 = FloatVector.fromMemorySegment(FLOATS, MEMORY, out, ORDER);
        FloatVector out1 = FloatVector.fromMemorySegment(FLOATS, MEMORY, out + BYTES, ORDER);
        long inputs = halves ? x.halfSums(row) : x.sums(row);
        for (int i = 0; i < count; i++) {
            int part = first + i;
            IntVector p0 = IntVector.fromMemorySegment(INTS, MEMORY, sums + i * stride, ORDER);
            IntVector p1 = IntVector.fromMemorySegment(INTS, MEMORY, sums + i * stride + BYTES, ORDER);
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
            long at = (long) (part / partsPerScale) * PANEL_BYTES + (long) vector * BYTES;
            float input = MEMORY.get(FLOAT, inputs + part * 4L);
            FloatVector s0 = FloatVector.fromMemorySegment(FLOATS, MEMORY, scales + at, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(FLOATS, MEMORY, scales + at + BYTES, ORDER);
            if (minimum) {
                FloatVector m0 = FloatVector.fromMemorySegment(FLOATS, MEMORY, mins + at, ORDER);
                FloatVector m1 = FloatVector.fromMemorySegment(FLOATS, MEMORY, mins + at + BYTES, ORDER);
                f0 = s0.fma(f0, m0.mul(input));
                f1 = s1.fma(f1, m1.mul(input));
            } else {
                f0 = s0.mul(f0.sub(input * zero));
                f1 = s1.mul(f1.sub(input * zero));
            }
            float scale = MEMORY.get(FLOAT, x.scales(row) + (halves ? part / 2 : part) * 4L);
            FloatVector activation = FloatVector.broadcast(FLOATS, scale);
            out0 = f0.fma(activation, out0);
            out1 = f1.fma(activation, out1);
        }
        out0.intoMemorySegment(MEMORY, out, ORDER);
        out1.intoMemorySegment(MEMORY, out + BYTES, ORDER);
    }
}
