package dev.demitasse;

import dev.demitasse.grammar.TokenIndex;
import dev.demitasse.grammar.TokenMasks;
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
    private final Map<Grammar, TokenMasks> masks = new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Grammar, TokenMasks> eldest) {
            return size() > MOST;
        }
    };

    Constraints(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
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
