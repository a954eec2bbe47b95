/** What models write around their answers: thoughts, and calls of tools. */
@NullMarked
package dev.demitasse.dialect;

import org.jspecify.annotations.NullMarked;
