/** Sequences, batches, and who runs next. */
@NullMarked
package dev.demitasse.runtime;

import org.jspecify.annotations.NullMarked;
