/** Tokenizers built from the vocabulary in the model file. */
@NullMarked
package dev.demitasse.tokenizer;

import org.jspecify.annotations.NullMarked;
