package dev.demitasse.springai;

import dev.demitasse.Grammar;
import java.util.LinkedHashMap;
import java.util.Map;

/** The grammars of the last schemas that answers were asked for in, so that a model knows them again. Thread-safe. */
final class OutputSchemas {
    private static final int MOST = 16;

    private final Map<String, Grammar> known = new LinkedHashMap<>(MOST, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Grammar> eldest) {
            return size() > MOST;
        }
    };

    /**
     * The grammar of a JSON schema.
     *
     * @throws dev.demitasse.exception.UsageException where the schema has something that is not supported
     */
    synchronized Grammar of(String schema) {
        return known.computeIfAbsent(schema, Grammar::jsonSchema);
    }
}
