package dev.demitasse.kv;

/** How keys and values are stored. */
public enum KvType {
    /** 32-bit floating point. */
    F32(4),
    /** IEEE 754 binary16. */
    F16(2);

    private final int bytes;

    KvType(int bytes) {
        this.bytes = bytes;
    }

    /** Bytes of an element. */
    public int bytes() {
        return bytes;
    }
}
