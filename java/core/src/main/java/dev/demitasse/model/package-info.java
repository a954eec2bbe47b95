/** The architecture of a model as data, and the one forward pass. */
@NullMarked
package dev.demitasse.model;

import org.jspecify.annotations.NullMarked;
