package dev.demitasse.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.UsageException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.FloatRange;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

class SamplerTest {
    private static final float[] LOGITS = {1, 5, 4.5f, -2, 3, 0};
    private static final int[] NO_HISTORY = {};

    private static SamplingOptions options(float temperature, int topK, float topP, float minP) {
        return new SamplingOptions(temperature, topK, topP, minP, 1, 0, 0, 64, 7);
    }

    private static Set<Integer> drawn(SamplingOptions options) {
        Sampler sampler = new Sampler(options);
        Set<Integer> seen = new HashSet<>();
        for (int i = 0; i < 2000; i++) {
            seen.add(sampler.sample(LOGITS.clone(), NO_HISTORY, 0));
        }
        return seen;
    }

    @Test
    void aDrawThatIsNoneIsRefused() {
        assertThatThrownBy(() -> new Draw(-1, 0, 1, 0, 0, 0)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> new Draw(Float.NaN, 0, 1, 0, 0, 0)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> new Draw(1, -1, 1, 0, 0, 0)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> new Draw(1, 0, 0, 0, 0, 0)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> new Draw(1, 0, 1, 1.5f, 0, 0)).isInstanceOf(UsageException.class);
    }

    @Test
    void greedyTakesTheMostLikely() {
        assertThat(drawn(SamplingOptions.GREEDY)).containsExactly(1);
    }

    @Test
    void topKTopPAndMinPKeepTheMostLikely() {
        assertThat(drawn(options(5, 2, 1, 0))).containsExactlyInAnyOrder(1, 2);
        assertThat(drawn(options(5, 0, 0.5f, 0))).containsExactly(1);
        assertThat(drawn(options(5, 0, 0.85f, 0))).containsExactlyInAnyOrder(1, 2);
        assertThat(drawn(options(5, 0, 1, 0.1f))).containsExactlyInAnyOrder(1, 2, 4);
        assertThat(drawn(options(5, 0, 1, 0))).hasSize(6);
    }

    /** What is NaN is never drawn, and does not keep others from being drawn. */
    @Test
    void logitsThatAreNoNumbersAreLeftOut() {
        float[] logits = {Float.NaN, 1, 2, Float.NaN, 1.5f};
        assertThat(Sampler.argmax(logits)).isEqualTo(2);
        assertThat(Sampler.argmax(new float[] {Float.NaN, Float.NEGATIVE_INFINITY}))
                .isEqualTo(1);
        assertThat(Sampler.argmax(new float[] {Float.NaN, Float.NaN})).isEqualTo(Draw.NONE);
        assertThat(Sampler.mostLikely(logits, 4)).startsWith(2, 4, 1);
        assertThat(Logprobs.logSumExp(logits)).isEqualTo(Logprobs.logSumExp(new float[] {1, 2, 1.5f}));
        for (SamplingOptions options :
                List.of(SamplingOptions.DEFAULT, options(3, 0, 1, 0), options(3, 0, 0.99f, 0), options(3, 4, 1, 0))) {
            Set<Integer> seen = new HashSet<>();
            Sampler sampler = new Sampler(options);
            for (int i = 0; i < 2000; i++) {
                seen.add(sampler.sample(logits.clone(), NO_HISTORY, 0));
            }
            assertThat(seen).as(options.toString()).containsExactlyInAnyOrder(1, 2, 4);
        }
        assertThat(new Sampler(SamplingOptions.DEFAULT).sample(new float[] {Float.NaN}, NO_HISTORY, 0))
                .isEqualTo(Draw.NONE);
    }

    @Test
    void drawsFollowTheSoftmax() {
        Sampler sampler = new Sampler(options(1, 0, 1, 0));
        int first = 0;
        for (int i = 0; i < 20_000; i++) {
            first += sampler.sample(LOGITS.clone(), NO_HISTORY, 0) == 1 ? 1 : 0;
        }
        double expected = Math.exp(5 - Logprobs.logSumExp(LOGITS));
        assertThat(first / 20_000.0).isBetween(expected - 0.015, expected + 0.015);
    }

