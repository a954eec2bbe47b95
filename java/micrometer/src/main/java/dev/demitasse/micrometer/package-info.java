/** Meters of a model, for Micrometer. */
@NullMarked
package dev.demitasse.micrometer;

import org.jspecify.annotations.NullMarked;
