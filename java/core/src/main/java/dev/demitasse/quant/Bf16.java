package dev.demitasse.quant;

/** BF16: the upper half of FP32. */
public final class Bf16 {
    private Bf16() {}

    /**
     * {@return the bits of the nearest BF16 number, ties to even; NaN stays one}
     *
     * @param value any FP32 number
     */
    public static short nearest(float value) {
        int bits = Float.floatToRawIntBits(value);
        int rounded = bits + 0x7FFF + (bits >>> 16 & 1);
        return (short) ((Float.isNaN(value) ? bits | 0x400000 : rounded) >>> 16);
    }
}
