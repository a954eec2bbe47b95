package dev.demitasse.sampling;

import dev.demitasse.exception.UsageException;
import java.util.Arrays;

/**
 * One choice of a token by its logits alone, on any device: top-k, then top-p, then min-p keep the most likely tokens
 * (of equals those of lower numbers), and of those a random number takes one, with probabilities by exp(logit /
 * temperature).
 *
 * <p>The random number is a hash of seed and number (SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom
 * number generators", 2014), so that a draw depends on no other.
 *
 * @param temperature divides the logits; 0 for the most likely token
 * @param topK keeps the k most likely tokens; 0 for all
 * @param topP keeps the most likely tokens whose probabilities reach p; 1 for all
 * @param minP keeps tokens with at least p times the probability of the most likely one; 0 for all
 * @param seed of the random numbers
 * @param number which of them
 */
public record Draw(float temperature, int topK, float topP, float minP, long seed, long number) {
    private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

    /** Checks the ranges. */
    public Draw {
        boolean valid = temperature >= 0
                && Float.isFinite(temperature)
                && topK >= 0
                && topP > 0
                && topP <= 1
                && minP >= 0
                && minP <= 1;
        if (!valid) {
            throw new UsageException("No draw has temperature " + temperature + ", top-k " + topK + ", top-p " + topP
                    + " and min-p " + minP + ".");
        }
    }

    /** What is chosen where no logit is a number. */
    public static final int NONE = -1;

    /** Always the most likely token. */
    public static final Draw GREEDY = new Draw(0, 0, 1, 0, 0, 0);

    /** {@return the random number: 0 to below 1, a multiple of 2^-53} */
    public double uniform() {
        long z = seed + (number + 1) * GOLDEN_GAMMA;
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return ((z ^ z >>> 31) >>> 11) * 0x1p-53;
    }

    /**
     * {@return the token; {@link #NONE} where all logits are NaN, which are never chosen}
     *
     * @param logits one a token; not changed
     */
    public int choose(float[] logits) {
        int best = Sampler.argmax(logits);
        if (temperature == 0 || best == NONE) {
            return best;
        }
        int[] kept = kept(logits, best);
        double[] sums = new double[kept.length];
        double sum = 0;
        for (int i = 0; i < kept.length; i++) {
            sum += Math.exp((logits[kept[i]] - logits[best]) / temperature);
            sums[i] = sum;
        }
        double point = uniform() * sum;
        for (int i = 0; i < kept.length; i++) {
            if (sums[i] > point) {
                return kept[i];
            }
        }
        return best;
    }

    /** The tokens that may be drawn, in ascending order. */
    private int[] kept(float[] logits, int best) {
        int[] candidates = topK == 0 && topP == 1
                ? all(logits.length)
                : Sampler.mostLikely(logits, topK == 0 ? logits.length : topK);
        double[] weights = new double[candidates.length];
        double sum = 0;
        for (int i = 0; i < candidates.length; i++) {
            double weight = Math.exp(logits[candidates[i]] - logits[best]);
            weights[i] = Double.isNaN(weight) ? 0 : weight;
            sum += weights[i];
        }
        double reached = 0;
        int count = 0;
        for (int i = 0; i < candidates.length && (topP == 1 || reached < topP * sum); i++) {
            reached += weights[i];
            if (weights[i] >= minP && !Float.isNaN(logits[candidates[i]])) {
                candidates[count++] = candidates[i];
            }
        }
        int[] kept = Arrays.copyOf(candidates, count);
        Arrays.sort(kept);
        return kept;
    }

    private static int[] all(int count) {
        int[] ids = new int[count];
        Arrays.setAll(ids, i -> i);
        return ids;
    }
}
