package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.Devices;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.RopeFrequencies;
import dev.demitasse.model.Weights;
import dev.demitasse.runtime.Drafts;
import dev.demitasse.runtime.Engine;
import dev.demitasse.runtime.Sequence;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.tokenizer.Vocabulary;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Drafts wherever there are some, right and wrong ones, and sequences whose states have seen the wrong ones: what every
 * device must hold.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class DraftContractTest {
    /** A model that repeats a token is given more of it: it repeats itself, sooner or later. */
    private static final SamplingOptions REWARDED = new SamplingOptions(0, 0, 1, 0, 0.9f, -2, 0, 64, 0);

    private static final int DRAFTS = 6;
    private static final int CONTEXT = 512;

    /** Drafts all there are, and counts. */
    private static final class All extends Drafts {
        int drafted;

        @Override
        public int count(Planned pass, int most, Hits hits) {
            drafted += most;
            return most;
        }
    }

    private static void begin(Engine engine, Sequence sequence, int[] prompt, int tokens, int drafts) {
        engine.begin(sequence, prompt, REWARDED, tokens, 3, drafts, true);
    }

    /** What came of a turn, and of how many passes. */
    private record Answer(List<Sequence.Step> steps, int passes) {}

    private static Answer finish(Engine engine, Sequence sequence) {
        List<Sequence.Step> steps = new ArrayList<>();
        while (true) {
            Engine.Progress progress = engine.await(sequence, steps.size(), () -> null);
            steps.addAll(progress.steps());
            if (progress.finish() != null) {
                return new Answer(steps, progress.passes());
            }
        }
    }

    /** The next turn's prompt: some or all of this one's, some of the answer, and what is new. */
    private static int[] next(SplittableRandom random, int[] prompt, List<Sequence.Step> answer, int vocabulary) {
        int kept = random.nextInt(3) == 0 ? random.nextInt(prompt.length) : prompt.length;
        int answered = random.nextInt(answer.size() + 1);
        int[] next = Arrays.copyOf(prompt, kept + answered + 2);
        for (int i = 0; i < answered; i++) {
            next[kept + i] = answer.get(i).token();
        }
        next[kept + answered] = random.nextInt(vocabulary);
        next[kept + answered + 1] = random.nextInt(3, 9);
        return next;
    }

    private final String backend;

    /** For one backend. */
    protected DraftContractTest(String backend) {
        this.backend = backend;
    }

    /** Models, most of them with states. */
    protected List<String> architectures() {
        return List.of("qwen35", "qwen3next", "lfm2moe", "granitehybrid", "nemotron_h", "gemma3");
    }

    /** Turns of a conversation; fewer where a device is slow. */
    protected int rounds() {
        return 12;
    }

    /** One conversation after another, and two at once. */
    @ParameterizedTest
    @MethodSource("architectures")
    public void turnsAreWhatTheyAreWithoutDrafts(String architecture) {
        RopeFrequencies.Factors none = new RopeFrequencies.Factors(null, null, null);
        try (Device device = Devices.open(backend, DeviceOptions.defaults().withBatchInvariant(true));
                Gguf file = Gguf.open(Golden.tiny(architecture))) {
            ModelConfig config = ModelConfig.read(file.metadata(), Vocabulary.count(file.metadata()), none, CONTEXT);
            try (Weights weights = new Weights(file, config, device, null)) {
                Seeds.forEach(1, random -> turns(random, config, weights, device));
            }
        }
    }

    private void turns(SplittableRandom random, ModelConfig config, Weights weights, Device device) {
        All drafts = new All();
        Engine.Limits limits = new Engine.Limits(CONTEXT, 2, 24, 16, KvType.F16, false);
        IntPredicate isEnd = id -> id % 31 == 17;
        try (Engine plain = new Engine(config, weights, device, limits, isEnd);
                Engine drafting = new Engine(config, weights, device, limits, isEnd, drafts)) {
            int spared = 0;
            int[][] prompts = {
                random.ints(20, 3, 9).toArray(), random.ints(9, 3, 6).toArray()
            };
            Sequence[] two = {new Sequence(), new Sequence()};
            for (int round = 0; round < rounds(); round++) {
                int tokens = 1 + random.nextInt(30);
                List<List<Sequence.Step>> expected = new ArrayList<>();
                for (int i = 0; i < 2; i++) {
                    Sequence fresh = new Sequence();
                    begin(plain, fresh, prompts[i], tokens, 0);
                    expected.add(finish(plain, fresh).steps);
                    plain.close(fresh);
                    begin(drafting, two[i], prompts[i], tokens, DRAFTS);
                }
                for (int i = 0; i < 2; i++) { // both go on while one is waited for
                    Answer actual = finish(drafting, two[i]);
                    assertThat(actual.steps)
                            .as("round %d, conversation %d", round, i)
                            .isEqualTo(expected.get(i));
                    spared += actual.steps.size() - actual.passes;
                    prompts[i] = next(random, prompts[i], actual.steps, config.vocabulary());
                }
            }
            assertThat(spared).as("right drafts").isPositive();
            assertThat(drafts.drafted).as("drafts, wrong ones among them").isGreaterThan(spared);
        }
    }
}
