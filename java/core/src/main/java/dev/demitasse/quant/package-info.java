/**
 * Tensor types (how a file stores weights), weight layouts (how a device computes on them), and the way from one to the
 * other.
 */
@NullMarked
package dev.demitasse.quant;

import org.jspecify.annotations.NullMarked;
