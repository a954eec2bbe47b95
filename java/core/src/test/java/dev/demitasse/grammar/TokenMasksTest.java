package dev.demitasse.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.sampling.Constraint;
import dev.demitasse.sampling.Sampler;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.testkit.Golden;
import dev.demitasse.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Masks of tokens are what trying all tokens one by one says, wherever an answer may be. */
class TokenMasksTest {
    private static final List<Language> GRAMMARS = List.of(
            Language.jsonSchema("{\"type\": \"object\"}"),
            Language.jsonSchema("""
                    {"type": "object", "properties": {
                      "name": {"type": "string", "maxLength": 12},
                      "age": {"type": "integer", "minimum": 0, "maximum": 150},
                      "kind": {"enum": ["a \\"b\\"", "é"]}, "at": {"type": "string", "format": "date"},
                      "code": {"type": "string", "pattern": "^[A-Z]{2,5}[0-9é]+$", "minLength": 4},
                      "list": {"type": "array", "items": {"type": "number"}, "minItems": 2}}}"""),
            Language.jsonSchema("""
                    {"type": "array", "minItems": 2, "items": {"anyOf": [
                      {"type": "string", "minLength": 100, "maxLength": 180},
                      {"type": "string", "minLength": 90, "maxLength": 400, "pattern": "^[^<>]*$"},
                      {"type": "string", "minLength": 70}]}}"""),
            Language.jsonSchema("""
                    {"type": "array", "minItems": 2, "items": {"anyOf": [
                      {"type": "string", "maxLength": 300, "pattern": "^[A-Z]+( [a-z]+,?)*$"},
                      {"type": "string", "maxLength": 195, "pattern": "^([0-9a-f]{50})*$"}]}}"""),
            Language.gbnf("root ::= [^\\n]{3,40} \"\\n\" (\"- \" [a-zé]+ \"\\n\"){1,3}"),
            Language.regex("(\\p{L}+ ){2,}[.!?]|[0-9]{3}"),
            Language.oneOf(List.of("yes", "no", "not at all", "ja, natürlich", "😀")));

    private final long seed = Long.getLong("demitasse.seed", 20261130L);

    @Test
    void agreeWithEachTokenOfSmolLm2() {
        check(Golden.model("SmolLM2-135M-Instruct.Q4_1.gguf"), 40);
    }

