package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Session;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.kv.KvType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Sessions that go on from what others have cached, on every device: their answers are those of sessions that have
 * computed all themselves, bit for bit.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class SharingContractTest {
    private static final GenerationOptions FEW =
            GenerationOptions.GREEDY.withMaximumTokens(5).withIgnoreEnd(true);

    private final String backend;
    final long seed = Long.getLong("demitasse.seed", 20261130L);
    private int salts;

    /** For one backend. */
    protected SharingContractTest(String backend) {
        this.backend = backend;
    }

    /** How many deeds a test does. */
    protected int rounds() {
        return 60;
    }

    /** Attention to all and to a window, states of all kinds, and all types of cache. */
    protected Stream<Arguments> models() {
        return Stream.of(
                Arguments.of("llama", KvType.F16),
                Arguments.of("llama", KvType.F32),
                Arguments.of("llama", KvType.INT4),
                Arguments.of("gemma3", KvType.INT8),
                Arguments.of("qwen3", KvType.FP8),
                Arguments.of("qwen35", KvType.F16),
                Arguments.of("lfm2", KvType.INT8),
                Arguments.of("nemotron_h", KvType.F16));
    }

    private Model load(String architecture, KvType type, int sequences) {
        return Model.load(
                Golden.tiny(architecture),
                ModelOptions.DEFAULT
                        .withBackend(backend)
                        .withContextLength(192)
                        .withSequences(sequences)
                        .withKvType(type)
                        .withDevice(DeviceOptions.defaults().withThreads(1).withBatchInvariant(true)));
    }

    /** What a session says that has nothing in common with others. */
    private List<Integer> right(Model model, int[] prompt) {
        try (Session session = model.newSession("oracle " + salts++)) {
            Generation answer = session.generate(prompt, FEW, text -> {});
            assertThat(answer.cachedTokens()).isZero();
            return answer.tokens();
        }
    }

    private static int[] tokens(SplittableRandom random, int count) {
        return random.ints(count, 3, 250).toArray();
    }

    /** The first tokens of some, and others behind them. */
    private static int[] onward(int[] tokens, int kept, int[] others) {
        int[] all = Arrays.copyOf(tokens, kept + others.length);
        System.arraycopy(others, 0, all, kept, others.length);
        return all;
    }

    private static int[] said(Generation answer) {
        return Stream.concat(answer.promptTokens().stream(), answer.tokens().stream())
                .mapToInt(Integer::intValue)
                .toArray();
    }

    /**
     * Sessions are opened, forked, asked, closed, saved and restored as it comes, with prompts that begin as others, in
     * a cache that is too small for all.
     */
    @ParameterizedTest
    @MethodSource("models")
    public void whoeverComputedTheBeginningAnswersAreTheSame(String architecture, KvType type, @TempDir Path folder) {
        SplittableRandom random = new SplittableRandom(seed);
        List<int[]> prompts = new ArrayList<>(List.of(tokens(random, 100)));
        List<Session> sessions = new ArrayList<>();
        int cached = 0;
        try (Model model = load(architecture, type, 3);
                Model oracle = load(architecture, type, 1)) {
            for (int round = 0; round < rounds(); round++) {
                String where = architecture + " " + type + ", seed " + seed + ", round " + round;
                if (sessions.isEmpty() || sessions.size() < 5 && random.nextInt(3) == 0) {
                    sessions.add(model.newSession());
                }
                int which = random.nextInt(sessions.size());
                Session session = sessions.get(which);
                switch (random.nextInt(6)) {
                    case 0 -> sessions.add(session.fork());
                    case 1 -> sessions.remove(which).close();
                    case 2 -> {
                        Path file = folder.resolve("session");
                        session.save(file);
                        sessions.add(model.restoreSession(file));
                    }
                    default -> {
                        int[] before = prompts.get(random.nextInt(prompts.size()));
                        int kept = random.nextInt(3) == 0 ? before.length : random.nextInt(before.length);
                        int[] prompt = onward(before, Math.min(kept, 150), tokens(random, 1 + random.nextInt(30)));
                        Generation answer = session.generate(prompt, FEW, text -> {});
                        assertThat(answer.tokens()).as(where).isEqualTo(right(oracle, prompt));
                        cached += answer.cachedTokens();
                        prompts.add(said(answer));
                    }
                }
            }
            sessions.forEach(Session::close);
            assertThat(cached).as("tokens that were cached, seed %d", seed).isPositive();
            assertThat(model.cacheUse()).as("seed %d", seed).isZero();
        }
    }

    /** A fork goes on from all that was cached, and neither disturbs the other. */
    @ParameterizedTest
    @MethodSource("models")
    public void aForkGoesOnFromWhereTheSessionWas(String architecture, KvType type) {
        SplittableRandom random = new SplittableRandom(seed);
        try (Model model = load(architecture, type, 4);
                Session session = model.newSession("a")) {
            int[] said = said(session.generate(tokens(random, 70), FEW, text -> {}));
            try (Session first = session.fork();
                    Session second = first.fork()) {
                for (Session each : List.of(first, session, second)) {
                    int[] prompt = onward(said, said.length, tokens(random, 3));
                    Generation answer = each.generate(prompt, FEW, text -> {});
                    assertThat(answer.tokens()).as("seed %d", seed).isEqualTo(right(model, prompt));
                    assertThat(answer.cachedTokens()).isEqualTo(said.length - 1); // the last was not run
                }
            }
        }
    }

    /** What a closed session has cached serves one of the same salt, and none of another. */
    @ParameterizedTest
    @MethodSource("models")
    public void aSaltIsNotCrossed(String architecture, KvType type) {
        int[] prompt = tokens(new SplittableRandom(seed), 100);
        try (Model model = load(architecture, type, 2)) {
            List<Integer> cached = new ArrayList<>();
            for (String salt : List.of("a", "b", "a", "b", "c")) {
                try (Session session = model.newSession(salt)) {
                    cached.add(session.generate(prompt, FEW, text -> {}).cachedTokens());
                }
            }
            int shared = cached.get(2);
            assertThat(cached).containsExactly(0, 0, shared, shared, 0);
            assertThat(shared).isBetween(64, 99);
        }
    }

    /** Sessions with the same instructions and other questions: from the third on, the instructions are there. */
    @ParameterizedTest
    @MethodSource("models")
    public void whereTwoPromptsPartedTheThirdGoesOn(String architecture, KvType type) {
        SplittableRandom random = new SplittableRandom(seed);
        int[] instructions = tokens(random, 80);
        try (Model model = load(architecture, type, 4);
                Model oracle = load(architecture, type, 1)) {
            for (int i = 0; i < 5; i++) {
                int[] prompt = onward(instructions, instructions.length, tokens(random, 60));
                try (Session session = model.newSession()) {
                    Generation answer = session.generate(prompt, FEW, text -> {});
                    assertThat(answer.tokens()).as("seed %d, %d", seed, i).isEqualTo(right(oracle, prompt));
                    assertThat(answer.cachedTokens())
                            .as("session %d, seed %d", i, seed)
                            .isBetween(i < 2 ? 0 : 64, instructions.length);
                }
            }
        }
    }

    /** A new conversation that has the instructions of a closed one leaves that one what it has. */
    @ParameterizedTest
    @MethodSource("models")
    public void whoHasTheInstructionsOfAnotherTakesNothingFromIt(String architecture, KvType type) {
        SplittableRandom random = new SplittableRandom(seed);
        int[] instructions = tokens(random, 80);
        try (Model model = load(architecture, type, 4)) {
            int[] conversation = new int[0];
            for (int i = 0; i < 3; i++) { // two that part, and a third that has what they have in common
                int[] prompt = onward(instructions, instructions.length, tokens(random, 60));
                try (Session session = model.newSession()) {
                    int[] said = said(session.generate(prompt, FEW, text -> {}));
                    conversation = i == 1 ? said : conversation;
                }
            }
            try (Session session = model.newSession()) {
                int[] next = onward(conversation, conversation.length - 3, tokens(random, 8));
                assertThat(session.generate(next, FEW, text -> {}).cachedTokens())
                        .as("the second goes on, seed %d", seed)
                        .isGreaterThanOrEqualTo(96);
            }
        }
    }

    /** What was saved is there after the model was loaded again, also where the state of a prompt goes on. */
    @ParameterizedTest
    @MethodSource("models")
    public void aSavedSessionOutlivesItsModel(String architecture, KvType type, @TempDir Path folder) {
        SplittableRandom random = new SplittableRandom(seed);
        Path file = folder.resolve("session");
        int[] said;
        int[] prompt = tokens(random, 80);
        try (Model model = load(architecture, type, 1);
                Session session = model.newSession()) {
            said = said(session.generate(prompt, FEW, text -> {}));
            session.save(file);
        }
        try (Model model = load(architecture, type, 2)) {
            for (int[] next :
                    List.of(onward(said, said.length, tokens(random, 3)), onward(prompt, 70, tokens(random, 20)))) {
                try (Session session = model.restoreSession(file, "restored " + salts++)) {
                    Generation answer = session.generate(next, FEW, text -> {});
                    assertThat(answer.tokens()).as("seed %d", seed).isEqualTo(right(model, next));
                    assertThat(answer.cachedTokens()).isGreaterThanOrEqualTo(64);
                }
            }
        }
    }

    /** A model whose last layer is a draft block: what it has seen goes along. */
    @Test
    public void draftsAreRightBehindWhatOthersComputed() {
        SplittableRandom random = new SplittableRandom(seed);
        GenerationOptions many = GenerationOptions.GREEDY.withMaximumTokens(40).withIgnoreEnd(true);
        try (Model model = load("qwen35-mtp", KvType.F16, 2);
                Session session = model.newSession()) {
            int[] prompt = tokens(random, 80);
            int[] said = said(session.generate(prompt, many, text -> {}));
            List<Integer> right;
            try (Session alone = model.newSession("alone")) {
                right = alone.generate(said, many.withDrafts(0), text -> {}).tokens();
            }
            try (Session fork = session.fork()) {
                assertThat(fork.generate(said, many, text -> {}).tokens())
                        .as("seed %d", seed)
                        .isEqualTo(right);
            }
        }
    }
}
