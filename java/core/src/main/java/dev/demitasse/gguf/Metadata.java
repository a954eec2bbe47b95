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

    /**
     * Metadata of a file.
     *
     * @param source names the file in messages
     * @param values by key, in file order; copied
     */
    public Metadata(String source, Map<String, MetadataValue> values) {
        this.source = source;
        this.values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
    }

    /** {@return every key and value, in file order} */
    public Map<String, MetadataValue> all() {
        return values;
    }

    /**
     * {@return whether the key is there}
     *
     * @param key its name, such as {@code general.name}
     */
    public boolean has(String key) {
        return values.containsKey(key);
    }

    /**
     * {@return a string, or {@code otherwise}}
     *
     * @param key its name
     * @param otherwise what is returned where the key is missing; may be null
     * @throws ModelFormatException where it is no string
     */
    public @Nullable String string(String key, @Nullable String otherwise) {
        Object value = raw(key);
        return value == null ? otherwise : cast(key, value, String.class, "a string");
    }

    /**
     * {@return a string that must be there}
     *
     * @param key its name
     * @throws ModelFormatException where it is missing, or no string
     */
    public String string(String key) {
        String value = string(key, null);
        if (value == null) {
            throw missing(key);
        }
        return value;
    }

    /**
     * {@return an integer of any width that fits an int, or {@code otherwise}}
     *
     * @param key its name
     * @param otherwise what is returned where the key is missing
     * @throws ModelFormatException where it is no such integer
     */
    public int integer(String key, int otherwise) {
        Object value = raw(key);
        return value == null ? otherwise : toInt(key, value);
    }

    /**
     * {@return an integer that must be there}
     *
     * @param key its name
     * @throws ModelFormatException where it is missing, or no integer that fits an int
     */
    public int integer(String key) {
        Object value = raw(key);
        if (value == null) {
            throw missing(key);
        }
        return toInt(key, value);
    }

    /**
     * {@return a number, or {@code otherwise}; it must be finite}
     *
     * @param key its name
     * @param otherwise what is returned where the key is missing
     * @throws ModelFormatException where it is no number, or not finite
     */
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

    /**
     * {@return a boolean, or {@code otherwise}}
     *
     * @param key its name
     * @param otherwise what is returned where the key is missing
     * @throws ModelFormatException where it is no boolean
     */
    public boolean bool(String key, boolean otherwise) {
        Object value = raw(key);
        return value == null ? otherwise : cast(key, value, Boolean.class, "a boolean");
    }

    /**
     * {@return an array of strings, or null where the key is missing}
     *
     * @param key its name
     * @throws ModelFormatException where it is something else
     */
    public String @Nullable [] strings(String key) {
        Object value = raw(key);
        return value == null ? null : cast(key, value, String[].class, "an array of strings");
    }

    /**
     * {@return an array of bytes, or null where the key is missing}
     *
     * @param key its name
     * @throws ModelFormatException where it is something else
     */
    public byte @Nullable [] bytes(String key) {
        Object value = raw(key);
        return value == null ? null : cast(key, value, byte[].class, "an array of bytes");
    }

    /**
     * {@return an array of 32-bit integers, or null where the key is missing}
     *
     * @param key its name
     * @throws ModelFormatException where it is something else
     */
    public int @Nullable [] integers(String key) {
        Object value = raw(key);
        return value == null ? null : cast(key, value, int[].class, "an array of 32-bit integers");
    }

    /**
     * {@return an array of 32-bit floating-point numbers, or null where the key is missing}
     *
     * @param key its name
     * @throws ModelFormatException where it is something else
     */
    public float @Nullable [] numbers(String key) {
        Object value = raw(key);
        return value == null ? null : cast(key, value, float[].class, "an array of 32-bit numbers");
    }

    /**
     * {@return an array of booleans, or null where the key is missing}
     *
     * @param key its name
     * @throws ModelFormatException where it is something else
     */
    public boolean @Nullable [] booleans(String key) {
        Object value = raw(key);
        return value == null ? null : cast(key, value, boolean[].class, "an array of booleans");
    }

    /**
     * {@return whether the value is an array; false where the key is missing}
     *
     * @param key its name
     */
    public boolean isArray(String key) {
        MetadataValue value = values.get(key);
        return value != null && value.type() == MetadataType.ARRAY;
    }

    /**
     * {@return the exception for a key whose value cannot be right}
     *
     * @param key its name
     * @param what the rest of the sentence that begins with the key, without a full stop: {@code is no integer}
     */
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

    /**
     * {@return whether a value is -1, or the largest number of an unsigned type, which is how files say "none"}
     *
     * @param key its name
     */
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
