package dev.demitasse.kv;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class ScaledElementsTest {
    private static final long SEED = 20261128L;
    private static final int GROUP = KvShape.SCALE_GROUP;

    private static float[] restored(float[] x) {
        byte[] levels = new byte[x.length];
        int word = ScaledElements.round(KvType.INT4, x, 0, x.length, levels, 0);
        float[] values = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            assertThat(levels[i]).isBetween((byte) 0, (byte) 15);
            assertThat(ScaledElements.scale(KvType.INT4, word)).isNotNegative();
            values[i] = levels[i] * ScaledElements.scale(KvType.INT4, word) + ScaledElements.minimum(KvType.INT4, word);
        }
        return values;
    }

    /** 0.0074 is what Q4_0 has, in groups of 32 and as many bits. */
    @Test
    void fourBitsOfNormalNumbersLoseLessThanThoseOfQ40() {
        SplittableRandom random = new SplittableRandom(SEED);
        double error = 0;
        int groups = 2000;
        for (int g = 0; g < groups; g++) {
            float[] x = new float[GROUP];
            for (int i = 0; i < GROUP; i++) {
                x[i] = (float) random.nextGaussian();
            }
            float[] values = restored(x);
            for (int i = 0; i < GROUP; i++) {
                error += Math.pow(values[i] - x[i], 2) / (groups * GROUP);
            }
        }
        assertThat(error).as("seed %d", SEED).isBetween(0.0060, 0.0072);
    }

    @Test
    void sixteenEvenLevelsComeBack() {
        float[] x = new float[GROUP];
        for (int i = 0; i < GROUP; i++) {
            x[i] = -3 + 0.5f * (i * 7 % 16);
        }
        assertThat(restored(x)).usingComparatorWithPrecision(2e-3f).containsExactly(x);
    }

    @Test
    void aGroupOfOneNumberAndTinyNumbersComeBackAsFarAsFp16Goes() {
        for (float number : new float[] {1.2345f, 0.3f, -0.3f, -0f}) { // FP16 is below some and above others
            float[] same = new float[GROUP];
            Arrays.fill(same, number);
            assertThat(restored(same)).usingComparatorWithPrecision(1e-3f).containsExactly(same);
        }
        float[] narrow = new float[GROUP]; // half a step of FP16
        for (int i = 0; i < GROUP; i++) {
            narrow[i] = 1000.245f + 0.25f * i / GROUP;
        }
        assertThat(restored(narrow)).usingComparatorWithPrecision(0.03f).containsExactly(narrow);
        float[] tiny = new float[GROUP];
        for (int i = 0; i < GROUP; i++) {
            tiny[i] = 1e-9f * i;
        }
        assertThat(restored(tiny)).usingComparatorWithPrecision(1e-7f).containsExactly(tiny);
        assertThat(restored(new float[5])).containsOnly(0);
    }

    @Test
    void whatFp16DoesNotHoldMakesTheGroupNan() {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 65520, -1e30f}) {
            float[] x = new float[GROUP];
            x[17] = bad;
            assertThat(restored(x)).containsOnly(Float.NaN);
        }
        float[] most = {65504, -65504, 0};
        assertThat(restored(most)).usingComparatorWithPrecision(5000f).containsExactly(most);
    }
}
