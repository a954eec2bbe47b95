package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.WIDTH;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Computes: INT8 activations per group of 32 columns: {@code scale = max|x| / 127}, {@code q = round(x * (127 /
 * max|x|))}, ties to even. A group whose 127 / max|x| is infinite (max|x| below 3.7e-37) counts as zeros, with scale 0;
 * one with NaN or an infinity has integers 0 and scale NaN, which makes all results of its row NaN.
 *
 * <p>Layout: in: FP32 rows. Out: per row and eight columns four 32-bit words of two 16-bit integers, (0, 2), (4, 6),
 * (1, 3), (5, 7), which is the order in which nibbles lie in the 16-bit lanes of {@link GemvInt4}; FP32 scales and sums
 * of each group; FP32 sums of 16 columns each.
 *
 * <p>Requires: nothing of the columns; the last group is filled with zeros.
 *
 * <p>Accuracy: the reference's integers exactly: rounding by adding 1.5 · 2^23 is to nearest even, as Math.rint. Sums
 * are integers below 2^24, so exact in FP32.
 *
 * <p>Moves: 4 bytes read and 2.4 written a column.
 *
 * <p>Why: 16-bit lanes multiply twice as many weights an instruction as FP32 lanes, and the Vector API has no 8-bit dot
 * product.
 */
final class QuantizeRows {
    private static final float ROUND = 12582912f;
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final int GROUP = 32;

    private QuantizeRows() {}

    /** The largest magnitude of {@code count} elements; NaN where one is. */
    private static float maximum(long x, int count) {
        FloatVector largest = FloatVector.zero(Lanes.FLOATS);
        int full = count / WIDTH * WIDTH;
        for (int i = 0; i < full; i += WIDTH) {
            largest = largest.max(Lanes.floats(x + i * 4L).abs());
        }
        float maximum = largest.reduceLanes(VectorOperators.MAX);
        for (int i = full; i < count; i++) {
            maximum = Math.max(maximum, Math.abs(Lanes.get(x + i * 4L)));
        }
        return maximum;
    }

    /**
     * Rounds one group of {@code count} ≤ 32 elements at {@code x} to 32 FP32 integers at {@code q}; returns the scale.
     */
    static float group(long x, int count, float maximum, long q) {
        int full = count / WIDTH * WIDTH;
        float inverse = 127 / maximum;
        if (!(inverse > 0 && inverse <= Float.MAX_VALUE)) {
            return zeros(maximum, q);
        }
        for (int i = 0; i < full; i += WIDTH) {
            Lanes.store(Lanes.floats(x + i * 4L).mul(inverse).add(ROUND).sub(ROUND), q + i * 4L);
        }
        for (int i = full; i < GROUP; i++) {
            Lanes.set(q + i * 4L, i < count ? Lanes.get(x + i * 4L) * inverse + ROUND - ROUND : 0);
        }
        return maximum / 127;
    }

    /**
     * Zeros for a group that cannot be rounded; returns its scale. Apart, so that what is compiled for all others stays
     * small.
     */
    private static float zeros(float maximum, long q) {
        for (int i = 0; i < GROUP; i++) {
            Lanes.set(q + i * 4L, 0);
        }
        return maximum < 1 ? 0 : Float.NaN;
    }

    /**
     * Quantizes a row of {@code columns} for the integer kernels.
     *
     * @param perRow whether the row has one scale, which its groups repeat
     * @param scratch 32 FP32 elements
     */
    static void pairs(
            long x, int columns, boolean perRow, long words, long scales, long sums, long sums16, long scratch) {
        float rowMaximum = perRow ? maximum(x, columns) : 0;
        for (int from = 0, g = 0; from < columns; from += GROUP, g++) {
            int count = Math.min(GROUP, columns - from);
            float maximum = perRow ? rowMaximum : maximum(x + from * 4L, count);
            Lanes.set(scales + g * 4L, group(x + from * 4L, count, maximum, scratch));
            int first = sum16(scratch, words + from * 2L);
            int second = sum16(scratch + 64, words + from * 2L + 32);
            Lanes.set(sums16 + g * 8L, first);
            Lanes.set(sums16 + g * 8L + 4, second);
            Lanes.set(sums + g * 4L, first + second);
        }
    }

    /** Packs 16 integers to 8 words; returns their sum. */
    private static int sum16(long integers, long words) {
        IntVector total = IntVector.zero(Lanes.INTS);
        for (int k = 0; k < GROUP / 2; k += 8) {
            for (int i = 0; i < 8; i += WIDTH) {
                IntVector q = (IntVector)
                        Lanes.floats(integers + (k + i) * 4L).convertShape(VectorOperators.F2I, Lanes.INTS, 0);
                total = total.add(q);
                q.intoMemorySegment(Lanes.MEMORY, integers + (k + i) * 4L, Lanes.ORDER);
            }
            pack(integers + k * 4L, words + k * 2L);
        }
        return total.reduceLanes(VectorOperators.ADD);
    }

    /** Columns 0, 4, 1, 5 with columns 2, 6, 3, 7 in the upper halves. */
    private static void pack(long q, long words) {
        for (int i = 0; i < 4; i++) {
            int low = (i & 1) * 4 + (i >> 1);
            int first = Lanes.MEMORY.get(Lanes.INT, q + low * 4L);
            int second = Lanes.MEMORY.get(Lanes.INT, q + low * 4L + 8);
            Lanes.setInt(words + i * 4L, first & 0xFFFF | second << 16);
        }
    }

    /** Quantizes a row of a multiple of 32 columns to bytes. */
    static void bytes(long x, int columns, long q, long scales, long scratch) {
        for (int from = 0, g = 0; from < columns; from += GROUP, g++) {
            Lanes.set(scales + g * 4L, group(x + from * 4L, GROUP, maximum(x + from * 4L, GROUP), scratch));
            for (int k = 0; k < GROUP; k++) {
                Lanes.MEMORY.set(BYTE, q + from + k, (byte) Lanes.get(scratch + k * 4L));
            }
        }
    }
}
