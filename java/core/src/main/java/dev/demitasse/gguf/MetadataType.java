package dev.demitasse.gguf;

/** The value types of GGUF metadata, in the order of their ids in the file (GGUF specification, version 3). */
public enum MetadataType {
    /** 8-bit unsigned integer, held as {@link Byte}. */
    UINT8(1),
    /** 8-bit signed integer, held as {@link Byte}. */
    INT8(1),
    /** 16-bit unsigned integer, held as {@link Short}. */
    UINT16(2),
    /** 16-bit signed integer, held as {@link Short}. */
    INT16(2),
    /** 32-bit unsigned integer, held as {@link Integer}. */
    UINT32(4),
    /** 32-bit signed integer, held as {@link Integer}. */
    INT32(4),
    /** 32-bit IEEE 754 number, held as {@link Float}. */
    FLOAT32(4),
    /** One byte, 0 or 1, held as {@link Boolean}. */
    BOOL(1),
    /** Length (64 bits) and UTF-8 bytes, held as {@link String}. */
    STRING(8),
    /** Element type, count (64 bits) and elements, held as a primitive array or {@code String[]}. */
    ARRAY(12),
    /** 64-bit unsigned integer, held as {@link Long}. */
    UINT64(8),
    /** 64-bit signed integer, held as {@link Long}. */
    INT64(8),
    /** 64-bit IEEE 754 number, held as {@link Double}. */
    FLOAT64(8);

    private static final MetadataType[] VALUES = values();

    private final int minimumBytes;

    MetadataType(int minimumBytes) {
        this.minimumBytes = minimumBytes;
    }

    /** The fewest bytes that one value of this type takes in a file. */
    public int minimumBytes() {
        return minimumBytes;
    }

    /** The type with the given id, or null where there is none. */
    static @org.jspecify.annotations.Nullable MetadataType of(int id) {
        return id >= 0 && id < VALUES.length ? VALUES[id] : null;
    }
}
