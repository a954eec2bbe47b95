package dev.demitasse.device;

import org.jspecify.annotations.Nullable;

/**
 * One output of {@link Device#linear}: {@code out[row][n] = sum_k x[row][k] weight[n][k] + bias[n]}.
 *
 * @param weight the matrix
 * @param bias one number an output, or null
 * @param out rows × {@code weight.rows()}
 */
public record Projection(LinearWeight weight, @Nullable Buffer bias, Buffer out) {}
