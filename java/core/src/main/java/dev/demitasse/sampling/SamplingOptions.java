package dev.demitasse.sampling;

import dev.demitasse.exception.UsageException;

/**
 * How the next token is chosen. The steps run in this order: repetition, frequency and presence penalties over the last
 * {@code penaltyWindow} tokens; top-k; top-p; min-p; temperature; a draw. A temperature of 0 takes the most likely
 * token after the penalties.
 *
 * @param temperature divides the logits; 0 for greedy
 * @param topK keeps the k most likely tokens; 0 for all
 * @param topP keeps the most likely tokens whose probabilities reach p; 1 for all
 * @param minP keeps tokens with at least p times the probability of the most likely one; 0 for all
 * @param repeatPenalty divides positive logits of tokens in the window, multiplies negative ones; 1 for none
 * @param frequencyPenalty is subtracted once for each time a token is in the window; 0 for none
 * @param presencePenalty is subtracted once if a token is in the window; 0 for none
 * @param penaltyWindow tokens that the penalties look back
 * @param seed of the draws: the same seed, prompt and options give the same tokens; {@link #RANDOM_SEED} for another
 *     one each time
 */
public record SamplingOptions(
        float temperature,
        int topK,
        float topP,
        float minP,
        float repeatPenalty,
        float frequencyPenalty,
        float presencePenalty,
        int penaltyWindow,
        long seed) {
    /** Another seed for each answer. */
    public static final long RANDOM_SEED = Long.MIN_VALUE;

    /** Temperature 0.7, top-k 40, top-p 0.95, min-p 0.05, no penalties, a random seed. */
    public static final SamplingOptions DEFAULT = new SamplingOptions(0.7f, 40, 0.95f, 0.05f, 1, 0, 0, 64, RANDOM_SEED);
    /** Always the most likely token. */
    public static final SamplingOptions GREEDY = new SamplingOptions(0, 0, 1, 0, 1, 0, 0, 64, 0);

    /** Checks the ranges. */
    public SamplingOptions {
        require(temperature >= 0 && Float.isFinite(temperature), "temperature", temperature, "0 or more");
        require(topK >= 0, "top-k", topK, "0 or more");
        require(topP > 0 && topP <= 1, "top-p", topP, "above 0 and at most 1");
        require(minP >= 0 && minP <= 1, "min-p", minP, "0 to 1");
        require(repeatPenalty > 0 && Float.isFinite(repeatPenalty), "repeat penalty", repeatPenalty, "above 0");
        require(Float.isFinite(frequencyPenalty), "frequency penalty", frequencyPenalty, "finite");
        require(Float.isFinite(presencePenalty), "presence penalty", presencePenalty, "finite");
        require(penaltyWindow >= 0, "penalty window", penaltyWindow, "0 or more");
    }

    private static void require(boolean valid, String name, Number value, String range) {
        if (!valid) {
            throw new UsageException("The " + name + " is " + value + "; it must be " + range + ".");
        }
    }

    /**
     * {@return the same with another temperature}
     *
     * @param value divides the logits; 0 for greedy
     */
    public SamplingOptions withTemperature(float value) {
        return new SamplingOptions(
                value, topK, topP, minP, repeatPenalty, frequencyPenalty, presencePenalty, penaltyWindow, seed);
    }

    /**
     * {@return the same with another seed}
     *
     * @param value seed of the draws; {@link #RANDOM_SEED} for another one each time
     */
    public SamplingOptions withSeed(long value) {
        return new SamplingOptions(
                temperature, topK, topP, minP, repeatPenalty, frequencyPenalty, presencePenalty, penaltyWindow, value);
    }

    /** Whether penalties change anything. */
    boolean penalizes() {
        return penaltyWindow > 0 && (repeatPenalty != 1 || frequencyPenalty != 0 || presencePenalty != 0);
    }
}
