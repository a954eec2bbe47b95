package dev.demitasse.device;

/**
 * One output of {@link Device#groupedLinear}, FP32.
 *
 * @param weights the matrices of the groups
 * @param out rows × their rows
 */
public record GroupedProjection(WeightGroup weights, Buffer out) {}
