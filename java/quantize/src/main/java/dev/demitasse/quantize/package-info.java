/** Quantizes models, calibrates, and measures what quantization costs. */
@NullMarked
package dev.demitasse.quantize;

import org.jspecify.annotations.NullMarked;
