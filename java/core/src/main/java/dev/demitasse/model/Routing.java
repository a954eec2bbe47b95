package dev.demitasse.model;

import java.util.Arrays;

/**
 * How a mixture of experts chooses, for each token, those that compute it.
 *
 * @param experts in a layer
 * @param used of them by a token
 * @param score what becomes of the router's logits
 * @param normalized whether the weights of the chosen are divided by their sum
 * @param scale multiplies the weights after that
 */
public record Routing(int experts, int used, Score score, boolean normalized, float scale) {
    /** The least sum that weights are divided by. */
    private static final float LEAST_SUM = 0x1p-14f;

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

        int id() {
            return id;
        }
    }

    /**
     * Chooses the experts of one token: those with the highest scores, of equals the first. A logit that is NaN or
     * infinite makes all weights NaN, so that the result is.
     *
     * @param logits of the router, from {@code at} on
     * @param bias added to scores where experts are chosen, and not in their weights; empty for none
     * @param ids receives the chosen, from {@code to} on, in the order of their numbers
     * @param weights receives theirs
     */
    void choose(float[] logits, int at, float[] bias, int[] ids, float[] weights, int to) {
        double[] scores = scores(logits, at);
        boolean[] taken = new boolean[experts];
        for (int n = 0; n < used; n++) {
            int best = -1;
            double highest = 0;
            for (int e = 0; e < experts; e++) {
                double score = scores[e] + (bias.length == 0 ? 0 : bias[e]);
                score = Double.isNaN(score) ? Double.NEGATIVE_INFINITY : score;
                if (!taken[e] && (best < 0 || score > highest)) {
                    best = e;
                    highest = score;
                }
            }
            taken[best] = true;
        }
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
