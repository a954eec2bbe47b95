package dev.demitasse.quantize.encode;

import dev.demitasse.exception.UsageException;
import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;

/**
 * Encodes elements as blocks of a tensor type, so that the weighted squared error {@code sum(w (x - x')^2)} is small.
 *
 * <p>An encoder searches scales by that error; it is not bound to find the least. Not thread-safe: it has scratch
 * memory.
 */
public interface RowEncoder {
    /**
     * Encodes {@code count} elements, a multiple of the type's block.
     *
     * @param x finite elements
     * @param w what an element's squared error counts, not negative
     * @param out receives the blocks from byte {@code at} on
     * @throws UsageException where an element is beyond the type's largest number
     */
    void encode(float[] x, float[] w, int count, MemorySegment out, long at);

    /**
     * An encoder for a type.
     *
     * @throws UsageException for a type that is read alone
     */
    static RowEncoder of(TensorType type) {
        return switch (type) {
            case F32, F16, BF16 -> new FloatEncoder(type);
            case Q4_0 -> new ScaleEncoder(type, new IntegerLevels(-8, 7), BlockPacking::q4_0);
            case Q5_0 -> new ScaleEncoder(type, new IntegerLevels(-16, 15), BlockPacking::q5_0);
            case Q8_0 -> new ScaleEncoder(type, new IntegerLevels(-127, 127), BlockPacking::q8_0);
            case IQ4_NL -> new ScaleEncoder(type, TableLevels.iq4(), BlockPacking::q4_0);
            case Q4_1 -> new MinimumEncoder(type, 15, BlockPacking::q4_1);
            case Q5_1 -> new MinimumEncoder(type, 31, BlockPacking::q5_1);
            case Q3_K -> new SuperblockEncoder(type, new IntegerLevels(-4, 3), 16, -32, 31, BlockPacking::q3_k);
            case Q6_K -> new SuperblockEncoder(type, new IntegerLevels(-32, 31), 16, -128, 127, BlockPacking::q6_k);
            case IQ4_XS -> new SuperblockEncoder(type, TableLevels.iq4(), 32, -32, 31, BlockPacking::iq4_xs);
            case Q2_K -> new SuperblockMinimumEncoder(type, 3, 16, 15, BlockPacking::q2_k);
            case Q4_K -> new SuperblockMinimumEncoder(type, 15, 32, 63, BlockPacking::q4_k);
            case Q5_K -> new SuperblockMinimumEncoder(type, 31, 32, 63, BlockPacking::q5_k);
            case MXFP4 -> new PowerScaleEncoder(type);
            case NVFP4, IQ3_S, IQ3_XXS, IQ2_S, IQ2_XS, IQ2_XXS, IQ1_M, IQ1_S, TQ1_0, TQ2_0 ->
                throw new UsageException(type + " is read, but not written; choose another type.");
        };
    }

    /** An encoder of Q8_0 with one scale a row of {@code columns} elements; it takes whole rows. */
    static RowEncoder ofRows(int columns) {
        return new RowScaleEncoder(columns);
    }

    /** A scale of scales as FP16 holds it: one that is not zero does not become it, since its factors can be large. */
    static float scale(float scale, TensorType type) {
        float rounded = fp16(scale, type);
        return rounded == 0 && scale != 0 ? Math.copySign(0x1p-24f, scale) : rounded;
    }

    /** A scale as FP16 holds it. */
    static float fp16(float scale, TensorType type) {
        float rounded = Float.float16ToFloat(Float.floatToFloat16(scale));
        if (Float.isInfinite(rounded)) {
            throw new UsageException("A weight needs a scale of " + scale + ", and " + type + " holds at most 65504;"
                    + " choose another type for it.");
        }
        return rounded;
    }
}
