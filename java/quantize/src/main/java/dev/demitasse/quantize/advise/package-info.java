/**
 * When does quantization pay here? A device's ceilings, measured or published, and a roofline model that predicts what
 * a model's steps take for each way to store its weights and its cache.
 */
@NullMarked
package dev.demitasse.quantize.advise;

import org.jspecify.annotations.NullMarked;
