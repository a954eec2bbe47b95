/** What Demitasse throws: one type for each kind of fault, all of them {@link DemitasseException}s. */
@NullMarked
package dev.demitasse.exception;

import org.jspecify.annotations.NullMarked;
