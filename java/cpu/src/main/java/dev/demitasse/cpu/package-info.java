/** What CPU devices share. */
@NullMarked
package dev.demitasse.cpu;

import org.jspecify.annotations.NullMarked;
