package dev.demitasse;

import dev.demitasse.sampling.SamplingOptions;
import java.util.List;

/**
 * What to generate.
 *
 * @param maximumTokens how many tokens at most
 * @param sampling how tokens are chosen
 * @param stop texts that end the generation; they are not part of the result
 * @param logprobs how many most likely tokens to report for each step; 0 for none
 * @param ignoreEnd whether to go on past the model's end token
 */
public record GenerationOptions(
        int maximumTokens, SamplingOptions sampling, List<String> stop, int logprobs, boolean ignoreEnd) {
    /** Up to the end of the context, sampled with {@link SamplingOptions#DEFAULT}. */
    public static final GenerationOptions DEFAULT =
            new GenerationOptions(Integer.MAX_VALUE, SamplingOptions.DEFAULT, List.of(), 0, false);
    /** The same, always the most likely token. */
    public static final GenerationOptions GREEDY = DEFAULT.withSampling(SamplingOptions.GREEDY);

    /** Checks the values. */
    public GenerationOptions {
        if (maximumTokens < 0 || logprobs < 0) {
            throw new UsageException("A number of tokens cannot be negative.");
        }
        if (stop.stream().anyMatch(String::isEmpty)) {
            throw new UsageException("A stop text cannot be empty.");
        }
        stop = List.copyOf(stop);
    }

    /** The same with another number of tokens. */
    public GenerationOptions withMaximumTokens(int count) {
        return new GenerationOptions(count, sampling, stop, logprobs, ignoreEnd);
    }

    /** The same with other sampling. */
    public GenerationOptions withSampling(SamplingOptions options) {
        return new GenerationOptions(maximumTokens, options, stop, logprobs, ignoreEnd);
    }

    /** The same with other stop texts. */
    public GenerationOptions withStop(String... texts) {
        return new GenerationOptions(maximumTokens, sampling, List.of(texts), logprobs, ignoreEnd);
    }

    /** The same with the most likely tokens reported. */
    public GenerationOptions withLogprobs(int count) {
        return new GenerationOptions(maximumTokens, sampling, stop, count, ignoreEnd);
    }

    /** The same, going on past the end token or not. */
    public GenerationOptions withIgnoreEnd(boolean ignore) {
        return new GenerationOptions(maximumTokens, sampling, stop, logprobs, ignore);
    }
}
