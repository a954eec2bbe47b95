package dev.demitasse.json;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.io.Reader;
import java.io.StringReader;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * JSON (RFC 8259) as plain values: maps, lists, strings, booleans, null; numbers are Long, or Double where that does
 * not hold them. Line breaks within strings are read too: models write them.
 */
public final class Json {
    private static final int MOST_DIGITS = 100_000;
    private static final int MOST_LEVELS = 500; // so that what was read can be written as a part of something
    private static final JsonFactory FACTORY = JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(MOST_LEVELS)
                    .maxNameLength(Integer.MAX_VALUE)
                    .maxStringLength(Integer.MAX_VALUE)
                    .maxNumberLength(MOST_DIGITS)
                    .build())
            .enable(JsonReadFeature.ALLOW_UNESCAPED_CONTROL_CHARS)
            .build();

    private Json() {}

    /** A value, and where it ends in its text. */
    public record Read(@Nullable Object value, int end) {}

    /** The value that begins at {@code from}; null where none does. */
    public static @Nullable Read at(String text, int from) {
        return at(text, from, false);
    }

    /**
     * The value that a whole text is, null where it is none; numbers that neither a Long nor a Double holds exactly are
     * {@link BigDecimal}s.
     */
    public static @Nullable Read exact(String text) {
        Read read = at(text, 0, true);
        return read != null && text.substring(read.end).isBlank() ? read : null;
    }

    private static @Nullable Read at(String text, int from, boolean exact) {
        try (Reader reader = new StringReader(text); // which copies no more of a long text than is read
                JsonParser parser = FACTORY.createParser(reader)) {
            long skipped = reader.skip(from); // all of it: the text is in memory
            parser.nextToken();
            Object value = value(parser, exact);
            return new Read(value, (int) (skipped + parser.currentLocation().getCharOffset()));
        } catch (IOException e) {
            return null;
        }
    }

    /** The object that a whole text is; null where it is none. */
    @SuppressWarnings("unchecked")
    public static @Nullable Map<String, @Nullable Object> object(String text) {
        Read read = whole(text);
        return read != null && read.value instanceof Map ? (Map<String, @Nullable Object>) read.value : null;
    }

    /**
     * The object that a whole text is.
     *
     * @param what the text is, for the message
     * @throws UsageException where it is none
     */
    public static Map<String, @Nullable Object> object(String text, String what) {
        Map<String, @Nullable Object> object = object(text);
        if (object == null) {
            throw new UsageException(what + " are no JSON object: " + text);
        }
        return object;
    }

    /** The value that a whole text is; null where it is none. */
    public static @Nullable Read whole(String text) {
        Read read = at(text, 0);
        return read != null && text.substring(read.end).isBlank() ? read : null;
    }

    private static @Nullable Object value(JsonParser parser, boolean exact) throws IOException {
        JsonToken token = parser.currentToken();
        return switch (token) {
            case null -> throw new IOException("no value");
            case START_OBJECT -> {
                Map<String, @Nullable Object> map = new LinkedHashMap<>();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String name = parser.currentName();
                    parser.nextToken();
                    map.put(name, value(parser, exact));
                }
                yield map;
            }
            case START_ARRAY -> {
                List<@Nullable Object> list = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    list.add(value(parser, exact));
                }
                yield list;
            }
            case VALUE_STRING -> parser.getText();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            case VALUE_NULL -> null;
            case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> number(parser.getText(), exact);
            default -> throw new IOException("no value");
        };
    }

    /** A Long, or a Double where that does not hold it; if that does not either, and it matters, the exact number. */
    private static Object number(String text, boolean exact) {
        try {
            return Long.valueOf(text);
        } catch (NumberFormatException e) {
            double number = Double.parseDouble(text);
            boolean holds = !exact
                    || Double.isFinite(number) && BigDecimal.valueOf(number).compareTo(new BigDecimal(text)) == 0;
            return holds ? (Object) number : new BigDecimal(text);
        }
    }

    /** A value as JSON without white space. */
    public static String write(@Nullable Object value) {
        StringWriter out = new StringWriter();
        try (JsonGenerator generator = FACTORY.createGenerator(out)) {
            write(value, generator);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toString();
    }

    private static void write(@Nullable Object value, JsonGenerator out) throws IOException {
        switch (value) {
            case null -> out.writeNull();
            case String text -> out.writeString(text);
            case Boolean flag -> out.writeBoolean(flag);
            case Long number -> out.writeNumber(number);
            case Double number -> out.writeNumber(number);
            case BigDecimal number -> out.writeNumber(number);
            case List<?> list -> {
                out.writeStartArray();
                for (Object item : list) {
                    write(item, out);
                }
                out.writeEndArray();
            }
            case Map<?, ?> map -> {
                out.writeStartObject();
                for (Map.Entry<?, ?> entry : map.entrySet()) {
                    out.writeFieldName(String.valueOf(entry.getKey()));
                    write(entry.getValue(), out);
                }
                out.writeEndObject();
            }
            default -> throw new IllegalArgumentException("no value of JSON: " + value.getClass());
        }
    }
}
