package dev.demitasse.kv;

/**
 * How the cache types with a scale round a group of elements of one position and head: the same on every device, so
 * that caches hold the same bytes.
 */
public final class ScaledElements {
    private static final float TWO_TO_120 = 0x1p120f;

    private ScaledElements() {}

    /**
     * Rounds {@code count} numbers from {@code from} on to {@code out} from {@code at} on: INT8 {@code rint(x * (127 /
     * max|x|))}, FP8 nearest to {@code x * (448 / max|x|)}, ties to even. Returns the scale, {@code max|x|} divided by
     * the type's limit.
     *
     * <p>Numbers so small that the scale's reciprocal is infinite count as zeros, with scale 0; with NaN or an infinity
     * among them all are 0, with scale NaN.
     */
    public static float round(KvType type, float[] x, int from, int count, byte[] out, int at) {
        float largest = 0;
        for (int i = from; i < from + count; i++) {
            largest = Math.max(largest, Math.abs(x[i]));
        }
        float inverse = type.limit() / largest;
        boolean counts = Float.isFinite(largest) && Float.isFinite(inverse);
        for (int i = 0; i < count; i++) {
            float value = counts ? x[from + i] * inverse : 0;
            out[at + i] = type == KvType.INT8 ? (byte) Math.rint(value) : toFp8(value);
        }
        return Float.isFinite(largest) ? counts ? largest / type.limit() : 0 : Float.NaN;
    }

    /** What an element stands for, without its scale. */
    public static float value(KvType type, byte element) {
        return type == KvType.INT8 ? element : fromFp8(element);
    }

    /** The nearest FP8 E4M3 number, ties to even; magnitudes beyond 448 become 448. */
    public static byte toFp8(float value) {
        float magnitude = Math.min(Math.abs(value), 448) / TWO_TO_120; // E4M3's exponent field in FP32's
        int bits = Float.floatToRawIntBits(magnitude);
        bits += 0x7FFFF + (bits >>> 20 & 1);
        return (byte) (bits >>> 20 | Float.floatToRawIntBits(value) >>> 24 & 0x80);
    }

    /** The value of an FP8 E4M3 number that is not NaN. */
    public static float fromFp8(byte element) {
        float magnitude = Float.intBitsToFloat((element & 0x7F) << 20) * TWO_TO_120;
        return element < 0 ? -magnitude : magnitude;
    }
}
