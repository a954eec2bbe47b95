package dev.demitasse.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.device.CheckedDevice;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.exception.OutOfDeviceMemoryException;
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
import dev.demitasse.tokenizer.Vocabulary;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Schedule, forward, commit: on a device that fails at each of its operations in turn. */
class EngineTest {
    private static final Set<String> OPERATIONS = Set.of(
            "embed",
            "gatherRows",
            "rmsNorm",
            "linear",
            "rope",
            "kvAppend",
            "attention",
            "gatedActivation",
            "add",
            "sample");
    private static final int LOGPROBS = 5;

    /** The reference device, one operation of which fails: before it has done anything, or afterwards. */
    private static final class Failing {
        int operationsLeft = Integer.MAX_VALUE;
        boolean afterwards;
        int operations;

        Device device() {
            Device exact = new ReferenceBackend().open(DeviceOptions.defaults());
            return CheckedDevice.of((Device) Proxy.newProxyInstance(
                    Device.class.getClassLoader(), new Class<?>[] {Device.class}, (proxy, method, arguments) -> {
                        boolean fails = false;
                        if (OPERATIONS.contains(method.getName())) {
                            operations++;
                            fails = --operationsLeft == 0;
                        }
                        if (fails && !afterwards) {
                            throw new OutOfDeviceMemoryException("planned");
                        }
                        try {
                            Object result = method.invoke(exact, arguments);
                            if (fails) {
                                throw new OutOfDeviceMemoryException("planned");
                            }
                            return result;
                        } catch (InvocationTargetException e) {
                            throw e.getCause();
                        }
                    }));
        }
    }

    private static final Failing FAILING = new Failing();
    private static Device device;
    private static ModelConfig config;
    private static Weights weights;

    @BeforeAll
    static void load() {
        device = FAILING.device();
        try (Gguf file = Gguf.open(Golden.tiny("qwen2"))) {
            RopeFrequencies.Factors none = new RopeFrequencies.Factors(null, null, null);
            config = ModelConfig.read(file.metadata(), Vocabulary.count(file.metadata()), none, 128);
            weights = new Weights(file, config, device, null);
        }
    }

    @AfterAll
    static void close() {
        weights.close();
        device.close();
    }

    private static Engine engine(int promptChunk) {
        return new Engine(
                config,
                weights,
                device,
                new Engine.Limits(128, 3, 32, promptChunk, KvType.F16, false),
                new Engine.Roles(id -> false));
    }

    private static int[] prompt(int length, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        return random.ints(length, 3, config.vocabulary()).toArray();
    }

    private static void begin(Engine engine, Sequence sequence, int[] prompt, int tokens) {
        engine.begin(sequence, prompt, SamplingOptions.GREEDY, tokens, LOGPROBS, 0, false);
    }

    private static List<Sequence.Step> finish(Engine engine, Sequence sequence) {
        List<Sequence.Step> steps = new ArrayList<>();
        while (true) {
            Engine.Progress progress = engine.await(sequence, steps.size(), () -> null);
            steps.addAll(progress.steps());
            if (progress.finish() != null) {
                return steps;
            }
        }
    }

    private static List<Sequence.Step> generate(Engine engine, Sequence sequence, int[] prompt, int tokens) {
        begin(engine, sequence, prompt, tokens);
        return finish(engine, sequence);
    }

    /**
     * A prompt in chunks, then decoding: wherever the device fails, the same prompt again gives what a fresh sequence
     * gives, bit for bit.
     */
    @Test
    void aFailureAtAnyOperationLeavesTheSequenceSound() {
        int[] prompt = prompt(20, 1);
        for (int chunk : new int[] {32, 7}) {
            try (Engine engine = engine(chunk)) {
                FAILING.operations = 0;
                List<Sequence.Step> expected = generate(engine, new Sequence(), prompt, 4);
                int operations = FAILING.operations;
                assertThat(operations).isGreaterThan(100);
                for (int i = 1; i <= operations; i++) {
                    for (boolean afterwards : new boolean[] {false, true}) {
                        Sequence sequence = new Sequence();
                        FAILING.afterwards = afterwards;
                        FAILING.operationsLeft = i;
                        assertThatThrownBy(() -> generate(engine, sequence, prompt, 4))
                                .isInstanceOf(OutOfDeviceMemoryException.class);
                        assertThat(generate(engine, sequence, prompt, 4))
                                .as("chunks of %d, after operation %d failed (%s)", chunk, i, afterwards)
                                .isEqualTo(expected);
                        engine.close(sequence);
                    }
                }
            }
        }
    }

