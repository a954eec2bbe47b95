package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.sampling.FinishReason;
import dev.demitasse.testkit.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sessions of models whose sequences have a state, which cannot be cut back: whatever comes, answers are right. */
class RecurrentSessionTest {
    private static final ModelOptions OPTIONS =
            ModelOptions.DEFAULT.withBackend("reference").withContextLength(192);
    private static final GenerationOptions FEW =
            GenerationOptions.GREEDY.withMaximumTokens(6).withIgnoreEnd(true);

    private final long seed = Long.getLong("demitasse.seed", 20261128L);

    private static int[] tokens(SplittableRandom random, int count) {
        return random.ints(count, 0, random.nextBoolean() ? 3 : 256).toArray(); // some repeat themselves
    }

    /** A prompt that begins as another one, for {@code kept} tokens. */
    private static int[] changed(int[] prompt, int kept, int[] rest) {
        int[] result = new int[kept + rest.length];
        System.arraycopy(prompt, 0, result, 0, kept);
        System.arraycopy(rest, 0, result, kept, rest.length);
        return result;
    }

    private static List<Integer> fresh(Model model, int[] prompt) {
        try (Session session = model.newSession(UUID.randomUUID().toString())) {
            return session.generate(prompt, FEW, text -> {}).tokens();
        }
    }

    /**
     * Prompts that go on, that end earlier, that differ from some token on, and the same again; after answers, after
     * cancelled ones, and after another session had the only state.
     */
    @ParameterizedTest
    @ValueSource(strings = {"qwen35", "lfm2", "qwen3next", "granitehybrid", "nemotron_h"})
    void whatWasSaidBeforeChangesNothing(String architecture) {
        SplittableRandom random = new SplittableRandom(seed);
        try (Model model = Model.load(Golden.tiny(architecture), OPTIONS.withSequences(1));
                Model other = Model.load(Golden.tiny(architecture), OPTIONS);
                Session session = model.newSession()) {
            int[] prompt = tokens(random, 70);
            for (int round = 0; round < 25; round++) {
                String where = architecture + ", seed " + seed + ", round " + round;
                boolean cancelled = random.nextInt(4) == 0;
                Generation answer = session.generate(prompt, FEW, text -> {
                    if (cancelled) {
                        session.cancel();
                    }
                });
                List<Integer> right = fresh(other, prompt);
                assertThat(answer.tokens())
                        .as(where)
                        .isEqualTo(right.subList(0, answer.tokens().size()));
                assertThat(cancelled || answer.tokens().size() == 6).as(where).isTrue();
                if (random.nextInt(5) == 0) {
                    assertThat(fresh(model, prompt))
                            .as(where + ", another session")
                            .isEqualTo(right);
                }
                int kept = switch (random.nextInt(4)) {
                    case 0 -> prompt.length;
                    case 1 -> prompt.length - 1;
                    default -> random.nextInt(prompt.length + 1);
                };
                int[] more = tokens(random, 1 + random.nextInt(40));
                prompt = random.nextInt(6) == 0
                        ? prompt
                        : changed(prompt, Math.min(kept, 140), more); // the context has 192
            }
        }
    }

