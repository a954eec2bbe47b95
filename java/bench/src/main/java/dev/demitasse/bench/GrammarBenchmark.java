package dev.demitasse.bench;

import dev.demitasse.gguf.Gguf;
import dev.demitasse.grammar.Language;
import dev.demitasse.grammar.TokenIndex;
import dev.demitasse.grammar.TokenMasks;
import dev.demitasse.sampling.Constraint;
import dev.demitasse.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/**
 * What a token of a structured answer costs beside the model: the time to mask all logits of a vocabulary, along
 * answers of three schemas, where the grammar is seen for the first time, and where it is used again.
 *
 * <p>{@code java -cp "java/bench/target/classes:java/cli/target/lib/*" dev.demitasse.bench.GrammarBenchmark FILE.gguf}
 */
public final class GrammarBenchmark {
    private static final int WARM_ROUNDS = 30;

    /** A schema, and an answer of it. */
    private record Case(String name, String schema, String answer) {}

    private static final String PERSON = """
            {"type": "object", "required": ["name", "age"], "properties": {
              "name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
              "address": {"type": "object", "properties": {
                "street": {"type": "string"}, "city": {"type": "string"}}},
              "tags": {"type": "array", "items": {"enum": ["a", "b", "cup"]}}}}""";

    private static final String LIMITED = """
            {"type": "object", "properties": {
              "title": {"type": "string", "maxLength": 120}, "body": {"type": "string", "maxLength": 2000},
              "when": {"type": "string", "format": "date-time"},
              "code": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4,8}$"},
              "score": {"type": "number", "minimum": -1.5, "maximum": 99.25}}}""";

    private static final List<Case> CASES = List.of(
            new Case(
                    "any object",
                    "{\"type\":\"object\"}",
                    "{\"name\": \"Größe\", \"list\": [1, 2.5, {\"deep\": [true, null]}], \"text\": \"It was the best of"
                            + " times, it was the worst of times.\"}"),
            new Case("person", PERSON, """
                    {"name": "Ada Lovelace", "age": 36,
                    "address": {"street": "12 St James's Square", "city": "London"}, "tags": ["a", "cup", "b"]}"""),
            new Case(
                    "limited texts",
                    LIMITED,
                    "{\"title\": \"The unreasonable effectiveness of grammars\", \"body\": \""
                            + "We had everything before us, we had nothing before us; we were all going to heaven. "
                                    .repeat(6)
                            + "\", \"when\": \"2026-11-30T05:12:44Z\", \"code\": \"ABC-123456\", \"score\": 12.75}"));

    private GrammarBenchmark() {}

    /**
     * Prints a line a schema.
     *
     * @param arguments a GGUF file, whose vocabulary is taken
     */
    public static void main(String[] arguments) {
        try (Gguf file = Gguf.open(Path.of(arguments[0]))) {
            Tokenizer tokenizer = Tokenizer.of(file.metadata());
            TokenIndex index = new TokenIndex(tokenizer);
            int vocabulary = tokenizer.vocabulary().size();
            for (int round = 0; round <= WARM_ROUNDS; round++) {
                for (Case each : CASES) {
                    Language language = Language.jsonSchema(each.schema);
                    TokenMasks masks = new TokenMasks(language, index);
                    int[] tokens = tokenizer.encode(each.answer, false);
                    String first = times(masks, tokens, vocabulary);
                    String again = times(masks, tokens, vocabulary);
                    if (round == WARM_ROUNDS) {
                        System.out.printf(
                                "%s, %d tokens of a vocabulary of %d: first %s; again %s%n",
                                each.name, tokens.length, vocabulary, first, again);
                    }
                }
            }
        }
    }

    private static String times(TokenMasks masks, int[] tokens, int vocabulary) {
        float[] logits = new float[vocabulary];
        Constraint constraint = masks.newConstraint();
        List<Double> microseconds = new ArrayList<>();
        for (int i = 0; i < tokens.length; i++) {
            long begin = System.nanoTime();
            constraint.restrict(logits, tokens, i, 0);
            microseconds.add((System.nanoTime() - begin) * 1e-3);
            if (logits[tokens[i]] != 0) {
                throw new IllegalStateException("token " + i + " of the answer is not allowed");
            }
            java.util.Arrays.fill(logits, 0);
            constraint.accept(tokens[i]);
        }
        Collections.sort(microseconds);
        double mean =
                microseconds.stream().mapToDouble(Double::doubleValue).average().orElse(0);
        return String.format(
                Locale.ROOT,
                "mean %.1f µs, median %.1f, worst %.1f",
                mean,
                microseconds.get(microseconds.size() / 2),
                microseconds.getLast());
    }
}
