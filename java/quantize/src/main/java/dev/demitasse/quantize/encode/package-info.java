/** Encoders: from rows in FP32 to the blocks of GGUF's tensor types, with least weighted squared error. */
@NullMarked
package dev.demitasse.quantize.encode;

import org.jspecify.annotations.NullMarked;
