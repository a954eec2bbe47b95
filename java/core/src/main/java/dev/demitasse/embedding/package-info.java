/** What makes an embedding of what a model computes for a text. */
@NullMarked
package dev.demitasse.embedding;

import org.jspecify.annotations.NullMarked;
