package dev.demitasse.cli;

import dev.demitasse.Grammar;
import dev.demitasse.exception.UsageException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options that say what an answer may be; the same in every command. */
final class GrammarSelection {
    @Option(
            names = "--grammar",
            paramLabel = "FILE",
            description = "Answer with a text of this grammar, in GBNF (llama.cpp's notation).")
    @Nullable
    Path gbnf;

    @Option(
            names = "--json-schema",
            paramLabel = "FILE",
            description = "Answer with JSON that is valid by this schema (draft 2020-12).")
    @Nullable
    Path schema;

    @Option(names = "--regex", paramLabel = "PATTERN", description = "Answer with a text that matches as a whole.")
    @Nullable
    String regex;

    @Option(
            names = "--choice",
            paramLabel = "TEXT",
            description = "Answer with this text, or another that is given so.")
    List<String> choices = List.of();

    /** The grammar that was asked for; null for none. */
    @Nullable
    Grammar grammar() {
        long asked = Stream.of(gbnf, schema, regex).filter(Objects::nonNull).count() + (choices.isEmpty() ? 0 : 1);
        if (asked > 1) {
            throw new UsageException("Give one of --grammar, --json-schema, --regex and --choice.");
        }
        if (gbnf != null) {
            return Grammar.gbnf(TextFile.read(gbnf));
        }
        if (schema != null) {
            return Grammar.jsonSchema(TextFile.read(schema));
        }
        if (regex != null) {
            return Grammar.regex(regex);
        }
        return choices.isEmpty() ? null : Grammar.oneOf(choices);
    }
}
