package dev.demitasse.device;

/** Which elements of a head rotary position embedding rotates together. */
public enum Rope {
    /** Neighbors: 2 i and 2 i + 1 (Llama as GGUF stores it). */
    INTERLEAVED,
    /** Halves: i and i + n / 2 (GPT-NeoX). */
    NEOX
}