    @Test
    void agreeWithEachTokenOfGemma3() {
        check(Golden.model("gemma-3-270m-q4_k_m.gguf"), 8);
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama-bpe", "gemma4", "tekken", "command-r"})
    void agreeWithEachTokenOfASmallVocabulary(String name) {
        check(Golden.shared("tokenizers/" + name + ".gguf"), 100);
    }

    private void check(Path file, int rounds) {
        try (Gguf gguf = Gguf.open(file)) {
            Tokenizer tokenizer = Tokenizer.of(gguf.metadata());
            TokenIndex index = new TokenIndex(tokenizer);
            Random random = new Random(seed);
            for (Language grammar : GRAMMARS) {
                TokenMasks masks = new TokenMasks(grammar, index);
                ParserState state = masks.start();
                for (int round = 0; round < rounds; round++) {
                    List<Integer> allowed = check(masks, index, state, "seed " + seed + ": " + grammar);
                    int token = allowed.isEmpty() ? 0 : allowed.get(random.nextInt(allowed.size()));
                    state = allowed.isEmpty() || index.isEnd(token) ? masks.start() : masks.next(state, token);
                }
            }
        }
    }

    /** Tokens that are allowed, the ends among them. */
    private static List<Integer> check(TokenMasks masks, TokenIndex index, ParserState state, String what) {
        long[] allowed = masks.allowed(state);
        List<Integer> list = new ArrayList<>();
        for (int token = 0; token < index.vocabulary(); token++) {
            boolean set = (allowed[token >> 6] >> token & 1) == 1;
            boolean wanted = index.isEnd(token) ? state.accepting : masks.next(state, token) != ParserState.DEAD;
            if (set != wanted) {
                assertThat(set).as("%s, token %d", what, token).isEqualTo(wanted);
            }
            if (set) {
                list.add(token);
            }
        }
        return list;
    }

    /** Texts that could have begun at every place: each place is one more thing to remember. */
    @Test
    void aMaskOfManyStatesComesInTime() {
        try (Gguf gguf = Gguf.open(Golden.model("SmolLM2-135M-Instruct.Q4_1.gguf"))) {
            TokenIndex index = new TokenIndex(Tokenizer.of(gguf.metadata()));
            TokenMasks masks = new TokenMasks(Language.regex("[^\\n]*[ae][^\\n]{0,80}#"), index);
            ParserState state = masks.start();
            Assertions.assertTimeoutPreemptively(
                    Duration.ofSeconds(20),
                    () -> assertThat(masks.allowed(state)).isNotEmpty());
        }
    }

    @Test
    void whatWasForgottenIsFoundAgainWithItsCalls() {
        ByteParser parser =
                new ByteParser(Language.gbnf("root ::= \"[\" root \"]\" | \"\"").program());
        ParserState state = parser.start();
        for (int i = 0; i < 50; i++) {
            state = parser.next(parser.fresh(state), (byte) '[');
            parser.forget();
        }
        for (int i = 0; i < 50; i++) {
            assertThat(state.accepting).isFalse();
            state = parser.next(parser.fresh(state), (byte) ']');
            parser.forget();
        }
        assertThat(state.isComplete()).isTrue();
    }

    @Test
    void tokensThatAreOnlyTriedAreFollowedAndForgotten() {
        try (Gguf gguf = Gguf.open(Golden.tiny("llama"))) {
            Tokenizer tokenizer = Tokenizer.of(gguf.metadata());
            Constraint constraint = new TokenMasks(Language.regex("ab*c"), new TokenIndex(tokenizer)).newConstraint();
            int[] ids = IntStream.of('a', 'b', 'c')
                    .map(c -> tokenizer
                            .encode(Character.toString(c), false)[
                            tokenizer.encode(Character.toString(c), false).length - 1])
                    .toArray();
            assertThat(best(constraint, ids, 0, tokenizer)).containsOnly(ids[0]);
            assertThat(best(constraint, ids, 1, tokenizer)).containsExactlyInAnyOrder(ids[1], ids[2]);
            assertThat(best(constraint, ids, 0, tokenizer)).containsOnly(ids[0]);
            constraint.accept(ids[0]);
            constraint.accept(ids[2]);
            assertThat(constraint.isComplete()).isTrue();
        }
    }

    private static List<Integer> best(Constraint constraint, int[] tried, int count, Tokenizer tokenizer) {
        float[] logits = new float[tokenizer.vocabulary().size()];
        constraint.restrict(logits, tried, 0, count);
        return IntStream.range(0, logits.length)
                .filter(i -> logits[i] == 0)
                .boxed()
                .toList();
    }

    @Test
    void whereNoTokenCanComeNextItIsToldSo() {
        try (Gguf gguf = Gguf.open(Golden.tiny("qwen3"))) {
            Tokenizer tokenizer = Tokenizer.of(gguf.metadata());
            TokenIndex index = new TokenIndex(tokenizer);
            Sampler sampler = new Sampler(
                    SamplingOptions.GREEDY, new TokenMasks(Language.oneOf(List.of("a")), index).newConstraint());
            float[] logits = new float[index.vocabulary()];
            Arrays.fill(logits, Float.NEGATIVE_INFINITY); // suppressed, all of them
            assertThatThrownBy(() -> sampler.sample(logits, new int[0], 0))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("No token");
        }
    }

    @Test
    void aMemoryThatIsFullIsBegunAnew() {
        ByteParser parser =
                new ByteParser(Language.gbnf("root ::= [a-z]{0,60000}").program());
        ParserState state = parser.start();
        for (int i = 0; i < 55_000; i++) {
            state = parser.next(parser.fresh(state), (byte) 'a');
        }
        assertThat(parser.next(state, (byte) 'b')).isNotSameAs(ParserState.DEAD);
        assertThat(parser.next(state, (byte) 'B')).isSameAs(ParserState.DEAD);
    }
}
