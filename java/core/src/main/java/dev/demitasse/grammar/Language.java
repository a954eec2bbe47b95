package dev.demitasse.grammar;

import dev.demitasse.exception.UsageException;
import java.util.List;
import java.util.Map;

/** The texts of a grammar. Immutable and thread-safe. */
public final class Language {
    private final String name;
    private final Program program;

    private Language(String name, Rules rules) {
        this.name = name;
        this.program = Compiler.compile(rules);
    }

    /** Those of rules in GBNF. */
    public static Language gbnf(String text) {
        return new Language("GBNF", new GbnfParser(text).parse());
    }

    /** Those that match a regular expression as a whole. */
    public static Language regex(String pattern) {
        return new Language("regular expression", Rules.of(new RegexParser(pattern).parseWhole()));
    }

    /** The JSON values that are valid by a schema. */
    public static Language jsonSchema(String schema) {
        return new Language("JSON schema", new SchemaReader(schema).read());
    }

    /** Some texts. */
    public static Language oneOf(List<String> texts) {
        if (texts.isEmpty() || texts.stream().anyMatch(String::isEmpty)) {
            throw new UsageException("There must be texts to choose from, and none of them empty: " + texts + ".");
        }
        return new Language("choice", Rules.of(Expression.oneOf(texts)));
    }

    static Language of(Map<String, Expression> rules) {
        return new Language("rules", new Rules(rules, Rules.ROOT));
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

    /** What it was made of, for people. */
    @Override
    public String toString() {
        return "a grammar of a " + name + " with " + program.calls().length + " steps";
    }
}
