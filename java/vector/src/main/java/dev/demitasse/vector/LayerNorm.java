package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.WIDTH;
import static dev.demitasse.vector.Lanes.floats;
import static dev.demitasse.vector.Lanes.store;

import jdk.incubator.vector.FloatVector;

/**
 * Computes: {@code out = (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * weight + bias} of one row; NaN where its sum
 * or its sum of squares is beyond FP32.
 *
 * <p>Layout: FP32 rows; {@code out} may be {@code x}; no bias where its address is 0.
 *
 * <p>Requires: nothing.
 *
 * <p>Accuracy: FP32 sums, one a lane, added in a fixed order. The mean is mended by the mean distance from it (few
 * lanes and thousands of columns far from zero lose three digits of it else), then taken off before squares are summed.
 *
 * <p>Launch: one task a block of rows.
 *
 * <p>Moves: 20 bytes an element; 8 operations a vector.
 *
 * <p>Why: a row is a few kilobytes in the first-level cache and read four times there.
 */
final class LayerNorm {
    private LayerNorm() {}

    static void row(long x, long weight, long bias, int columns, float epsilon, long out) {
        int full = columns / WIDTH * WIDTH;
        float rough = distances(x, 0, full, columns) / columns;
        float mean = rough + distances(x, rough, full, columns) / columns;
        float squares = squares(x, mean, full, columns);
        float factor = Float.isFinite(squares) ? (float) (1 / Math.sqrt(squares / columns + epsilon)) : Float.NaN;
        for (int j = 0; j < full; j += WIDTH) {
            FloatVector value = floats(x + j * 4L).sub(mean).mul(factor).mul(floats(weight + j * 4L));
            store(bias == 0 ? value : value.add(floats(bias + j * 4L)), out + j * 4L);
        }
        for (int j = full; j < columns; j++) {
            float value = (Lanes.get(x + j * 4L) - mean) * factor * Lanes.get(weight + j * 4L);
            Lanes.set(out + j * 4L, bias == 0 ? value : value + Lanes.get(bias + j * 4L));
        }
    }

    private static float distances(long x, float from, int full, int columns) {
        FloatVector sums = FloatVector.zero(Lanes.FLOATS);
        for (int i = 0; i < full; i += WIDTH) {
            sums = sums.add(floats(x + i * 4L).sub(from));
        }
        float sum = Lanes.sum(sums);
        for (int i = full; i < columns; i++) {
            sum += Lanes.get(x + i * 4L) - from;
        }
        return sum;
    }

    private static float squares(long x, float mean, int full, int columns) {
        FloatVector sums = FloatVector.zero(Lanes.FLOATS);
        for (int i = 0; i < full; i += WIDTH) {
            FloatVector distance = floats(x + i * 4L).sub(mean);
            sums = distance.fma(distance, sums);
        }
        float sum = Lanes.sum(sums);
        for (int i = full; i < columns; i++) {
            float distance = Lanes.get(x + i * 4L) - mean;
            sum = Math.fma(distance, distance, sum);
        }
        return sum;
    }
}
