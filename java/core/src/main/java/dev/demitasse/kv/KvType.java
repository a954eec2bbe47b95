package dev.demitasse.kv;

/** How keys and values are stored. */
public enum KvType {
    /** 32-bit floating point. */
    F32(32),
    /** IEEE 754 binary16. */
    F16(16),
    /**
     * Signed bytes with an FP32 scale for each position and {@link KvShape#SCALE_GROUP} elements, {@code max|x| / 127}.
     */
    INT8(8),
    /**
     * FP8 E4M3 with an FP32 scale for each position and {@link KvShape#SCALE_GROUP} elements, {@code max|x| / 448}
     * (Micikevicius et al., "FP8 Formats for Deep Learning", 2022).
     */
    FP8(8),
    /**
     * Four bits, 0 to 15, with a scale and a minimum, both FP16 in one word, for each position and {@link
     * KvShape#SCALE_GROUP} elements: 4.5 bits an element, as many as Q4_0 takes.
     */
    INT4(4);

    private final int bits;

    KvType(int bits) {
        this.bits = bits;
    }

    /** {@return bits of an element} */
    public int bits() {
        return bits;
    }

    /**
     * {@return bytes of {@code elements} elements, an even number of them}
     *
     * @param elements how many, an even number
     */
    public long bytes(long elements) {
        return elements * bits / Byte.SIZE;
    }

    /** {@return whether a group of elements has a scale} */
    public boolean scaled() {
        return bits <= 8;
    }
}
