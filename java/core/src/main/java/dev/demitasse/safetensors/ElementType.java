package dev.demitasse.safetensors;

import org.jspecify.annotations.Nullable;

/** The element types of safetensors files ({@code dtype}), with the bits that an element takes. */
public enum ElementType {
    /** Truth, one byte. */
    BOOL(8),
    /** FP4 (E2M1), two in a byte. */
    F4(4),
    /** FP6 (E2M3), four in three bytes. */
    F6_E2M3(6),
    /** FP6 (E3M2), four in three bytes. */
    F6_E3M2(6),
    /** Unsigned 8-bit integer. */
    U8(8),
    /** Signed 8-bit integer. */
    I8(8),
    /** FP8 (E5M2). */
    F8_E5M2(8),
    /** FP8 (E4M3). */
    F8_E4M3(8),
    /** A power of two (E8M0), for scales. */
    F8_E8M0(8),
    /** Signed 16-bit integer. */
    I16(16),
    /** Unsigned 16-bit integer. */
    U16(16),
    /** IEEE 754 binary16. */
    F16(16),
    /** bfloat16. */
    BF16(16),
    /** Signed 32-bit integer. */
    I32(32),
    /** Unsigned 32-bit integer. */
    U32(32),
    /** IEEE 754 binary32. */
    F32(32),
    /** Two binary32 numbers. */
    C64(64),
    /** IEEE 754 binary64. */
    F64(64),
    /** Signed 64-bit integer. */
    I64(64),
    /** Unsigned 64-bit integer. */
    U64(64);

    private final int bits;

    ElementType(int bits) {
        this.bits = bits;
    }

    /** {@return bits of an element} */
    public int bits() {
        return bits;
    }

    static @Nullable ElementType named(String name) {
        for (ElementType type : values()) {
            if (type.name().equals(name)) {
                return type;
            }
        }
        return null;
    }
}
