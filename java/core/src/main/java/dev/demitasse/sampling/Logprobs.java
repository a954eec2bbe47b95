package dev.demitasse.sampling;

import java.util.ArrayList;
import java.util.List;

/** Log-probabilities of logits. */
public final class Logprobs {
    /**
     * A token and how likely it was.
     *
     * @param id the token
     * @param logprob natural logarithm of its probability
     */
    public record Entry(int id, float logprob) {}

    private static final int BLOCK = 1024;
    private static final double LOG2_E = 1.4426950408889634;
    private static final double LN_2 = 0.6931471805599453;
    private static final double ROUND = 0x1.8p52; // adding it leaves the rounded integer in the low bits

    private Logprobs() {}

    /**
     * {@return the logarithm of the sum of the exponentials: a logit minus it is a log-probability} Relative error of
     * the sum 1e-9.
     *
     * @param logits one a token; one that is NaN counts as minus infinity
     */
    public static double logSumExp(float[] logits) {
        float largest = Float.NEGATIVE_INFINITY;
        for (float logit : logits) {
            largest = logit > largest ? logit : largest; // NaN is none
        }
        double[] terms = new double[BLOCK];
        double sum = 0;
        for (int from = 0; from < logits.length; from += BLOCK) {
            int count = Math.min(BLOCK, logits.length - from);
            exponentials(logits, from, count, largest, terms);
            for (int i = 0; i < count; i++) {
                sum += terms[i];
            }
        }
        return largest + Math.log(sum);
    }

    /**
     * exp(logit - largest) as 2^n exp(r), |r| ≤ ln 2 / 2, by a Taylor polynomial of degree 9. A vocabulary is large and
     * Math.exp is a call; this loop is compiled to vector instructions.
     */
    private static void exponentials(float[] logits, int from, int count, float largest, double[] terms) {
        for (int i = 0; i < count; i++) {
            float distance = logits[from + i] - largest;
            double x = distance > -700f ? distance : -700f; // NaN is none
            double shifted = x * LOG2_E + ROUND;
            double r = x - (shifted - ROUND) * LN_2;
            double p = 1.0 / 362880;
            p = p * r + 1.0 / 40320;
            p = p * r + 1.0 / 5040;
            p = p * r + 1.0 / 720;
            p = p * r + 1.0 / 120;
            p = p * r + 1.0 / 24;
            p = p * r + 1.0 / 6;
            p = p * r + 0.5;
            p = p * r + 1;
            p = p * r + 1;
            terms[i] = Double.longBitsToDouble(
                    Double.doubleToRawLongBits(p) + (Double.doubleToRawLongBits(shifted) << 52));
        }
    }

    /**
     * {@return the {@code count} most likely tokens, most likely first}
     *
     * @param logits one a token
     * @param count how many are wanted; all where there are fewer
     */
    public static List<Entry> top(float[] logits, int count) {
        double normalizer = logSumExp(logits);
        List<Entry> entries = new ArrayList<>(count);
        for (int id : Sampler.mostLikely(logits, count)) {
            entries.add(new Entry(id, (float) (logits[id] - normalizer)));
        }
        return entries;
    }
}
