package dev.demitasse.quantize.source;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * An object of a JSON file, with typed access. A key whose value is null counts as missing.
 *
 * @param source the file, for messages
 * @param values maps, lists, strings, numbers and booleans
 */
record Json(String source, Map<String, Object> values) {
    private static final long MOST_BYTES = 1 << 28;
    private static final int MOST_NESTING = 64;
    private static final JsonFactory FACTORY = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(MOST_NESTING)
                    .maxStringLength(1 << 24)
                    .build())
            .build();

    /**
     * Reads a file whose content is an object.
     *
     * @throws ModelFormatException where it is none
     */
    static Json read(Path path) {
        try {
            if (Files.size(path) > MOST_BYTES) {
                throw new ModelFormatException(path + " has " + Files.size(path) + " bytes, too many to be right.");
            }
            try (JsonParser in = FACTORY.createParser(Files.readAllBytes(path))) {
                if (in.nextToken() != JsonToken.START_OBJECT) {
                    throw new ModelFormatException(path + " is no JSON object.");
                }
                return new Json(path.toString(), object(in));
            }
        } catch (JacksonException e) {
            throw new ModelFormatException(path + " is no valid JSON: " + e.getMessage(), e);
        } catch (IOException e) {
            throw new UsageException("Cannot read " + path + ": " + e, e);
        }
    }

    private static Map<String, Object> object(JsonParser in) throws IOException {
        Map<String, Object> values = new LinkedHashMap<>();
        while (in.nextToken() == JsonToken.FIELD_NAME) {
            String key = in.currentName();
            in.nextToken();
            Object value = value(in);
            if (value != null) {
                values.put(key, value);
            }
        }
        return values;
    }

    private static @Nullable Object value(JsonParser in) throws IOException {
        return switch (Objects.requireNonNull(in.currentToken())) {
            case START_OBJECT -> object(in);
            case START_ARRAY -> {
                List<Object> list = new ArrayList<>();
                while (in.nextToken() != JsonToken.END_ARRAY) {
                    Object element = value(in);
                    list.add(element == null ? "" : element);
                }
                yield list;
            }
            case VALUE_STRING -> in.getText();
            case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> in.getDoubleValue();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            default -> null;
        };
    }

    boolean has(String key) {
        return values.containsKey(key);
    }

    /** The same with values for keys that it has not. */
    Json withDefaults(Map<String, Object> defaults) {
        Map<String, Object> all = new LinkedHashMap<>(defaults);
        all.putAll(values);
        return new Json(source, all);
    }

    /** An object, empty where there is none. */
    Json object(String key) {
        return new Json(source, values.get(key) instanceof Map<?, ?> map ? stringKeys(map) : Map.of());
    }

    private static Map<String, Object> stringKeys(Map<?, ?> map) {
        Map<String, Object> values = new LinkedHashMap<>();
        map.forEach((key, value) -> values.put(String.valueOf(key), value));
        return values;
    }

    /** The objects of a list, none where there is no list. */
    List<Json> objects(String key) {
        return list(key).stream()
                .map(each -> new Json(source, each instanceof Map<?, ?> map ? stringKeys(map) : Map.of()))
                .toList();
    }

    /** A list, empty where there is none. */
    List<?> list(String key) {
        return values.get(key) instanceof List<?> list ? list : List.of();
    }

    String string(String key, String otherwise) {
        Object value = values.get(key);
        if (value == null) {
            return otherwise;
        }
        if (value instanceof String text) {
            return text;
        }
        throw bad(key, "is no string");
    }

    boolean bool(String key, boolean otherwise) {
        Object value = values.get(key);
        if (value == null) {
            return otherwise;
        }
        if (value instanceof Boolean bool) {
            return bool;
        }
        throw bad(key, "is neither true nor false");
    }

    double number(String key, double otherwise) {
        Object value = values.get(key);
        if (value == null) {
            return otherwise;
        }
        if (value instanceof Double number && Double.isFinite(number)) {
            return number;
        }
        throw bad(key, "is no number");
    }

    /** A number that must be there. */
    double number(String key) {
        if (!has(key)) {
            throw bad(key, "is missing");
        }
        return number(key, 0);
    }

    int integer(String key, int otherwise) {
        double value = number(key, otherwise);
        if (value != (int) value) {
            throw bad(key, "is " + value + ", which is no integer of 32 bits");
        }
        return (int) value;
    }

    /** An integer above zero that must be there. */
    int count(String key) {
        if (!has(key)) {
            throw bad(key, "is missing");
        }
        int value = integer(key, 0);
        if (value < 1) {
            throw bad(key, "is " + value + "; it must be above zero");
        }
        return value;
    }

    /** A list of numbers. */
    float[] numbers(String key) {
        List<?> list = list(key);
        float[] numbers = new float[list.size()];
        for (int i = 0; i < numbers.length; i++) {
            if (!(list.get(i) instanceof Double number)) {
                throw bad(key, "has an element that is no number");
            }
            numbers[i] = number.floatValue();
        }
        return numbers;
    }

    ModelFormatException bad(String key, String what) {
        return new ModelFormatException(source + ": \"" + key + "\" " + what + ".");
    }
}
