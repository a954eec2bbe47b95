package dev.demitasse.kv;

/**
 * Whether keys and values are stored rotated by a Hadamard matrix ({@link dev.demitasse.device.Device#rotate}), queries
 * being rotated alike and what attention makes of the values back: in exact arithmetic nothing changes by it.
 */
public enum KvRotation {
    /**
     * As is better for the type of cache: those of 8 bits and fewer are rotated, which takes INT8's divergence to a
     * third, and FP8's and INT4's to a half (SmolLM2 over 8,192 positions).
     */
    AUTO,
    /** Rotated. */
    ON,
    /** As they are. */
    OFF;

    /**
     * {@return whether a cache of {@code type} is rotated}
     *
     * @param type how elements are stored
     */
    public boolean rotates(KvType type) {
        return switch (this) {
            case AUTO -> type.scaled();
            case ON -> true;
            case OFF -> false;
        };
    }
}
