package dev.demitasse.device;

/** How {@code linear} takes its input where the weights are integers. */
public enum ActivationType {
    /** As they are: the weights are multiplied by FP32 numbers. */
    F32,
    /**
     * Rounded to INT8 in groups of 32 columns of a row, {@code scale = max|x| / 127}, so that products and sums within a
     * group are integers and exact.
     */
    INT8
}
