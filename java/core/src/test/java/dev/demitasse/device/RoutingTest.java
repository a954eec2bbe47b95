package dev.demitasse.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.Routing.Score;
import java.util.Arrays;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RoutingTest {
    private static final float[] LOGITS = {9, 1, 3, 2, 3, -1}; // the first is another token's
    private static final Offset<Float> CLOSE = Offset.offset(1e-6f);

    private final int[] ids = {-1, -1, -1, -1};
    private final float[] weights = {-1, -1, -1, -1};

    private void choose(Routing routing, float... bias) {
        routing.choose(LOGITS, 1, bias, ids, weights, 1);
        assertThat(ids[0]).isEqualTo(-1);
        assertThat(weights[0]).isEqualTo(-1);
    }

    /** exp(logit) of the five experts. */
    private static double exp(int expert) {
        return Math.exp(LOGITS[1 + expert]);
    }

    @Test
    void theHighestAreChosenInTheOrderOfTheirNumbers() {
        choose(new Routing(5, 3, Score.SOFTMAX, false, 1));
        assertThat(ids).containsExactly(-1, 1, 2, 3);
        double sum = exp(0) + exp(1) + exp(2) + exp(3) + exp(4);
        for (int n = 1; n <= 3; n++) {
            assertThat(weights[n]).isCloseTo((float) (exp(ids[n]) / sum), CLOSE);
        }
    }

    @Test
    void ofEqualsTheFirstIsChosen() {
        choose(new Routing(5, 1, Score.SOFTMAX, true, 2.5f));
        assertThat(ids).containsExactly(-1, 1, -1, -1);
        assertThat(weights[1]).isEqualTo(2.5f);
    }

    @Test
    void weightsAreNormalizedAmongTheChosen() {
        for (Score score : new Score[] {Score.SOFTMAX, Score.SOFTMAX_OF_CHOSEN}) {
            choose(new Routing(5, 2, score, true, 1));
            assertThat(ids).startsWith(-1, 1, 3);
            assertThat(weights[1]).isCloseTo(0.5f, CLOSE);
            assertThat(weights[2]).isCloseTo(0.5f, CLOSE);
        }
    }

    @Test
    void aBiasChoosesAndDoesNotWeigh() {
        choose(new Routing(5, 2, Score.SIGMOID, false, 1), 0, 0, 0, 0, 1);
        assertThat(ids).startsWith(-1, 1, 4);
        assertThat(weights[1]).isCloseTo((float) (1 / (1 + Math.exp(-3))), CLOSE);
        assertThat(weights[2]).isCloseTo((float) (1 / (1 + Math.exp(1))), CLOSE);
    }

    @Test
    void expertsAreOfTheGroupsWhoseTwoBestHaveTheHighestSums() {
        float[] logits = {9, -9, -9, 4, 5, 0, 3, 3, 3}; // of groups of 3: 0, 9 and 6
        new Routing(9, 2, Score.SOFTMAX_OF_CHOSEN, false, 1, false, 3, 1)
                .choose(logits, 0, new float[0], ids, weights, 0);
        assertThat(Arrays.copyOf(ids, 2)).containsExactly(3, 4);
        new Routing(9, 2, Score.SOFTMAX_OF_CHOSEN, false, 1, false, 3, 2)
                .choose(logits, 0, new float[] {0, 0, 0, 0, 0, 0, 0, 0, 7}, ids, weights, 0);
        assertThat(Arrays.copyOf(ids, 2)).containsExactly(4, 8);
        new Routing(9, 2, Score.SOFTMAX_OF_CHOSEN, false, 1, false, 3, 3)
                .choose(logits, 0, new float[0], ids, weights, 0);
        assertThat(Arrays.copyOf(ids, 2)).containsExactly(0, 4);
    }

    @Test
    void logitsOfAnySizeGiveFiniteWeights() {
        for (Score score : Score.values()) {
            float[] logits = {-3e38f, 900, 800, -1000};
            new Routing(4, 2, score, true, 1).choose(logits, 0, new float[0], ids, weights, 0);
            assertThat(Arrays.copyOf(ids, 2)).containsExactly(1, 2);
            assertThat(weights[0] + weights[1]).as("%s", score).isCloseTo(1, CLOSE);
        }
    }

    @ParameterizedTest
    @EnumSource(Score.class)
    void aLogitThatIsNoNumberMakesAllWeightsNone(Score score) {
        for (float odd : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            for (int at = 0; at < 4; at++) {
                float[] logits = {1, 2, 3, 4};
                logits[at] = odd;
                new Routing(4, 2, score, true, 1).choose(logits, 0, new float[0], ids, weights, 0);
                assertThat(ids[0]).isBetween(0, 2);
                assertThat(ids[1]).isBetween(ids[0] + 1, 3);
                assertThat(weights[0]).as("%s at %d", odd, at).isNaN();
                assertThat(weights[1]).as("%s at %d", odd, at).isNaN();
            }
        }
    }
}
