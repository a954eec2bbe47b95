package dev.demitasse.nativecpu;

/** The operations of a command, in the order of {@code Op} in C++. */
enum Operation {
    EMBED,
    GATHER_ROWS,
    RMS_NORM,
    QUANTIZE_ROWS,
    QUANTIZE_PANELS,
    LINEAR,
    ROPE,
    KV_APPEND,
    ATTENTION,
    ATTENTION_MERGE,
    GATED_ACTIVATION,
    ADD,
    SOFT_CAP,
    PACK
}
