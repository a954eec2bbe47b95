package dev.demitasse.opencl;

import dev.demitasse.Linear;
import dev.demitasse.device.Device;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.quant.WeightLayout;
import java.util.Arrays;

/**
 * Whether a driver compiles kernels to what they say: a product of integers, whose result is known to the last bit.
 * Drivers differ more than devices do, and whoever lets {@code auto} choose has not chosen this one.
 */
final class SelfCheck {
    private static final int ROWS = 40; // many rows, and few
    private static final int OUTPUTS = 48;
    private static final int COLUMNS = 96;

    private SelfCheck() {}

    /** Multiplies on a device whose activations are INT8 or FP32. */
    static void require(Device device, String description) {
        float[] w = integers(OUTPUTS, 7);
        float[] x = integers(ROWS, 127);
        try (Linear matrix = Linear.quantize(device, w, OUTPUTS, COLUMNS, WeightLayout.int4(32))) {
            for (int rows : new int[] {1, ROWS}) {
                float[] y = matrix.multiply(Arrays.copyOf(x, rows * COLUMNS), rows);
                for (int i = 0; i < y.length; i++) {
                    int expected = product(x, i / OUTPUTS, w, i % OUTPUTS);
                    if (y[i] != expected) {
                        throw new BackendUnavailableException("opencl: " + description + " computes " + y[i]
                                + " where the result is " + expected
                                + "; install a newer driver, or use another backend.");
                    }
                }
            }
        }
    }

    /** Rows of integers, the first of each 32 being the largest, so that scales are one. */
    private static float[] integers(int rows, int largest) {
        float[] values = new float[rows * COLUMNS];
        for (int i = 0; i < values.length; i++) {
            values[i] = i % 32 == 0 ? -largest : (i * 37 + i / 32 * 11) % (2 * largest + 1) - largest;
        }
        return values;
    }

    private static int product(float[] x, int row, float[] w, int output) {
        int sum = 0;
        for (int k = 0; k < COLUMNS; k++) {
            sum += ((int) x[row * COLUMNS + k]) * (int) w[output * COLUMNS + k];
        }
        return sum;
    }
}
