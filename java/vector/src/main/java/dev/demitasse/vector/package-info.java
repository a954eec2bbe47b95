/**
 * The CPU device in pure Java: the kernels of {@link dev.demitasse.device.Device} over the Vector API and the packed
 * layouts.
 *
 * <p>Kernels take addresses, not segments: the operations check every buffer once, and the inner loops then carry no
 * bounds or liveness checks.
 */
@NullMarked
package dev.demitasse.vector;

import org.jspecify.annotations.NullMarked;
