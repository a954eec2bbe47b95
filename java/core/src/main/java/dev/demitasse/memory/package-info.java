/** Memory outside the Java heap. */
@NullMarked
package dev.demitasse.memory;

import org.jspecify.annotations.NullMarked;
