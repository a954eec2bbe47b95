/** Models as they are published, GGUF files and Hugging Face checkpoints, as one kind of source to quantize from. */
@NullMarked
package dev.demitasse.quantize.source;

import org.jspecify.annotations.NullMarked;
