package dev.demitasse.dialect;

import dev.demitasse.chat.Tool;
import dev.demitasse.json.Json;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What the schema of a tool says of a value that is written without quotation marks. */
final class ToolSchema {
    private ToolSchema() {}

    /** The tool of a name; null where there is none. */
    static @Nullable Tool find(List<Tool> tools, String name) {
        return tools.stream()
                .filter(tool -> tool.name().equals(name))
                .findFirst()
                .orElse(null);
    }

    /**
     * The value of a parameter: a text where it may be one and nothing else fits, JSON or one of Python's words where
     * it is such, else a text.
     *
     * @param tool null where nothing is known of the parameter
     */
    static @Nullable Object value(@Nullable Tool tool, String parameter, String written) {
        Set<String> types = types(tool, parameter);
        String text = written.strip();
        String word = switch (text) {
            case "True" -> "true";
            case "False" -> "false";
            case "None" -> "null";
            default -> text;
        };
        Json.Read read = Json.whole(word);
        boolean fits = !types.contains("string") || read != null && types.contains(type(read.value()));
        return read != null && fits ? read.value() : unwrapped(written);
    }

    /** Without the line break on either side that some models put around a value. */
    private static String unwrapped(String text) {
        int from = text.startsWith("\n") ? 1 : 0;
        int to = text.endsWith("\n") && text.length() > from ? text.length() - 1 : text.length();
        return text.substring(from, to);
    }

    private static String type(@Nullable Object value) {
        return switch (value) {
            case null -> "null";
            case Boolean flag -> "boolean";
            case Number number -> "number";
            case List<?> list -> "array";
            case Map<?, ?> map -> "object";
            default -> "";
        };
    }

    private static Set<String> types(@Nullable Tool tool, String parameter) {
        Set<String> types = new HashSet<>();
        if (tool != null && tool.schema().get("properties") instanceof Map<?, ?> properties) {
            add(properties.get(parameter), types, 0);
        }
        if (types.contains("integer")) {
            types.add("number");
        }
        return types;
    }

    private static void add(@Nullable Object schema, Set<String> types, int depth) {
        if (!(schema instanceof Map<?, ?> map) || depth > 8) {
            return;
        }
        for (Object type : map.get("type") instanceof List<?> list ? list : List.of(orEmpty(map.get("type")))) {
            types.add(String.valueOf(type));
        }
        for (String union : List.of("anyOf", "oneOf")) {
            if (map.get(union) instanceof List<?> list) {
                list.forEach(each -> add(each, types, depth + 1));
            }
        }
        if (map.get("enum") instanceof List<?> list) {
            list.forEach(each -> types.add(each instanceof String ? "string" : type(each)));
        }
    }

    private static Object orEmpty(@Nullable Object value) {
        return value == null ? "" : value;
    }
}
