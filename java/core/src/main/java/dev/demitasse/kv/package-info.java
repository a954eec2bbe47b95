/** The paged key-value cache. */
@NullMarked
package dev.demitasse.kv;

import org.jspecify.annotations.NullMarked;
