/** Messages, and tools that a model may ask for. */
@NullMarked
package dev.demitasse.chat;

import org.jspecify.annotations.NullMarked;
