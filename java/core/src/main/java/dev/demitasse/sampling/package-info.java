/** From logits to the next token. */
@NullMarked
package dev.demitasse.sampling;

import org.jspecify.annotations.NullMarked;
