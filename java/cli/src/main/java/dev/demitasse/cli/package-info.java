/** The {@code demitasse} command: chat, generate, pull, ls, show, tokenize, bench, perplexity, devices. */
@NullMarked
package dev.demitasse.cli;

import org.jspecify.annotations.NullMarked;
