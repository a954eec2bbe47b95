package dev.demitasse.kv;

/** How keys and values are stored. */
public enum KvType {
    /** 32-bit floating point. */
    F32(4),
    /** IEEE 754 binary16. */
    F16(2),
    /**
     * Signed bytes with an FP32 scale for each position and {@link KvShape#SCALE_GROUP} elements, {@code max|x| / 127}.
     */
    INT8(1),
    /**
     * FP8 E4M3 with an FP32 scale for each position and {@link KvShape#SCALE_GROUP} elements, {@code max|x| / 448}
     * (Micikevicius et al., "FP8 Formats for Deep Learning", 2022).
     */
    FP8(1);

    private final int bytes;

    KvType(int bytes) {
        this.bytes = bytes;
    }

    /** Bytes of an element. */
    public int bytes() {
        return bytes;
    }

    /** Whether elements have a scale. */
    public boolean scaled() {
        return bytes == 1;
    }

    /** The largest magnitude that an element of a scaled type stands for, times its scale. */
    public float limit() {
        return this == INT8 ? 127 : 448;
    }
}
