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

    private Logprobs() {}

    /** The logarithm of the sum of the exponentials: a logit minus it is a log-probability. */
    public static double logSumExp(float[] logits) {
        double largest = Float.NEGATIVE_INFINITY;
        for (float logit : logits) {
            largest = Math.max(largest, logit);
        }
        double sum = 0;
        for (float logit : logits) {
            sum += Math.exp(logit - largest);
        }
        return largest + Math.log(sum);
    }

    /** The {@code count} most likely tokens, most likely first. */
    public static List<Entry> top(float[] logits, int count) {
        double normaliser = logSumExp(logits);
        List<Entry> entries = new ArrayList<>(count);
        for (int id : Sampler.mostLikely(logits, count)) {
            entries.add(new Entry(id, (float) (logits[id] - normaliser)));
        }
        return entries;
    }
}
