package dev.demitasse;

import dev.demitasse.exception.UsageException;
import dev.demitasse.grammar.Language;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What an answer may be ({@link GenerationOptions#withGrammar}): tokens that no text of the grammar can go
 * on with are not chosen, so that a whole answer is a text of it. One that runs into its limit of tokens is only the
 * beginning of one ({@link dev.demitasse.sampling.FinishReason#LENGTH}). Equal are those that were made of the same
 * text; a model keeps what it has learned of the last ones. Immutable and thread-safe.
 */
public final class Grammar {
    private final Language language;

    private Grammar(Language language) {
        this.language = language;
    }

    /**
     * {@return a grammar in GBNF, llama.cpp's notation: rules {@code name ::= …} of which {@code root} is a whole text;
     * literals {@code "text"}, characters {@code [a-z]}, {@code [^"\\]} and {@code .}, groups {@code (…)}, alternatives
     * {@code |}, repetitions {@code * + ? {2,5}}, comments {@code # …}; in literals and characters the escapes of C}
     *
     * @param text the rules
     * @throws UsageException where it cannot be read, with line and column; where a rule begins with itself; where it
     *     allows no text
     */
    public static Grammar gbnf(String text) {
        return new Grammar(Language.gbnf(text));
    }

    /**
     * The texts that match a regular expression as a whole: characters, classes, {@code . \d \w \s} (of ASCII) and
     * {@code \p{L}}, groups, alternatives, repetitions. What needs more than a grammar is refused: references to
     * groups, looking ahead and behind, {@code \b}.
     *
     * @param pattern the regular expression
     * @return the grammar
     * @throws UsageException where it cannot be read, or has what is refused, with the place
     */
    public static Grammar regex(String pattern) {
        return new Grammar(Language.regex(pattern));
    }

    /**
     * {@return the JSON values that are valid by a JSON Schema (draft 2020-12)} They are written with little white
     * space, and with properties in the schema's order. An object whose schema has {@code properties} has no others,
     * unless {@code additionalProperties} says so.
     *
     * @param schema an object of JSON, or {@code true}
     * @throws UsageException where it is no schema, nothing is valid by it, or it has a keyword that is not supported:
     *     none is ignored but those that only describe
     */
    public static Grammar jsonSchema(String schema) {
        return new Grammar(Language.jsonSchema(schema));
    }

    /** {@return any JSON value that is an object} */
    public static Grammar json() {
        return jsonSchema("{\"type\":\"object\"}");
    }

    /**
     * {@return one of some texts}
     *
     * @param texts one of them is the answer
     * @throws UsageException where there are none, or one is empty
     */
    public static Grammar oneOf(List<String> texts) {
        return new Grammar(Language.oneOf(texts));
    }

    Language language() {
        return language;
    }

    /**
     * {@return whether a whole text is one of the grammar}
     *
     * @param text any text
     */
    public boolean matches(String text) {
        return language.matches(text);
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Grammar grammar && language.equals(grammar.language);
    }

    @Override
    public int hashCode() {
        return language.hashCode();
    }

    /** What it was made of, for people. */
    @Override
    public String toString() {
        return language.toString();
    }
}
