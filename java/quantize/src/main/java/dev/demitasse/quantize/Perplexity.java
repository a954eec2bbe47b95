package dev.demitasse.quantize;

import dev.demitasse.Model;
import dev.demitasse.exception.UsageException;
import dev.demitasse.sampling.Logprobs;
import java.util.Arrays;
import java.util.stream.DoubleStream;

/**
 * How well a model predicts a text: the exponential of the mean negative log-likelihood of the second half of each
 * window, as llama-perplexity measures it.
 *
 * @param value the perplexity
 * @param tokens that were scored
 */
public record Perplexity(Estimate value, int tokens) {
    /**
     * Measures.
     *
     * @param model the model
     * @param text at least one window; what fills no window is left out
     * @param window tokens of a window, at most the model's context
     * @return the perplexity over all windows
     * @throws UsageException where the text fills no window, or a window has no token to score
     */
    public static Perplexity measure(Model model, String text, int window) {
        DoubleStream.Builder losses = DoubleStream.builder();
        for (int[] tokens : Windows.of(model, text, window)) {
            int[] seen = Arrays.copyOf(tokens, window - 1);
            model.evaluate(
                    seen,
                    window / 2,
                    (position, logits) -> losses.add(Logprobs.logSumExp(logits) - logits[tokens[position + 1]]));
        }
        double[] all = losses.build().toArray();
        return new Perplexity(Estimate.of(all).exponential(), all.length);
    }
}
