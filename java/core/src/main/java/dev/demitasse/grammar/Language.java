package dev.demitasse.grammar;

import dev.demitasse.exception.UsageException;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The texts of a grammar. Equal are those that were made of the same. Immutable and thread-safe. */
public final class Language {
    private final String name;
    private final Object source;
    private final Program program;

    private Language(String name, Object source, Rules rules) {
        this.name = name;
        this.source = source;
        this.program = Compiler.compile(rules);
    }

    /** Those of rules in GBNF. */
    public static Language gbnf(String text) {
        return new Language("GBNF", text, new GbnfParser(text).parse());
    }

    /** Those that match a regular expression as a whole. */
    public static Language regex(String pattern) {
        return new Language("regular expression", pattern, Rules.of(new RegexParser(pattern).parseWhole()));
    }

    /** The JSON values that are valid by a schema. */
    public static Language jsonSchema(String schema) {
        return new Language("JSON schema", schema, new SchemaReader(schema).read());
    }

    /** Some texts. */
    public static Language oneOf(List<String> texts) {
        if (texts.isEmpty() || texts.stream().anyMatch(String::isEmpty)) {
            throw new UsageException("There must be texts to choose from, and none of them empty: " + texts + ".");
        }
        return new Language("choice", List.copyOf(texts), Rules.of(Expression.oneOf(texts)));
    }

    static Language of(Map<String, Expression> rules) {
        return new Language("rules", rules, new Rules(rules, Rules.ROOT));
    }

    Program program() {
        return program;
    }

    /** Whether a whole text is one of the grammar. */
    public boolean matches(String text) {
        ByteParser parser = new ByteParser(program);
        ParserState state = parser.start();
        for (byte each : text.getBytes(java.nio.charset.StandardCharsets.UTF_8)) {
            state = parser.next(state, each);
            if (state == ParserState.DEAD) {
                return false;
            }
        }
        return state.accepting;
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Language language && name.equals(language.name) && source.equals(language.source);
    }

    @Override
    public int hashCode() {
        return source.hashCode();
    }

    /** What it was made of, for people. */
    @Override
    public String toString() {
        return "a grammar of a " + name + " with " + program.calls().length + " steps";
    }
}
