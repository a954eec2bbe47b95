package dev.demitasse.device;

/** How {@code linear} takes its input where the weights are integers. */
public enum ActivationType {
    /** As they are: the weights are multiplied by FP32 numbers. */
    F32,
    /**
     * Rounded to INT8 in groups of 32 columns of a row, {@code scale = max|x| / 127}, so that products and sums within
     * a group are integers and exact.
     */
    INT8,
    /**
     * Rounded to INT8 with one scale for a whole row (a token), {@code scale = max|x| / 127}. With weights that have
     * one scale a row (W8A8) a sum is one integer, and scales are applied once: the quickest way through integer units,
     * and the coarsest.
     */
    INT8_ROW;

    /** {@return whether activations are integers where the weights are} */
    public boolean integers() {
        return this != F32;
    }
}
