/** GGUF files: a bounds-checked reader over memory mapping, and a writer. */
@NullMarked
package dev.demitasse.gguf;

import org.jspecify.annotations.NullMarked;
