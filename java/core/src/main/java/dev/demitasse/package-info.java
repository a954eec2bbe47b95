/** The public API: load a {@link dev.demitasse.Model}, open a {@link dev.demitasse.Session}, ask. */
@NullMarked
package dev.demitasse;

import org.jspecify.annotations.NullMarked;
