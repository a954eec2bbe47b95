package dev.demitasse.device;

import dev.demitasse.quant.Bf16;

/**
 * How {@code linear} writes its results. Sums are FP32 in any case; a 16-bit result is that FP32 number, bias included,
 * rounded to nearest, ties to even.
 */
public enum OutputType {
    /** 32-bit floating point. */
    F32(4),
    /** IEEE 754 binary16: 11 bits of precision; what rounds to 65,520 or more is infinite. */
    F16(2),
    /** The upper half of FP32: 8 bits of precision, and its range. */
    BF16(2);

    private final int bytes;

    OutputType(int bytes) {
        this.bytes = bytes;
    }

    /** {@return bytes of a result} */
    public int bytes() {
        return bytes;
    }

    /**
     * {@return the bits of {@code value} in a 16-bit type; NaN stays one}
     *
     * @param value any FP32 number
     * @throws IllegalStateException for {@link #F32}
     */
    public short narrow(float value) {
        return switch (this) {
            case F16 -> Float.floatToFloat16(value);
            case BF16 -> Bf16.nearest(value);
            case F32 -> throw new IllegalStateException("F32 has 32 bits.");
        };
    }

    /**
     * {@return the FP32 number that the bits of a 16-bit type stand for}
     *
     * @param bits of the 16-bit type
     * @throws IllegalStateException for {@link #F32}
     */
    public float widen(short bits) {
        return switch (this) {
            case F16 -> Float.float16ToFloat(bits);
            case BF16 -> Float.intBitsToFloat(bits << 16);
            case F32 -> throw new IllegalStateException("F32 has 32 bits.");
        };
    }
}
