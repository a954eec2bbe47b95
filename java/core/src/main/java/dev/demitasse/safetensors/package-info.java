/** Safetensors files: a bounds-checked reader over memory mapping. */
@NullMarked
package dev.demitasse.safetensors;

import org.jspecify.annotations.NullMarked;
