package dev.demitasse.device;

/** A function of a gate, which multiplies something else. Kernels know one by its place here. */
public enum Gate {
    /** x / (1 + exp(-x)). */
    SILU,
    /** GELU by its tanh approximation: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
    GELU,
    /** The logistic function, 1 / (1 + exp(-x)). */
    SIGMOID,
    /** x itself. */
    IDENTITY,
    /**
     * min(x, 7) / (1 + exp(-1.702 min(x, 7))), which multiplies what it gates between -7 and 7, plus 1 (gpt-oss).
     */
    CLAMPED_SWISH,
    /** max(x, 0); with itself for what it gates that is the square of ReLU. */
    RELU,
    /**
     * The normal distribution function, 0.5 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))); with itself for what it gates
     * that is GELU.
     */
    NORMAL_CDF
}
