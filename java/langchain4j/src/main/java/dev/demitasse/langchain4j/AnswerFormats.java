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
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The grammars of the last formats that answers were asked for in, so that a model knows them again. Thread-safe. */
final class AnswerFormats {
    private static final int MOST = 16;
    private static final Grammar ANY_OBJECT = Grammar.json();

    private final Map<JsonSchema, Grammar> known = new LinkedHashMap<>(MOST, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<JsonSchema, Grammar> eldest) {
            return size() > MOST;
        }
    };

    /**
     * The grammar of a format; null where any text will do.
     *
     * @throws UnsupportedFeatureException where the schema has something that is not supported
     */
    @Nullable
    Grammar of(@Nullable ResponseFormat format) {
        if (format == null || format.type() != ResponseFormatType.JSON) {
            return null;
        }
        JsonSchema schema = format.jsonSchema();
        if (schema == null) {
            return ANY_OBJECT;
        }
        synchronized (known) {
            return known.computeIfAbsent(schema, AnswerFormats::grammar);
        }
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
        return Json.write(at);
    }
}
