package dev.demitasse.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.device.CheckedDevice;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.exception.ContextFullException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.RopeFrequencies;
import dev.demitasse.model.Weights;
import dev.demitasse.reference.ReferenceBackend;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.testkit.Golden;
import dev.demitasse.testkit.Seeds;
import dev.demitasse.tokenizer.Vocabulary;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sequences that share a cache which is too small for all of them, and how generations end. */
class EngineSharingTest {
    private static final int CONTEXT = 128;
    private static boolean ahead; // whether the next step is started before the one before it has landed
    private static Device device;
    private static ModelConfig config;
    private static Weights weights;

    @BeforeAll
    static void load() {
        Device exact = new ReferenceBackend().open(DeviceOptions.defaults());
        device = CheckedDevice.of((Device) Proxy.newProxyInstance(
                Device.class.getClassLoader(), new Class<?>[] {Device.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("runsAhead")) {
                        return ahead;
                    }
                    try {
                        return method.invoke(exact, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                }));
        try (Gguf file = Gguf.open(Golden.tiny("qwen2"))) {
            RopeFrequencies.Factors none = new RopeFrequencies.Factors(null, null, null);
            config = ModelConfig.read(file.metadata(), Vocabulary.count(file.metadata()), none, CONTEXT);
            weights = new Weights(file, config, device, null);
        }
    }

    @AfterAll
    static void close() {
        weights.close();
        device.close();
    }

    /** An engine whose cache holds one context. */
    private static Engine engine(int promptChunk, IntPredicate isEnd) {
        return new Engine(
                config,
                weights,
                device,
                new Engine.Limits(CONTEXT, 1, 32, promptChunk, KvType.F16, false),
                new Engine.Roles(isEnd));
    }

    private static int[] prompt(int length, long seed) {
        return new SplittableRandom(seed).ints(length, 3, config.vocabulary()).toArray();
    }

    /** With logits that the host sees where no step is to be ahead. */
    private static void begin(Engine engine, Sequence sequence, int[] prompt, int tokens) {
        begin(engine, sequence, prompt, tokens, false);
    }

    private static void begin(Engine engine, Sequence sequence, int[] prompt, int tokens, boolean endsAtEnd) {
        SamplingOptions sampling = ahead ? SamplingOptions.DEFAULT.withSeed(prompt.length) : SamplingOptions.GREEDY;
        engine.begin(sequence, prompt, sampling, tokens, ahead ? 0 : 1, 0, endsAtEnd);
    }

    /** The answer of an engine that is never ahead. */
    private static List<Sequence.Step> alone(int[] prompt, int tokens, boolean wantsAhead) {
        Sequence sequence = new Sequence();
        ahead = wantsAhead;
        try (Engine alone = engine(32, id -> false)) {
            begin(alone, sequence, prompt, tokens);
            ahead = false;
            return finish(alone, sequence).steps();
        } finally {
            ahead = wantsAhead;
        }
    }

    private static Engine.Progress finish(Engine engine, Sequence sequence) {
        Engine.Progress progress;
        do {
            progress = engine.await(sequence, sequence.generated(), () -> null);
        } while (progress.finish() == null);
        return new Engine.Progress(sequence.steps(0), progress.passes(), progress.finish());
    }

    /** What somebody asks, over and over. */
    private static final class Client {
        private final int[] prompt;
        private final int tokens;
        private final List<Sequence.Step> answer;
        private Sequence sequence = new Sequence();
        private boolean asks;

        Client(SplittableRandom random) {
            prompt = prompt(1 + random.nextInt(80), random.nextLong());
            tokens = 1 + random.nextInt(40);
            answer = alone(prompt, tokens, ahead);
        }
    }

    /** Any order of asking, waiting, ending and closing: each answer is to the bit the one that is given alone. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void sequencesThatTakeTurnsAnswerAsAlone(boolean aheadOfTokens) {
        ahead = aheadOfTokens;
        Seeds.forEach(6, random -> {
            List<Client> clients = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                clients.add(new Client(random));
            }
            try (Engine engine = engine(1 + random.nextInt(32), id -> false)) {
                for (int i = 0; i < 120; i++) {
                    act(random, engine, clients.get(random.nextInt(clients.size())));
                }
                for (Client client : clients) {
                    if (client.asks) {
                        assertThat(finish(engine, client.sequence).steps()).isEqualTo(client.answer);
                    }
                    engine.close(client.sequence);
                }
                assertThat(engine.idleSequences()).isZero();
                List<Integer> scored = new ArrayList<>(); // the whole cache is free again
                engine.evaluate(prompt(CONTEXT, 1), CONTEXT - 2, (position, logits) -> scored.add(position));
                assertThat(scored).containsExactly(CONTEXT - 2, CONTEXT - 1);
            }
        });
    }

    private static void act(SplittableRandom random, Engine engine, Client client) {
        if (!client.asks) {
            begin(engine, client.sequence, client.prompt, client.tokens);
            client.asks = true;
            return;
        }
        switch (random.nextInt(8)) {
            case 0 -> {
                engine.end(client.sequence, FinishReason.CANCELLED);
                List<Sequence.Step> part = client.sequence.steps(0);
                assertThat(part).isEqualTo(client.answer.subList(0, part.size()));
                client.asks = false;
            }
            case 1 -> {
                engine.close(client.sequence);
                client.sequence = new Sequence();
                client.asks = false;
            }
            case 2 -> {
                assertThat(finish(engine, client.sequence).steps()).isEqualTo(client.answer);
                client.asks = false;
            }
            default -> {
                Engine.Progress progress = engine.await(client.sequence, client.sequence.generated(), () -> null);
                client.asks = progress.finish() == null;
                if (!client.asks) {
                    assertThat(client.sequence.steps(0)).isEqualTo(client.answer);
                }
            }
        }
    }

    /** A sequence that begins anew gives up what it does not use again, so that others run beside it. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void anotherPromptFreesThePagesOfTheOneBefore(boolean aheadOfTokens) {
        ahead = aheadOfTokens;
        try (Engine engine = engine(32, id -> false)) {
            Sequence first = new Sequence();
            begin(engine, first, prompt(CONTEXT - 2, 7), 2);
            finish(engine, first);
            begin(engine, first, prompt(5, 8), 20);
            engine.await(first, 0, () -> null);
            Sequence second = new Sequence();
            begin(engine, second, prompt(60, 9), 1);
            assertThat(finish(engine, second).steps()).hasSize(1);
            assertThat(first.finish()).isNull();
            assertThat(finish(engine, first).steps()).hasSize(20);
        }
    }

    /** Scoring takes pages of idle sequences, never of running ones. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void scoringIsRefusedWhileRunningSequencesHoldTheCache(boolean aheadOfTokens) {
        ahead = aheadOfTokens;
        int[] text = prompt(CONTEXT, 2);
        try (Engine engine = engine(32, id -> false)) {
            Sequence sequence = new Sequence();
            begin(engine, sequence, prompt(40, 3), 20);
            engine.await(sequence, 0, () -> null);
            assertThatThrownBy(() -> engine.evaluate(text, 0, (position, logits) -> {}))
                    .isInstanceOf(ContextFullException.class)
                    .hasMessageContaining("try again");
            assertThat(finish(engine, sequence).steps()).hasSize(20);
            assertThat(engine.idleSequences()).isEqualTo(1);
            List<Integer> scored = new ArrayList<>();
            engine.evaluate(text, 0, (position, logits) -> scored.add(position));
            assertThat(scored).hasSize(CONTEXT);
            assertThat(engine.idleSequences()).isZero();
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aGenerationEndsForTheReasonThatCameFirst(boolean aheadOfTokens) {
        ahead = aheadOfTokens;
        try (Engine engine = engine(32, id -> false)) {
            assertEnds(engine, 9, 5, 5, FinishReason.LENGTH);
            assertEnds(engine, 9, 0, 0, FinishReason.LENGTH);
            assertEnds(engine, CONTEXT - 3, 50, 3, FinishReason.LENGTH);
            Sequence late = new Sequence();
            begin(engine, late, prompt(9, 4), 50);
            engine.await(late, 0, () -> null);
            Engine.Progress progress = engine.await(late, 1, () -> FinishReason.DEADLINE);
            assertThat(progress.finish()).isEqualTo(FinishReason.DEADLINE);
            assertThat(progress.steps()).isEmpty();
        }
    }

    private static void assertEnds(Engine engine, int prompt, int tokens, int steps, FinishReason reason) {
        Sequence sequence = new Sequence();
        begin(engine, sequence, prompt(prompt, 4), tokens);
        Engine.Progress progress = finish(engine, sequence);
        assertThat(progress.steps()).hasSize(steps);
        assertThat(progress.finish()).isEqualTo(reason);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void theModelsEndStopsThoseThatListenToIt(boolean aheadOfTokens) {
        ahead = aheadOfTokens;
        List<Sequence.Step> free = alone(prompt(9, 5), 12, aheadOfTokens);
        int end = free.get(4).token();
        int steps = 1 + free.stream().map(Sequence.Step::token).toList().indexOf(end);
        try (Engine engine = engine(32, id -> id == end)) {
            Sequence sequence = new Sequence();
            begin(engine, sequence, prompt(9, 5), 12, true);
            Engine.Progress stopped = finish(engine, sequence);
            assertThat(stopped.finish()).isEqualTo(FinishReason.STOP);
            assertThat(stopped.steps()).isEqualTo(free.subList(0, steps));
            begin(engine, sequence, prompt(9, 5), 12);
            assertThat(finish(engine, sequence).steps()).isEqualTo(free);
        }
    }

    @Test
    void whatCannotBeGeneratedIsRefused() {
        Engine engine = engine(32, id -> false);
        Sequence sequence = new Sequence();
        assertThatThrownBy(() -> begin(engine, sequence, new int[0], 1)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> begin(engine, sequence, prompt(CONTEXT, 6), 1))
                .isInstanceOf(ContextFullException.class)
                .hasMessageContaining("128 tokens");
        assertThatThrownBy(() -> begin(engine, sequence, new int[] {5, config.vocabulary()}, 1))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("vocabulary");
        assertThatThrownBy(() -> engine.evaluate(prompt(CONTEXT + 1, 6), 0, (position, logits) -> {}))
                .isInstanceOf(ContextFullException.class);
        assertThat(engine.idleSequences()).isZero();
        engine.close();
        assertThatThrownBy(() -> begin(engine, sequence, prompt(5, 6), 1))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("closed");
        assertThatThrownBy(() -> engine.await(sequence, 0, () -> null)).isInstanceOf(UsageException.class);
        engine.close(sequence);
        engine.close();
    }
}
