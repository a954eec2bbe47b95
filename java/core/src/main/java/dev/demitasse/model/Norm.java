package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import org.jspecify.annotations.Nullable;

/** A norm of rows: its weights, and a bias where it is a layer normalization that has one. */
record Norm(Buffer weight, @Nullable Buffer bias) {}
