package dev.demitasse.quantize;

import dev.demitasse.device.LinearObserver;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** What matrices are multiplied by: largest and mean magnitude and mean square of each column, and some rows. */
final class ActivationSample implements LinearObserver {
    private static final int ROWS = 64;

    private final Map<String, Input> inputs = new ConcurrentHashMap<>();

    /** The inputs of one matrix; the rows are a reservoir, so that each row is as likely to be in it. */
    static final class Input {
        private final SplittableRandom random = new SplittableRandom(20261128);
        private final float[] largest;
        private final double[] sums; // of magnitudes
        private final double[] squares;
        private final float[][] rows = new float[ROWS][];
        private long seen;

        private Input(int columns) {
            largest = new float[columns];
            sums = new double[columns];
            squares = new double[columns];
        }

        private void add(float[] x, int at) {
            for (int c = 0; c < largest.length; c++) {
                float magnitude = Math.abs(x[at + c]);
                largest[c] = Math.max(largest[c], magnitude);
                sums[c] += magnitude;
                squares[c] += (double) magnitude * magnitude;
            }
            long place = seen < ROWS ? seen : random.nextLong(seen + 1);
            if (place < ROWS) {
                float[] row = new float[largest.length];
                System.arraycopy(x, at, row, 0, row.length);
                rows[(int) place] = row;
            }
            seen++;
        }

        /** The largest magnitude of each column. */
        float[] largest() {
            return largest;
        }

        /** The mean magnitude of each column. */
        float[] mean() {
            return mean(sums);
        }

        /** The mean square of each column. */
        float[] meanSquares() {
            return mean(squares);
        }

        private float[] mean(double[] all) {
            float[] mean = new float[all.length];
            for (int c = 0; c < mean.length; c++) {
                mean[c] = (float) (all[c] / Math.max(1, seen));
            }
            return mean;
        }

        /** Some rows. */
        float[][] rows() {
            float[][] some = new float[(int) Math.min(seen, ROWS)][];
            System.arraycopy(rows, 0, some, 0, some.length);
            return some;
        }
    }

    @Override
    public void observe(Matrix matrix, float[] x, int rows, int columns) {
        // Queries, keys and values have the same input, and so have gate and up: one of each is enough.
        String weight = matrix.tensor();
        if (weight.contains("attn_k.") || weight.contains("attn_v.")) {
            return;
        }
        Input input = inputs.computeIfAbsent(weight, name -> new Input(columns));
        for (int r = 0; r < rows; r++) {
            input.add(x, r * columns);
        }
    }

    /** The inputs of a matrix, or null where it was not multiplied. */
    @Nullable
    Input input(String weight) {
        return inputs.get(weight);
    }
}
