package dev.demitasse.quantize;

import java.util.Arrays;

/**
 * A mean and its standard error.
 *
 * @param mean of the values
 * @param standardError of the mean: {@code sqrt(variance / n)}, NaN for a single value
 */
public record Estimate(double mean, double standardError) {
    static Estimate of(double[] values) {
        double mean = Arrays.stream(values).average().orElse(Double.NaN);
        double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
        int n = values.length;
        return new Estimate(mean, n > 1 ? Math.sqrt(squares / (n - 1) / n) : Double.NaN);
    }

    /** The exponential of the mean, with its error by the first derivative. */
    Estimate exponential() {
        double value = Math.exp(mean);
        return new Estimate(value, value * standardError);
    }
}