    /** Several sessions at once, with fewer states than sessions. */
    @Test
    void sessionsShareFewStates() throws Exception {
        SplittableRandom random = new SplittableRandom(seed);
        List<int[]> prompts = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            prompts.add(tokens(random, 3 + 17 * i));
        }
        try (Model model = Model.load(Golden.tiny("qwen35"), OPTIONS.withSequences(2));
                ExecutorService threads = Executors.newCachedThreadPool()) {
            List<List<Integer>> right =
                    prompts.stream().map(prompt -> fresh(model, prompt)).toList();
            for (int round = 0; round < 4; round++) {
                List<Future<List<Integer>>> answers = prompts.stream()
                        .map(prompt -> threads.submit(() -> fresh(model, prompt)))
                        .toList();
                for (int i = 0; i < answers.size(); i++) {
                    assertThat(answers.get(i).get()).as("prompt " + i).isEqualTo(right.get(i));
                }
            }
        }
    }

    /** Texts that are scored at once, and a session, take turns on the only state. */
    @Test
    void textsThatAreScoredAtOnceTakeTurns() throws Exception {
        int[] text = tokens(new SplittableRandom(seed), 150);
        try (Model model = Model.load(
                        Golden.tiny("qwen35"), OPTIONS.withSequences(1).withBatch(32, 32));
                ExecutorService threads = Executors.newCachedThreadPool()) {
            List<Future<List<Integer>>> visits = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                visits.add(threads.submit(() -> {
                    List<Integer> visited = new ArrayList<>();
                    model.evaluate(text, 0, (position, logits) -> visited.add(position));
                    return visited;
                }));
            }
            Future<List<Integer>> answer = threads.submit(() -> fresh(model, text));
            for (Future<List<Integer>> visited : visits) {
                assertThat(visited.get(60, TimeUnit.SECONDS))
                        .hasSize(text.length)
                        .isSorted();
            }
            assertThat(answer.get(60, TimeUnit.SECONDS)).isEqualTo(fresh(model, text));
        }
    }

    /** A text that is scored piece by piece leaves the only state to others between its pieces. */
    @Test
    void scoringAndSessionsTakeTurns() {
        int[] text = tokens(new SplittableRandom(seed), 60);
        float[][] expected = new float[text.length][];
        try (Model model = Model.load(Golden.tiny("qwen35"), OPTIONS.withSequences(1));
                Session session = model.newSession();
                Scoring scoring = model.newScoring()) {
            model.evaluate(text, 0, (position, logits) -> expected[position] = logits.clone());
            List<Integer> right = session.generate(text, FEW, words -> {}).tokens();
            List<Integer> visited = new ArrayList<>();
            for (int from = 0; from < text.length; from += 20) {
                scoring.append(Arrays.copyOfRange(text, from, from + 20), 0, (position, logits) -> {
                    assertThat(logits).isEqualTo(expected[position]);
                    visited.add(position);
                });
                assertThat(session.generate(text, FEW, words -> {}).tokens()).isEqualTo(right);
            }
            assertThat(visited).hasSize(text.length).doesNotHaveDuplicates();
        }
        try (Model model = Model.load(Golden.tiny("qwen35"), OPTIONS)) {
            Scoring scoring = model.newScoring();
            scoring.close();
            assertThatThrownBy(() -> scoring.append(text, 0, (position, logits) -> {}))
                    .hasMessageContaining("closed");
        }
    }

    /** A visitor or listener that fails leaves no half-advanced state behind. */
    @Test
    void failuresOfOthersLeaveTheStateSound() {
        int[] prompt = tokens(new SplittableRandom(seed), 40);
        try (Model model = Model.load(Golden.tiny("qwen35"), OPTIONS);
                Session session = model.newSession()) {
            List<Integer> right = session.generate(prompt, FEW, text -> {}).tokens();
            assertThatThrownBy(() -> session.generate(prompt, FEW, text -> {
                        throw new IllegalStateException("listener");
                    }))
                    .hasMessage("listener");
            assertThat(session.generate(prompt, FEW, text -> {}).tokens()).isEqualTo(right);
            float[] whole = new float[1];
            model.evaluate(prompt, prompt.length - 1, (position, logits) -> whole[0] = logits[3]);
            try (Scoring scoring = model.newScoring()) {
                scoring.append(Arrays.copyOf(prompt, 20), 0, (position, logits) -> {});
                int[] rest = Arrays.copyOfRange(prompt, 20, prompt.length);
                assertThatThrownBy(() -> scoring.append(rest, 0, (position, logits) -> {
                            throw new IllegalStateException("visitor");
                        }))
                        .hasMessage("visitor");
                float[] last = new float[1];
                scoring.append(rest, rest.length - 1, (position, logits) -> last[0] = logits[3]);
                assertThat(last).isEqualTo(whole);
            }
            Generation cancelled = session.generate(prompt, FEW.withMaximumTokens(0), text -> {});
            assertThat(cancelled.finishReason()).isEqualTo(FinishReason.LENGTH);
        }
    }
}
