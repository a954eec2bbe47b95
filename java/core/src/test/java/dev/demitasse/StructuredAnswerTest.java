package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.chat.Tool;
import dev.demitasse.exception.IncompleteAnswerException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.testkit.Golden;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Answers of a grammar, by a model whose weights are random: nothing but the grammar makes them what they are. */
class StructuredAnswerTest {
    private static final ModelOptions OPTIONS =
            ModelOptions.DEFAULT.withBackend("reference").withContextLength(512);
    private static final String TEMPLATE =
            "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}{{ prefix }}";

    enum Size {
        SMALL,
        LARGE
    }

    record Cup(Size size, boolean full, byte number) {}

    record Text(String text) {}

    private static Model model;

    @BeforeAll
    static void load() {
        model = load("assistant:");
    }

    @AfterAll
    static void close() {
        model.close();
    }

    private static Model load(String prefix) {
        return Model.load(
                Golden.tiny("llama"),
                OPTIONS.withChatTemplate(TEMPLATE + "{# </think> #}").withTemplateVariables(Map.of("prefix", prefix)));
    }

    @Test
    void aRecordIsFilledAndTheConversationHasItsText() {
        try (Session session = model.newSession()) {
            Cup cup = session.extract(Cup.class, "a cup");
            assertThat(session.history()).hasSize(2);
            assertThat(session.history().get(0).content()).contains("a cup", "\"size\"");
            assertThat(session.history().get(1).content()).contains(cup.size.name(), "" + cup.number, "" + cup.full);
        }
    }

    @Test
    void oneOfTheChoicesIsTaken() {
        try (Session session = model.newSession()) {
            List<String> choices = List.of("yes", "no", "not sure");
            assertThat(session.choose("well?", choices)).isIn(choices);
        }
    }

    @Test
    void anAnswerThatEndsTooEarlyIsNoRecord() {
        try (Session session = model.newSession()) {
            assertThatThrownBy(() -> session.extract(Text.class, "x", Extraction.OPTIONS.withMaximumTokens(3)))
                    .isInstanceOf(IncompleteAnswerException.class)
                    .hasMessageContaining("after 3 tokens");
        }
    }

    @ParameterizedTest
    @CsvSource({"0, 0", "0, 4", "1.5, 0", "1.5, 4"})
    void whateverIsDrawnAndDraftedIsOfTheGrammar(float temperature, int drafts) {
        Grammar grammar = Grammar.regex("(abc|abd|ab){3,9}(, [0-9]+;){4}");
        GenerationOptions options = GenerationOptions.DEFAULT
                .withSampling(
                        SamplingOptions.DEFAULT.withTemperature(temperature).withSeed(7))
                .withDrafts(drafts)
                .withIgnoreEnd(true)
                .withMaximumTokens(300)
                .withGrammar(grammar);
        try (Session session = model.newSession()) {
            Generation answer = session.generate("abcabd, 12; abcabd, 12;", options, text -> {});
            if (answer.finishReason() == FinishReason.STOP) {
                assertThat(grammar.matches(answer.text())).as(answer.text()).isTrue();
            } else {
                assertThat(answer.tokens()).hasSize(300);
            }
            assertThat(answer.text()).matches("(abc|abd|ab){1,9}.*");
        }
    }

    @Test
    void aThoughtThatThePromptHasBegunIsEndedAtOnce() {
        try (Model thinking = load("assistant:<think>\n");
                Session session = thinking.newSession()) {
            GenerationOptions options = GenerationOptions.GREEDY.withGrammar(Grammar.oneOf(List.of("yes", "no")));
            Generation answer = session.chat(List.of(dev.demitasse.chat.Message.user("well?")), options, t -> {});
            assertThat(answer.text()).isIn("yes", "no");
            assertThat(answer.thinking()).isEmpty();
            assertThat(thinking.tokenizer()
                            .decode(answer.promptTokens().stream()
                                    .mapToInt(id -> id)
                                    .toArray()))
                    .endsWith("assistant:<think>\n\n</think>\n\n");
        }
    }

    @Test
    void toolsAndAGrammarAreNotAskedForAtOnce() {
        GenerationOptions options = GenerationOptions.GREEDY.withTools(List.of(new Tool("f", "", "{}")));
        assertThatThrownBy(() -> options.withGrammar(Grammar.json()))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("either");
    }
}
