package dev.demitasse.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.CheckedDevice;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.RopeFrequencies;
import dev.demitasse.model.Weights;
import dev.demitasse.reference.ReferenceBackend;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.testkit.Golden;
import dev.demitasse.testkit.Seeds;
import dev.demitasse.tokenizer.Vocabulary;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Drafts wherever there are some, right and wrong ones, and sequences whose states have seen the wrong ones. */
class DraftedStatesTest {
    /** A model that repeats a token is given more of it: it repeats itself, sooner or later. */
    private static final SamplingOptions REWARDED = new SamplingOptions(0, 0, 1, 0, 1, -2, 0, 64, 0);

    private static final int DRAFTS = 6;
    private static final int CONTEXT = 512;

    /** Drafts all there are, and counts. */
    private static final class All extends Drafts {
        int drafted;

        @Override
        int count(int rows, int most, Hits hits, boolean again) {
            drafted += most;
            return most;
        }
    }

    /** What a sequence gets for a prompt, as in a conversation's next turn. */
    private static List<Sequence.Step> turn(Engine engine, Sequence sequence, int[] prompt, int tokens, int drafts) {
        engine.begin(sequence, prompt, REWARDED, tokens, 3, drafts, true);
        List<Sequence.Step> steps = new ArrayList<>();
        while (true) {
            Engine.Progress progress = engine.await(sequence, steps.size(), () -> null);
            steps.addAll(progress.steps());
            if (progress.finish() != null) {
                return steps;
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

    @ParameterizedTest
    @ValueSource(strings = {"qwen35", "qwen3next", "lfm2moe", "granitehybrid", "nemotron_h", "gemma3"})
    void turnsAreWhatTheyAreWithoutDrafts(String architecture) {
        RopeFrequencies.Factors none = new RopeFrequencies.Factors(null, null, null);
        try (Device device = CheckedDevice.of(new ReferenceBackend().open(DeviceOptions.defaults()));
                Gguf file = Gguf.open(Golden.tiny(architecture))) {
            ModelConfig config = ModelConfig.read(file.metadata(), Vocabulary.count(file.metadata()), none, CONTEXT);
            try (Weights weights = new Weights(file, config, device, null)) {
                Seeds.forEach(1, random -> turns(random, config, weights, device));
            }
        }
    }

    private static void turns(SplittableRandom random, ModelConfig config, Weights weights, Device device) {
        All drafts = new All();
        Engine.Limits limits = new Engine.Limits(CONTEXT, 2, 24, 16, KvType.F16, false);
        IntPredicate isEnd = id -> id % 31 == 17;
        try (Engine plain = new Engine(config, weights, device, limits, isEnd);
                Engine drafting = new Engine(config, weights, device, limits, isEnd, drafts)) {
            int spared = 0;
            int[] prompt = random.ints(20, 3, 9).toArray();
            Sequence sequence = new Sequence();
            for (int round = 0; round < 12; round++) {
                int tokens = 1 + random.nextInt(30);
                List<Sequence.Step> expected = turn(plain, new Sequence(), prompt, tokens, 0);
                List<Sequence.Step> actual = turn(drafting, sequence, prompt, tokens, DRAFTS);
                assertThat(actual).as("round %d", round).isEqualTo(expected);
                spared += actual.size() - sequence.passes();
                prompt = next(random, prompt, actual, config.vocabulary());
            }
            assertThat(spared).as("right drafts").isPositive();
            assertThat(drafts.drafted).as("drafts, wrong ones among them").isGreaterThan(spared);
        }
    }
}
