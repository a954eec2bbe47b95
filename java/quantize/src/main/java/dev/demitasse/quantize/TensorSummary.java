package dev.demitasse.quantize;

import dev.demitasse.quant.TensorType;

/**
 * What becomes of a tensor.
 *
 * @param name its name
 * @param elements how many it has
 * @param from the type that it had
 * @param to the type that it has
 * @param bytes in the new file
 * @param relativeError {@code sqrt(sum((x - x')^2) / sum(x^2))} against what was read; NaN where it is not known
 * @param outlierRatio the largest magnitude over the root of the mean square; NaN where it is not known
 */
public record TensorSummary(
        String name,
        long elements,
        TensorType from,
        TensorType to,
        long bytes,
        double relativeError,
        double outlierRatio) {}
