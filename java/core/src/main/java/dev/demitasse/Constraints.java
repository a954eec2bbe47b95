package dev.demitasse;

import dev.demitasse.chat.Tool;
import dev.demitasse.exception.UsageException;
import dev.demitasse.grammar.TokenIndex;
import dev.demitasse.grammar.TokenMasks;
import dev.demitasse.json.Json;
import dev.demitasse.sampling.Constraint;
import dev.demitasse.tokenizer.Tokenizer;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a model knows of the grammars that its answers were to be of; of the last ones that were used. Thread-safe. */
final class Constraints {
    private static final int MOST = 16;

    private final Tokenizer tokenizer;
    private @Nullable TokenIndex index;
    private final Map<Grammar, TokenMasks> masks = new LinkedHashMap<>(MOST, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Grammar, TokenMasks> eldest) {
            return size() > MOST;
        }
    };

    Constraints(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /**
     * The grammar of a tool's arguments.
     *
     * @throws UsageException where the tool's schema has something that is not supported
     */
    static Grammar arguments(Tool tool) {
        Map<String, @Nullable Object> schema = new LinkedHashMap<>(tool.schema());
        schema.putIfAbsent("type", "object");
        try {
            return Grammar.jsonSchema(Json.write(schema));
        } catch (UsageException e) {
            throw new UsageException("A call of the tool \"" + tool.name() + "\" cannot be required, since not all"
                    + " of its schema can be followed: " + e.getMessage());
        }
    }

    /** Follows one answer. */
    synchronized Constraint of(Grammar grammar) {
        TokenMasks known = masks.get(grammar);
        if (known == null) {
            TokenIndex tokens = index == null ? new TokenIndex(tokenizer) : index;
            index = tokens;
            known = new TokenMasks(grammar.language(), tokens);
            masks.put(grammar, known);
        }
        return known.newConstraint();
    }
}
