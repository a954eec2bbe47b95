package dev.demitasse.gguf;

import dev.demitasse.exception.ModelFormatException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The metadata of a model file, in file order, with typed access. */
public final class Metadata {
    private final String source;
    private final Map<String, MetadataValue> values;

    /** Metadata of the file named {@code source} (used in messages). */
    public Metadata(String source, Map<String, MetadataValue> values) {
        this.source = source;
        this.values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
    }

    /** Every key and value, in file order. */
    public Map<String, MetadataValue> all() {
        return values;
    }

    /** Whether the key is there. */
    public boolean has(String key) {
        return values.containsKey(key);
    }

    /** A string, or {@code otherwise}. */
    public @Nullable String string(String key, @Nullable String otherwise) {
        Object value = raw(key);
        return value == null ? otherwise : cast(key, value, String.class, "a string");
    }

    /** A string that must be there. */
    public String string(String key) {
        String value = string(key, null);
        if (value == null) {
            throw missing(key);
        }
        return value;
    }

    /** An integer of any width that fits an int, or {@code otherwise}. */
    public int integer(String key, int otherwise) {
        Object value = raw(key);
        return value == null ? otherwise : toInt(key, value);
    }

    /** An integer that must be there. */
    public int integer(String key) {
        Object value = raw(key);
        if (value == null) {
            throw missing(key);
        }
        return toInt(key, value);
    }

    /** A number, or {@code otherwise}; it must be finite. */
    public float number(String key, float otherwise) {
        Object value = raw(key);
        if (value == null) {
            return otherwise;
        }
        float number = cast(key, value, Number.class, "a number").floatValue();
        if (!Float.isFinite(number)) {
            throw bad(key, "is " + number + "; a finite number is needed");
        }
        return number;
    }

    /** A boolean, or {@code otherwise}. */
    public boolean bool(String key, boolean otherwise) {
        Object value = raw(key);
        return value == null ? otherwise : cast(key, value, Boolean.class, "a boolean");
    }

    /** An array of strings, or null. */
    public String @Nullable [] strings(String key) {
        Object value = raw(key);
        return value == null ? null : cast(key, value, String[].class, "an array of strings");
    }

    /** An array of bytes, or null. */
    public byte @Nullable [] bytes(String key) {
        Object value = raw(key);
        return value == null ? null : cast(key, value, byte[].class, "an array of bytes");
    }

    /** An array of 32-bit integers, or null. */
    public int @Nullable [] integers(String key) {
        Object value = raw(key);
        return value == null ? null : cast(key, value, int[].class, "an array of 32-bit integers");
    }

    /** An array of 32-bit floating-point numbers, or null. */
    public float @Nullable [] numbers(String key) {
        Object value = raw(key);
        return value == null ? null : cast(key, value, float[].class, "an array of 32-bit numbers");
    }

    /** An array of booleans, or null. */
    public boolean @Nullable [] booleans(String key) {
        Object value = raw(key);
        return value == null ? null : cast(key, value, boolean[].class, "an array of booleans");
    }

    /** Whether the value is an array. */
    public boolean isArray(String key) {
        MetadataValue value = values.get(key);
        return value != null && value.type() == MetadataType.ARRAY;
    }

    /** The exception for a key whose value cannot be right. */
    public ModelFormatException bad(String key, String what) {
        return new ModelFormatException(source + ": metadata key \"" + key + "\" " + what + ".");
    }

    private ModelFormatException missing(String key) {
        return new ModelFormatException(
                source + ": metadata key \"" + key + "\" is missing; the file is not a complete model.");
    }

    private @Nullable Object raw(String key) {
        MetadataValue value = values.get(key);
        return value == null ? null : value.value();
    }

    /** Whether a value is -1, or the largest number of an unsigned type, which is how files say "none". */
    public boolean isMinusOne(String key) {
        Object value = raw(key);
        return value instanceof Number number
                && !(value instanceof Float)
                && !(value instanceof Double)
                && number.longValue() == -1;
    }

    private int toInt(String key, Object value) {
        if (value instanceof Float || value instanceof Double || !(value instanceof Number integer)) {
            throw bad(key, "is no integer");
        }
        long number = integer.longValue();
        if (number != (int) number || number < 0 && isUnsigned(key)) {
            throw bad(key, "is " + number + ", which is out of range");
        }
        return (int) number;
    }

    private boolean isUnsigned(String key) {
        MetadataValue value = values.get(key);
        return value != null
                && switch (value.type()) {
                    case UINT8, UINT16, UINT32, UINT64 -> true;
                    default -> false;
                };
    }

    private <T> T cast(String key, Object value, Class<T> type, String words) {
        if (!type.isInstance(value)) {
            throw bad(key, "is not " + words);
        }
        return type.cast(value);
    }
}
