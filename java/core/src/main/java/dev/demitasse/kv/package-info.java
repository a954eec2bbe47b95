/**
 * What a key-value cache is made of: its dimensions and how its elements are stored. Its pages are handed out in {@code
 * runtime}.
 */
@NullMarked
package dev.demitasse.kv;

import org.jspecify.annotations.NullMarked;