    /**
     * Three sequences decode together, one is cancelled, the device fails: the others fail with it, and are right when
     * asked again.
     */
    @Test
    void aFailureInABatchLeavesEachSequenceSound() {
        int[][] prompts = {prompt(9, 1), prompt(14, 2), prompt(5, 3)};
        try (Engine engine = engine(6)) {
            List<List<Sequence.Step>> expected = new ArrayList<>();
            for (int[] prompt : prompts) {
                expected.add(generate(engine, new Sequence(), prompt, 6));
            }
            for (int i = 1; i <= 160; i += 3) {
                Sequence[] all = {new Sequence(), new Sequence(), new Sequence()};
                for (int s = 0; s < 3; s++) {
                    begin(engine, all[s], prompts[s], 6);
                }
                engine.await(all[0], 0, () -> null);
                engine.end(all[1], FinishReason.CANCELLED);
                FAILING.operationsLeft = i;
                for (int s : new int[] {0, 2}) {
                    try {
                        assertThat(finish(engine, all[s])).isEqualTo(expected.get(s));
                    } catch (OutOfDeviceMemoryException e) {
                        assertThat(e).hasMessage("planned");
                    }
                }
                FAILING.operationsLeft = Integer.MAX_VALUE;
                for (int s = 0; s < 3; s++) {
                    assertThat(generate(engine, all[s], prompts[s], 6))
                            .as("sequence %d after operation %d failed", s, i)
                            .isEqualTo(expected.get(s));
                    engine.close(all[s]);
                }
            }
            assertThat(engine.idleSequences()).isEqualTo(3); // those that gave the expected answers
        }
    }

    /** Scoring commits after each batch too, and gives its pages back whatever happens. */
    @Test
    void aFailureWhileScoringLeavesNothingBehind() {
        int[] text = prompt(60, 4);
        try (Engine engine = engine(32)) {
            List<float[]> expected = score(engine, text);
            for (int i = 1; i < 60; i += 7) {
                FAILING.operationsLeft = i;
                assertThatThrownBy(() -> score(engine, text)).isInstanceOf(OutOfDeviceMemoryException.class);
                assertThat(score(engine, text)).usingRecursiveComparison().isEqualTo(expected);
            }
            assertThat(engine.idleSequences()).isZero();
        }
    }

    private static List<float[]> score(Engine engine, int[] text) {
        List<float[]> logits = new ArrayList<>();
        engine.evaluate(text, 30, (position, row) -> logits.add(Arrays.copyOf(row, row.length)));
        return logits;
    }

    /** A visitor that asks the engine which waits for it would change the numbers that it is shown. */
    @Test
    void aVisitorOfLogitsIsRefusedTheEngine() {
        int[] text = prompt(40, 8);
        try (Engine engine = engine(32)) {
            assertThatThrownBy(() -> engine.evaluate(text, 0, (position, row) -> score(engine, text)))
                    .isInstanceOf(UsageException.class);
            assertThatThrownBy(
                            () -> engine.evaluate(text, 0, (position, row) -> begin(engine, new Sequence(), text, 1)))
                    .isInstanceOf(UsageException.class);
            assertThat(score(engine, text)).hasSize(10);
            engine.evaluate(new int[0], 0, (position, row) -> {
                throw new AssertionError("no token has no logits");
            });
        }
    }

    /**
     * Closing ends what runs, refuses what comes, and leaves nothing with the scheduler, in whichever order it is
     * called.
     */
    @Test
    void aClosedSequenceIsForgotten() {
        try (Engine engine = engine(32)) {
            Sequence sequence = new Sequence();
            begin(engine, sequence, prompt(5, 5), 50);
            engine.await(sequence, 0, () -> null);
            engine.close(sequence);
            assertThat(engine.await(sequence, 1, () -> null).finish()).isEqualTo(FinishReason.CANCELLED);
            engine.end(sequence, FinishReason.CANCELLED);
            engine.close(sequence);
            assertThat(engine.idleSequences()).isZero();
            assertThatThrownBy(() -> begin(engine, sequence, prompt(5, 5), 5))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("closed");
        }
    }

    /** What one sequence asks for cannot fail the others' step. */
    @Test
    void logprobsBeyondTheVocabularyAreAllOfIt() {
        try (Engine engine = engine(32)) {
            Sequence greedy = new Sequence();
            Sequence other = new Sequence();
            engine.begin(greedy, prompt(5, 6), SamplingOptions.GREEDY, 2, Integer.MAX_VALUE, 0, false);
            begin(engine, other, prompt(5, 7), 2);
            assertThat(finish(engine, greedy)).allMatch(step -> step.top().size() == config.vocabulary());
            assertThat(finish(engine, other)).hasSize(2);
        }
    }
}
