package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.chat.Message;
import dev.demitasse.exception.ContextFullException;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.testkit.Golden;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ContextPolicyTest {
    private static final int CONTEXT = 128;
    private static final GenerationOptions GREEDY =
            GenerationOptions.GREEDY.withMaximumTokens(8).withIgnoreEnd(true);

    private static Model model;

    @BeforeAll
    static void load() {
        model = Model.load(
                Golden.tiny("llama"),
                ModelOptions.DEFAULT
                        .withBackend("reference")
                        .withContextLength(CONTEXT)
                        .withChatTemplate("{% for m in messages %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}a:"));
    }

    @AfterAll
    static void close() {
        model.close();
    }

    private static String prompt(Generation answer) {
        return model.tokenizer()
                .decode(answer.promptTokens().stream().mapToInt(id -> id).toArray());
    }

    @ParameterizedTest
    @EnumSource(
            value = ContextPolicy.class,
            names = {"DROP_OLDEST", "SLIDE"})
    void theOldestTurnsAreNotReadAnyMoreAndTheHistoryKeepsThem(ContextPolicy policy) {
        GenerationOptions options = GREEDY.withContextPolicy(policy);
        try (Session session = model.newSession()) {
            session.history(List.of(Message.system("brief")));
            Set<Integer> lengths = new TreeSet<>();
            for (int turn = 0; turn < 20; turn++) {
                Generation answer = session.chat("question " + turn, options, text -> {});
                assertThat(prompt(answer)).contains("s:brief", "u:question " + turn + "\n");
                assertThat(answer.promptTokens().size() + answer.tokens().size())
                        .isLessThanOrEqualTo(CONTEXT);
                assertThat(answer.tokens()).hasSize(8);
                lengths.add(answer.promptTokens().size());
            }
            assertThat(session.history()).hasSize(41);
            assertThat(lengths.size())
                    .as("half is dropped at once, not a turn each time")
                    .isGreaterThan(3);
        }
    }

    @Test
    void aConversationThatDoesNotFitIsRefusedWhereNothingElseIsSaid() {
        try (Session session = model.newSession()) {
            List<Message> before = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                before.add(Message.user("question"));
                before.add(Message.assistant("answer"));
            }
            session.history(before);
            assertThatThrownBy(() -> session.chat("again", GREEDY, text -> {}))
                    .isInstanceOf(ContextFullException.class);
            assertThat(session.history()).isEqualTo(before);
        }
    }

    @Test
    void aQuestionThatAloneDoesNotFitIsRefusedByEveryPolicy() {
        try (Session session = model.newSession()) {
            GenerationOptions options = GREEDY.withContextPolicy(ContextPolicy.SLIDE);
            assertThatThrownBy(() -> session.chat("word ".repeat(300), options, text -> {}))
                    .isInstanceOf(ContextFullException.class);
            assertThat(session.history()).isEmpty();
        }
    }

    @Test
    void anAnswerSlidesBeyondTheContext() {
        GenerationOptions options = GREEDY.withMaximumTokens(400);
        try (Session plain = model.newSession();
                Session sliding = model.newSession()) {
            Generation ended = plain.generate(new int[] {5, 6, 7}, options, text -> {});
            assertThat(ended.tokens()).hasSize(CONTEXT - 3);
            StringBuilder heard = new StringBuilder();
            Generation answer = sliding.generate(
                    new int[] {5, 6, 7}, options.withContextPolicy(ContextPolicy.SLIDE), heard::append);
            assertThat(answer.tokens()).hasSize(400).startsWith(ended.tokens().toArray(Integer[]::new));
            assertThat(answer.finishReason()).isEqualTo(FinishReason.LENGTH);
            assertThat(answer.text()).isEqualTo(heard.toString());
            assertThat(answer.passes()).isLessThanOrEqualTo(400);
        }
    }

    @Test
    void aTextThatIsTooLongIsCutToItsBeginningAndItsEnd() {
        int[] tokens = new int[500];
        for (int i = 0; i < tokens.length; i++) {
            tokens[i] = 3 + i % 200;
        }
        try (Session session = model.newSession()) {
            assertThatThrownBy(() -> session.generate(tokens, GREEDY, text -> {}))
                    .isInstanceOf(ContextFullException.class);
            Generation answer =
                    session.generate(tokens, GREEDY.withContextPolicy(ContextPolicy.DROP_OLDEST), text -> {});
            assertThat(answer.promptTokens())
                    .hasSize(CONTEXT / 8 + CONTEXT / 2)
                    .startsWith(3, 4)
                    .endsWith(tokens[498], tokens[499]);
        }
    }

    @Test
    void optionsOfABuilderAreThoseThatWereGiven() {
        GenerationOptions options = GenerationOptions.builder()
                .maximumTokens(3)
                .stop(List.of("x"))
                .contextPolicy(ContextPolicy.SLIDE)
                .build();
        assertThat(options)
                .isEqualTo(GenerationOptions.DEFAULT
                        .withMaximumTokens(3)
                        .withStop("x")
                        .withContextPolicy(ContextPolicy.SLIDE));
        assertThat(options.toBuilder().build()).isEqualTo(options);
        assertThat(GenerationOptions.DEFAULT.maximumTokens()).isEqualTo(GenerationOptions.DEFAULT_MAXIMUM_TOKENS);
    }

    @Test
    void answersDifferWhereNoSeedIsGiven() {
        Set<List<Integer>> answers = new java.util.HashSet<>();
        try (Session session = model.newSession()) {
            for (int i = 0; i < 4; i++) {
                GenerationOptions options =
                        GenerationOptions.DEFAULT.withMaximumTokens(20).withIgnoreEnd(true);
                answers.add(session.generate(new int[] {5, 6, 7}, options, text -> {})
                        .tokens());
            }
        }
        assertThat(answers).hasSizeGreaterThan(1);
    }
}