    @Test
    void theSameSeedGivesTheSameDraws() {
        Sampler a = new Sampler(options(1, 0, 1, 0));
        Sampler b = new Sampler(options(1, 0, 1, 0));
        for (int i = 0; i < 100; i++) {
            assertThat(a.sample(LOGITS.clone(), NO_HISTORY, 0)).isEqualTo(b.sample(LOGITS.clone(), NO_HISTORY, 0));
        }
    }

    /**
     * Number n of a seed is what a generator that began with the seed gives as its n-th, and needs none of those
     * before.
     */
    @Test
    void randomNumbersAreThoseOfSplitMix64() {
        for (long seed : new long[] {0, 7, -3, Long.MIN_VALUE}) {
            SplittableRandom random = new SplittableRandom(seed);
            for (long number = 0; number < 100; number++) {
                assertThat(new Draw(1, 0, 1, 0, seed, number).uniform()).isEqualTo(random.nextDouble());
            }
        }
    }

    @Test
    void penaltiesLowerWhatIsInTheWindow() {
        SamplingOptions repeat = new SamplingOptions(0, 0, 1, 0, 2, 0, 0, 2, 0);
        assertThat(new Sampler(repeat).sample(LOGITS.clone(), new int[] {1}, 1)).isEqualTo(2);
        assertThat(new Sampler(repeat).sample(LOGITS.clone(), new int[] {1, 0, 0}, 3))
                .isEqualTo(1);
        SamplingOptions frequency = new SamplingOptions(0, 0, 1, 0, 1, 0.3f, 0, 64, 0);
        assertThat(new Sampler(frequency).sample(LOGITS.clone(), new int[] {1}, 1))
                .isEqualTo(1);
        assertThat(new Sampler(frequency).sample(LOGITS.clone(), new int[] {1, 1}, 2))
                .isEqualTo(2);
        SamplingOptions presence = new SamplingOptions(0, 0, 1, 0, 1, 0, 0.6f, 64, 0);
        assertThat(new Sampler(presence).sample(LOGITS.clone(), new int[] {1}, 1))
                .isEqualTo(2);
    }

    @Test
    void optionsOutOfRangeAreRefused() {
        assertThatThrownBy(() -> options(-1, 0, 1, 0)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> options(Float.NaN, 0, 1, 0)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> options(1, -1, 1, 0)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> options(1, 0, 0, 0)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> options(1, 0, 1, 2)).isInstanceOf(UsageException.class);
    }

    @Property(tries = 300)
    void mostLikelyIsASortedPrefix(
            @ForAll @Size(min = 1, max = 60) float @FloatRange(min = -50, max = 50) [] values,
            @ForAll @IntRange(min = 1, max = 70) int count) {
        int[] kept = Sampler.mostLikely(values, count);
        assertThat(kept).hasSize(Math.min(count, values.length)).doesNotHaveDuplicates();
        for (int i = 1; i < kept.length; i++) {
            assertThat(values[kept[i]]).isLessThanOrEqualTo(values[kept[i - 1]]);
        }
        Set<Integer> inside = new HashSet<>();
        for (int id : kept) {
            inside.add(id);
        }
        for (int i = 0; i < values.length; i++) {
            if (!inside.contains(i)) {
                assertThat(values[i]).isLessThanOrEqualTo(values[kept[kept.length - 1]]);
            }
        }
    }

    @Test
    void logSumExpIsThatOfTheDefinition() {
        SplittableRandom random = new SplittableRandom(7);
        float[] logits = new float[5000];
        double sum = 0;
        for (int i = 0; i < logits.length; i++) {
            logits[i] = i == 17 ? Float.NEGATIVE_INFINITY : (float) (random.nextDouble() * 60 - 30);
            sum += Math.exp(logits[i]);
        }
        assertThat(Logprobs.logSumExp(logits)).isCloseTo(Math.log(sum), Offset.offset(1e-6));
        assertThat(Logprobs.logSumExp(new float[] {1000, 1000})).isCloseTo(1000 + Math.log(2), Offset.offset(1e-9));
    }
}
