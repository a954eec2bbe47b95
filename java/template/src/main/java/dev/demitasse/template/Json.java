package dev.demitasse.template;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** JSON as Python's {@code json.dumps} writes it, to the character: templates were trained with it. */
final class Json {
    private static final JsonFactory FACTORY = new JsonFactory();

    private final boolean ascii;
    private final @Nullable String indent;
    private final String itemSeparator;
    private final String keySeparator;
    private final boolean sortKeys;
    private final StringBuilder out = new StringBuilder();

    Json(boolean ascii, @Nullable String indent, String itemSeparator, String keySeparator, boolean sortKeys) {
        this.ascii = ascii;
        this.indent = indent;
        this.itemSeparator = itemSeparator;
        this.keySeparator = keySeparator;
        this.sortKeys = sortKeys;
    }

    String write(@Nullable Object value) {
        write(value, 0);
        return out.toString();
    }

    private void write(@Nullable Object value, int depth) {
        Budget.length(out.length());
        if (depth > Budget.MAXIMUM_DEPTH) {
            throw new JinjaException("ValueError: a value nests too deeply for JSON");
        }
        switch (value) {
            case null -> out.append("null");
            case Boolean b -> out.append(b);
            case Long l -> out.append(l);
            case Double d -> out.append(Values.number(d));
            case String s -> quote(s);
            case List<?> list -> {
                out.append('[');
                boolean first = true;
                for (Object item : list) {
                    separate(first, depth + 1);
                    write(item, depth + 1);
                    first = false;
                }
                end(list.isEmpty(), depth, ']');
            }
            case Map<?, ?> map -> {
                out.append('{');
                boolean first = true;
                List<Object> keys = new ArrayList<>(map.keySet());
                if (sortKeys) {
                    keys.sort(Values::compare);
                }
                for (Object key : keys) {
                    separate(first, depth + 1);
                    quote(key instanceof String s ? s : new Json(ascii, null, ", ", ": ", false).write(key));
                    out.append(keySeparator);
                    write(map.get(key), depth + 1);
                    first = false;
                }
                end(map.isEmpty(), depth, '}');
            }
            default ->
                throw new JinjaException(
                        "TypeError: Object of type " + Values.typeName(value) + " is not JSON serializable");
        }
    }

    private void separate(boolean first, int depth) {
        if (!first) {
            out.append(indent == null ? itemSeparator : itemSeparator.stripTrailing());
        }
        newline(depth);
    }

    private void end(boolean empty, int depth, char bracket) {
        if (!empty) {
            newline(depth);
        }
        out.append(bracket);
    }

    private void newline(int depth) {
        if (indent != null) {
            Budget.length((long) out.length() + (long) indent.length() * depth);
            out.append('\n').repeat(indent, depth);
        }
    }

    private void quote(String text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\b' -> out.append("\\b");
                case '\f' -> out.append("\\f");
                default -> {
                    if (c < 0x20 || ascii && c > 0x7E) {
                        out.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        out.append('"');
    }

    /** The value of a JSON text in the classes of {@link Values}. */
    static @Nullable Object parse(String text) {
        try (JsonParser parser = FACTORY.createParser(text)) {
            parser.nextToken();
            Object value = value(parser, 0);
            if (parser.nextToken() != null) {
                throw new JinjaException("ValueError: the JSON text goes on after its value");
            }
            return value;
        } catch (IOException e) {
            throw new JinjaException("ValueError: a text is not JSON: " + e.getMessage(), e);
        }
    }

    private static @Nullable Object value(JsonParser parser, int depth) throws IOException {
        if (depth > Budget.MAXIMUM_DEPTH) {
            throw new JinjaException("ValueError: the JSON text nests too deeply");
        }
        JsonToken token = parser.currentToken();
        if (token == null) {
            throw new JinjaException("ValueError: the JSON text ends too early");
        }
        switch (token) {
            case START_OBJECT -> {
                Map<String, @Nullable Object> map = new LinkedHashMap<>();
                while (parser.nextToken() != JsonToken.END_OBJECT) {
                    String key = parser.currentName();
                    parser.nextToken();
                    map.put(key, value(parser, depth + 1));
                }
                return map;
            }
            case START_ARRAY -> {
                List<@Nullable Object> list = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    list.add(value(parser, depth + 1));
                }
                return list;
            }
            case VALUE_STRING -> {
                return parser.getText();
            }
            case VALUE_NUMBER_INT -> {
                return parser.getLongValue();
            }
            case VALUE_NUMBER_FLOAT -> {
                return parser.getDoubleValue();
            }
            case VALUE_TRUE -> {
                return true;
            }
            case VALUE_FALSE -> {
                return false;
            }
            case VALUE_NULL -> {
                return null;
            }
            default -> throw new JinjaException("ValueError: the JSON text has " + token);
        }
    }
}
