package dev.demitasse.quant;

/** The fast Walsh transform, orthonormal: its own inverse. */
public final class Hadamard {
    private Hadamard() {}

    /**
     * Rotates {@code n} numbers from {@code from} on: {@code H x / sqrt(n)}, {@code H[i][k] = (-1)^popcount(i & k)}.
     * FP32, log2(n) sums and a product a number.
     *
     * @param x the numbers, in place
     * @param from index of the first
     * @param n how many, a power of two
     */
    public static void rotate(float[] x, int from, int n) {
        float factor = (float) (1 / Math.sqrt(n));
        for (int i = from; i < from + n; i++) {
            x[i] *= factor;
        }
        for (int stride = 1; stride < n; stride *= 2) {
            for (int i = from; i < from + n; i += 2 * stride) {
                butterflies(x, i, stride);
            }
        }
    }

    private static void butterflies(float[] x, int from, int stride) {
        for (int i = from; i < from + stride; i++) {
            float a = x[i];
            float b = x[i + stride];
            x[i] = a + b;
            x[i + stride] = a - b;
        }
    }
}
