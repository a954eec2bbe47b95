package dev.demitasse.quant;

import java.lang.foreign.MemorySegment;

/**
 * Decodes one block of a quantized tensor type into integers and scales, exactly.
 *
 * <p>The value of element {@code i} is {@code scale * (q[i] - zero) + min}, with the scale and minimum of its group and
 * {@code zero} 8 for {@link WeightLayout.Element#INT4} without a minimum, else 0. Source: ggml's block structures
 * (ggml-common.h) and their dequantization.
 */
@FunctionalInterface
interface BlockCodec {
    /**
     * Decodes the block at {@code offset} of {@code source}.
     *
     * @param q receives one integer an element from {@code qAt}
     * @param scales receives one scale a group from {@code groupAt}
     * @param mins receives one minimum a group from {@code groupAt}, where the layout has minimums
     */
    void decode(MemorySegment source, long offset, byte[] q, int qAt, float[] scales, float[] mins, int groupAt);
}
