package dev.demitasse.langchain4j;

import dev.demitasse.Grammar;
import dev.demitasse.exception.UsageException;
import dev.demitasse.json.Json;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The grammars of formats that answers are asked for in. */
final class AnswerFormats {
    private static final String DEFINITIONS = "$defs";
    private static final Grammar ANY_OBJECT = Grammar.json();

    private AnswerFormats() {}

    /**
     * The grammar of a format; null where any text will do.
     *
     * @throws UnsupportedFeatureException where the schema has something that is not supported
     */
    static @Nullable Grammar of(@Nullable ResponseFormat format) {
        if (format == null || format.type() != ResponseFormatType.JSON) {
            return null;
        }
        JsonSchema schema = format.jsonSchema();
        return schema == null ? ANY_OBJECT : grammar(schema);
    }

    private static Grammar grammar(JsonSchema schema) {
        try {
            return Grammar.jsonSchema(text(schema));
        } catch (UsageException e) {
            throw new UnsupportedFeatureException(e.getMessage());
        }
    }

    /** The schema as JSON: LangChain4j writes schemas as the parameters of tools alone. */
    private static String text(JsonSchema schema) {
        JsonObjectSchema holder = JsonObjectSchema.builder()
                .addProperty("value", schema.rootElement())
                .build();
        String whole = ToolSpecification.builder()
                .name("holder")
                .parameters(holder)
                .build()
                .toJson();
        Object at = Json.object(whole, "A tool's specification");
        for (String step : new String[] {"parameters", "properties", "value"}) {
            at = at instanceof Map<?, ?> map ? map.get(step) : null;
        }
        Map<String, @Nullable Object> definitions = new LinkedHashMap<>();
        Object lifted = lift(at, definitions);
        if (lifted instanceof Map<?, ?> map && !definitions.isEmpty()) {
            Map<Object, @Nullable Object> root = new LinkedHashMap<>(map);
            root.put(DEFINITIONS, definitions);
            lifted = root;
        }
        return Json.write(lifted);
    }

    /** A schema without the definitions within it, which references mean at the top. */
    private static @Nullable Object lift(@Nullable Object schema, Map<String, @Nullable Object> definitions) {
        if (schema instanceof List<?> items) {
            return items.stream().map(item -> lift(item, definitions)).toList();
        }
        if (!(schema instanceof Map<?, ?> members)) {
            return schema;
        }
        Map<Object, @Nullable Object> kept = new LinkedHashMap<>();
        members.forEach((name, value) -> {
            Object inner = lift(value, definitions);
            if (name.equals(DEFINITIONS) && inner instanceof Map<?, ?> defined) {
                defined.forEach((key, definition) -> definitions.putIfAbsent(String.valueOf(key), definition));
            } else {
                kept.put(name, inner);
            }
        });
        return kept;
    }
}
