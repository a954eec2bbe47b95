/** The scalar device: the oracle of every test. */
@NullMarked
package dev.demitasse.reference;

import org.jspecify.annotations.NullMarked;
