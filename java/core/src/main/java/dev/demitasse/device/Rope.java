package dev.demitasse.device;

/** Which elements of a head rotary position embedding rotates together. */
public enum Rope {
    /** Neighbours: 2 i and 2 i + 1 (Llama as GGUF stores it). */
    NEIGHBOURS,
    /** Halves: i and i + n / 2 (GPT-NeoX). */
    HALVES
}
