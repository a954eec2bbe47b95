package dev.demitasse.device;

/** The activation function of a gated feed-forward layer. */
public enum Gate {
    /** x / (1 + exp(-x)). */
    SILU,
    /** GELU by its tanh approximation: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
    GELU
}
