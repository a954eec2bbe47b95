package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.WIDTH;
import static dev.demitasse.vector.Lanes.floats;
import static dev.demitasse.vector.Lanes.store;

import jdk.incubator.vector.FloatVector;

/**
 * Computes: {@code out = x / sqrt(mean(x^2) + epsilon) * weight} of one row; NaN where the sum of squares is beyond
 * FP32.
 *
 * <p>Layout: FP32 rows; {@code out} may be {@code x}.
 *
 * <p>Requires: nothing.
 *
 * <p>Accuracy: four FP32 sums of squares, added in a fixed order.
 *
 * <p>Launch: one task a block of rows.
 *
 * <p>Moves: 12 bytes an element; 4 operations a vector.
 *
 * <p>Why: a row is a few kilobytes in the first-level cache; four sums hide the latency of FMA.
 */
final class RmsNorm {
    private RmsNorm() {}

    static void row(long x, long weight, int columns, float epsilon, long out) {
        FloatVector s0 = FloatVector.zero(Lanes.FLOATS);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int i = 0;
        for (; i + 4 * WIDTH <= columns; i += 4 * WIDTH) {
            FloatVector a = floats(x + i * 4L);
            FloatVector b = floats(x + (i + WIDTH) * 4L);
            FloatVector c = floats(x + (i + 2 * WIDTH) * 4L);
            FloatVector d = floats(x + (i + 3 * WIDTH) * 4L);
            s0 = a.fma(a, s0);
            s1 = b.fma(b, s1);
            s2 = c.fma(c, s2);
            s3 = d.fma(d, s3);
        }
        float sum = Lanes.sum(s0.add(s1).add(s2.add(s3)));
        for (; i < columns; i++) {
            float value = Lanes.get(x + i * 4L);
            sum = Math.fma(value, value, sum);
        }
        float factor = Float.isInfinite(sum) ? Float.NaN : (float) (1 / Math.sqrt(sum / columns + epsilon));
        int full = columns / WIDTH * WIDTH;
        for (int j = 0; j < full; j += WIDTH) {
            store(floats(x + j * 4L).mul(factor).mul(floats(weight + j * 4L)), out + j * 4L);
        }
        for (int j = full; j < columns; j++) {
            Lanes.set(out + j * 4L, Lanes.get(x + j * 4L) * factor * Lanes.get(weight + j * 4L));
        }
    }
}
