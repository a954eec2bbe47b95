package dev.demitasse.cpu;

/** How scales and minimums of a packed matrix are stored. */
public enum ScaleType {
    /** 32-bit floating point. */
    FP32(Float.BYTES),
    /** IEEE 754 binary16. */
    FP16(Short.BYTES),
    /** Signed 8-bit integers, each of them times an FP16 number that 256 columns share. */
    INT8(Byte.BYTES);

    private final int bytes;

    ScaleType(int bytes) {
        this.bytes = bytes;
    }

    /** Bytes of one. */
    int bytes() {
        return bytes;
    }
}
