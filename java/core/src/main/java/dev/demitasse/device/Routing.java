package dev.demitasse.device;

import static dev.demitasse.device.Arguments.require;

import java.util.Arrays;
import java.util.Objects;

/**
 * How a mixture of experts chooses, for each token, those that compute it.
 *
 * @param experts in a layer
 * @param used of them by a token
 * @param score what becomes of the router's logits
 * @param normalized whether the weights of the chosen are divided by their sum
 * @param scale multiplies the weights after that
 * @param weighsInputs whether the weights multiply what experts are given, not what they return
 * @param groups of neighboring experts, whose numbers are equal
 * @param usedGroups of which experts are chosen: those whose two best have the highest sums
 */
public record Routing(
        int experts,
        int used,
        Score score,
        boolean normalized,
        float scale,
        boolean weighsInputs,
        int groups,
        int usedGroups) {
    /** The least sum that weights are divided by. */
    private static final float LEAST_SUM = 0x1p-14f;

    /** Checks that so many experts can be chosen. */
    public Routing {
        Objects.requireNonNull(score, "score");
        require(
                groups >= 1 && experts >= 1 && experts % groups == 0 && usedGroups >= 1 && usedGroups <= groups,
                () -> experts + " experts in " + groups + " groups, of which " + usedGroups + " are used, cannot be.");
        require(
                used >= 1 && used <= experts / groups * usedGroups,
                () -> used + " experts cannot be chosen of " + experts / groups * usedGroups + ".");
    }

    /**
     * Experts that form no groups.
     *
     * @param experts in a layer
     * @param used of them by a token
     * @param score what becomes of the router's logits
     * @param normalized whether the weights of the chosen are divided by their sum
     * @param scale multiplies the weights after that
     */
    public Routing(int experts, int used, Score score, boolean normalized, float scale) {
        this(experts, used, score, normalized, scale, false, 1, 1);
    }

    /** What becomes of the router's logits, with the number that files give it ({@code expert_gating_func}). */
    public enum Score {
        /** Softmax over all experts. */
        SOFTMAX(1),
        /** The logistic function of each. */
        SIGMOID(2),
        /** Softmax over those that are chosen. */
        SOFTMAX_OF_CHOSEN(3);

        private final int id;

        Score(int id) {
            this.id = id;
        }

        /** {@return the number} */
        public int id() {
            return id;
        }
    }

    /**
     * Chooses the experts of one token: those with the highest scores, of equals the first. A logit that is NaN or
     * infinite makes all weights NaN, so that the result is.
     *
     * @param logits of the router, one an expert, from {@code at} on
     * @param at index of the first logit
     * @param bias added to scores where experts are chosen, and not in their weights; empty for none
     * @param ids receives the chosen, {@link #used} of them, from {@code to} on, in the order of their numbers
     * @param weights receives theirs, from {@code to} on
     * @param to index of the first of the chosen
     */
    public void choose(float[] logits, int at, float[] bias, int[] ids, float[] weights, int to) {
        double[] scores = scores(logits, at);
        double[] ranks = new double[experts];
        for (int e = 0; e < experts; e++) {
            double rank = scores[e] + (bias.length == 0 ? 0 : bias[e]);
            ranks[e] = Double.isNaN(rank) ? Double.NEGATIVE_INFINITY : rank;
        }
        boolean[] taken = highest(ranks, inGroups(ranks), used);
        int next = to;
        for (int e = 0; e < experts; e++) {
            if (taken[e]) {
                ids[next] = e;
                weights[next++] = (float) scores[e];
            }
        }
        weigh(logits, at, ids, weights, to);
        if (!areFinite(logits, at)) {
            Arrays.fill(weights, to, next, Float.NaN);
        }
    }

    /**
     * Which are the highest, of equals the first.
     *
     * @param allowed those that may be chosen, at least {@code count}
     */
    private static boolean[] highest(double[] ranks, boolean[] allowed, int count) {
        boolean[] taken = new boolean[ranks.length];
        for (int n = 0; n < count; n++) {
            int best = -1;
            for (int e = 0; e < ranks.length; e++) {
                if (allowed[e] && !taken[e] && (best < 0 || ranks[e] > ranks[best])) {
                    best = e;
                }
            }
            taken[best] = true;
        }
        return taken;
    }

    /** Which experts are of the groups that are chosen. */
    private boolean[] inGroups(double[] ranks) {
        boolean[] all = new boolean[experts];
        Arrays.fill(all, true);
        if (groups == 1) {
            return all;
        }
        int size = experts / groups;
        double[] sums = new double[groups];
        for (int g = 0; g < groups; g++) {
            double[] sorted = Arrays.copyOfRange(ranks, g * size, (g + 1) * size);
            Arrays.sort(sorted);
            sums[g] = sorted[size - 1] + (size > 1 ? sorted[size - 2] : 0);
        }
        boolean[] every = new boolean[groups];
        Arrays.fill(every, true);
        boolean[] chosen = highest(sums, every, usedGroups);
        for (int e = 0; e < experts; e++) {
            all[e] = chosen[e / size];
        }
        return all;
    }

    private boolean areFinite(float[] logits, int at) {
        for (int e = 0; e < experts; e++) {
            if (!Float.isFinite(logits[at + e])) {
                return false;
            }
        }
        return true;
    }

    private double[] scores(float[] logits, int at) {
        double[] scores = new double[experts];
        double largest = Double.NEGATIVE_INFINITY;
        for (int e = 0; e < experts; e++) {
            scores[e] = logits[at + e];
            largest = Math.max(largest, scores[e]); // NaN where one is
        }
        double sum = 0;
        for (int e = 0; e < experts && score == Score.SOFTMAX; e++) {
            scores[e] = Math.exp(scores[e] - largest);
            sum += scores[e];
        }
        for (int e = 0; e < experts && score != Score.SOFTMAX_OF_CHOSEN; e++) {
            scores[e] = score == Score.SOFTMAX ? scores[e] / sum : 1 / (1 + Math.exp(-scores[e]));
        }
        return scores;
    }

    private void weigh(float[] logits, int at, int[] ids, float[] weights, int to) {
        double sum = 0;
        if (score == Score.SOFTMAX_OF_CHOSEN) {
            double largest = Double.NEGATIVE_INFINITY;
            for (int n = to; n < to + used; n++) {
                largest = Math.max(largest, logits[at + ids[n]]);
            }
            for (int n = to; n < to + used; n++) {
                double weight = Math.exp(logits[at + ids[n]] - largest);
                weights[n] = (float) weight;
                sum += weight;
            }
        } else {
            for (int n = to; n < to + used; n++) {
                sum += weights[n];
            }
            sum = normalized ? Math.max(sum, LEAST_SUM) : 1;
        }
        for (int n = to; n < to + used; n++) {
            weights[n] = (float) (weights[n] / sum * scale);
        }
    }
}
