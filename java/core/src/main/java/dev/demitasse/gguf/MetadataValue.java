package dev.demitasse.gguf;

import org.jspecify.annotations.Nullable;

/**
 * One metadata value with the type it has in the file.
 *
 * @param type the type; {@link MetadataType#ARRAY} for arrays
 * @param elementType the type of an array's elements, else null
 * @param value the boxed value, {@link String}, {@code String[]} or primitive array (see {@link MetadataType})
 */
public record MetadataValue(MetadataType type, @Nullable MetadataType elementType, Object value) {
    /**
     * {@return a scalar or string}
     *
     * @param type any but {@link MetadataType#ARRAY}
     * @param value a boxed value or {@link String}, as {@code type} says
     */
    public static MetadataValue of(MetadataType type, Object value) {
        return new MetadataValue(type, null, value);
    }

    /**
     * {@return an array of {@code elementType}}
     *
     * @param elementType any but {@link MetadataType#ARRAY}
     * @param value a primitive array or {@code String[]}, as {@code elementType} says
     */
    public static MetadataValue array(MetadataType elementType, Object value) {
        return new MetadataValue(MetadataType.ARRAY, elementType, value);
    }
}
