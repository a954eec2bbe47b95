package dev.demitasse.gguf;

/** The value types of GGUF metadata, with their ids in the file (GGUF specification, version 3). */
public enum MetadataType {
    /** 8-bit unsigned integer, held as {@link Byte}. */
    UINT8(0, 1),
    /** 8-bit signed integer, held as {@link Byte}. */
    INT8(1, 1),
    /** 16-bit unsigned integer, held as {@link Short}. */
    UINT16(2, 2),
    /** 16-bit signed integer, held as {@link Short}. */
    INT16(3, 2),
    /** 32-bit unsigned integer, held as {@link Integer}. */
    UINT32(4, 4),
    /** 32-bit signed integer, held as {@link Integer}. */
    INT32(5, 4),
    /** 32-bit IEEE 754 number, held as {@link Float}. */
    FLOAT32(6, 4),
    /** One byte, 0 or 1, held as {@link Boolean}. */
    BOOL(7, 1),
    /** Length (64 bits) and UTF-8 bytes, held as {@link String}. */
    STRING(8, 8),
    /** Element type, count (64 bits) and elements, held as a primitive array or {@code String[]}. */
    ARRAY(9, 12),
    /** 64-bit unsigned integer, held as {@link Long}. */
    UINT64(10, 8),
    /** 64-bit signed integer, held as {@link Long}. */
    INT64(11, 8),
    /** 64-bit IEEE 754 number, held as {@link Double}. */
    FLOAT64(12, 8);

    private static final MetadataType[] VALUES = values();

    private final int id;
    private final int minimumBytes;

    MetadataType(int id, int minimumBytes) {
        this.id = id;
        this.minimumBytes = minimumBytes;
    }

    /** {@return the id in a file} */
    public int id() {
        return id;
    }

    /** {@return the fewest bytes that one value of this type takes in a file} */
    public int minimumBytes() {
        return minimumBytes;
    }

    /** The type with the given id, or null where there is none. */
    static @org.jspecify.annotations.Nullable MetadataType of(int id) {
        for (MetadataType type : VALUES) {
            if (type.id == id) {
                return type;
            }
        }
        return null;
    }
}
