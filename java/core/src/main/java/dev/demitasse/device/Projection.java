package dev.demitasse.device;

import org.jspecify.annotations.Nullable;

/**
 * One output of {@link Device#linear}: {@code out[row][n] = sum_k x[row][k] weight[n][k] + bias[n]}.
 *
 * @param weight the matrix
 * @param bias one number an output, or null
 * @param out rows × {@code weight.rows()} results
 * @param type of the results
 */
public record Projection(LinearWeight weight, @Nullable Buffer bias, Buffer out, OutputType type) {
    /**
     * With results in FP32.
     *
     * @param weight the matrix
     * @param bias one number an output, or null
     * @param out receives rows × {@code weight.rows()} FP32 numbers
     */
    public Projection(LinearWeight weight, @Nullable Buffer bias, Buffer out) {
        this(weight, bias, out, OutputType.F32);
    }

    /**
     * {@return bytes of the results of {@code rows} rows}
     *
     * @param rows how many rows
     */
    public long outBytes(int rows) {
        return (long) rows * weight.rows() * type.bytes();
    }
}
