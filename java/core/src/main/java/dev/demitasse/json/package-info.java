/** JSON as plain values. */
@NullMarked
package dev.demitasse.json;

import org.jspecify.annotations.NullMarked;
