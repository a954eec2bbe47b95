package dev.demitasse.model;

import dev.demitasse.device.Buffer;

/**
 * An RMS norm of heads, each alone or those of a row together.
 *
 * @param columns elements that are normalized together
 */
record HeadNorm(Buffer weight, int columns) {}
