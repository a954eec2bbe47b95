package dev.demitasse.quantize;

import dev.demitasse.Model;
import dev.demitasse.Scoring;
import dev.demitasse.exception.UsageException;
import dev.demitasse.sampling.Logprobs;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A needle in a haystack: one sentence with a number that can be known from nowhere else, in a text that fills a
 * window, and the sentence's beginning again at the end. What a cache's rounding does to a single position far back
 * shows in whether the number still comes, and how probable it is.
 */
public final class Needle {
    private static final String QUESTION = "\nThe number that opens the door of the roastery is";
    private static final String ANSWER = " 4 8 2 1 7";
    private static final String NEEDLE = QUESTION + ANSWER + ".\n";

    /**
     * What became of the needle.
     *
     * @param depth where it lay: 0 at the beginning of the window, 1 just before the question
     * @param found whether each token of the number was the likeliest
     * @param probability of the number: the product of its tokens'
     */
    public record Found(double depth, boolean found, double probability) {}

    private Needle() {}

    /**
     * Looks for the needle at each depth.
     *
     * @param model the model, with the cache that is in question
     * @param haystack a text of at least a window
     * @param window tokens, question and answer included; at most the model's context
     * @param depths where the needle lies, each from 0 to 1, as in {@link Found}
     * @return what became of the needle at each of {@code depths}, in their order
     * @throws UsageException where the text is too short
     */
    public static List<Found> search(Model model, String haystack, int window, double... depths) {
        int[] needle = model.tokenizer().encode(NEEDLE, false);
        int[] question = model.tokenizer().encode(QUESTION, false);
        int[] both = model.tokenizer().encode(QUESTION + ANSWER, false); // as they stand in the needle
        int common = Arrays.mismatch(question, both);
        int[] answer = Arrays.copyOfRange(both, common < 0 ? both.length : common, both.length);
        int[] hay = model.tokenizer().encodePrompt(haystack, false);
        int room = window - needle.length - both.length;
        if (room < 1 || hay.length < room) {
            throw new UsageException(
                    "A needle in a window of " + window + " tokens needs a text of " + Math.max(1, room)
                            + " tokens, and room for " + (window - room) + "; the text has " + hay.length + ".");
        }
        List<Found> found = new ArrayList<>();
        for (double depth : depths) {
            int at = Math.max(1, (int) Math.round(room * depth)); // behind the token that begins texts
            int[] tokens = concatenate(Arrays.copyOf(hay, at), needle, Arrays.copyOfRange(hay, at, room), both);
            found.add(ask(model, tokens, answer.length, depth));
        }
        return found;
    }

    private static Found ask(Model model, int[] tokens, int answer, double depth) {
        int first = tokens.length - answer - 1; // its logits predict the answer's first token
        double[] logarithm = new double[1];
        boolean[] likeliest = {true};
        try (Scoring scoring = model.newScoring()) {
            scoring.append(Arrays.copyOf(tokens, tokens.length - 1), first, (position, logits) -> {
                int next = tokens[position + 1];
                logarithm[0] += logits[next] - Logprobs.logSumExp(logits);
                for (float logit : logits) {
                    likeliest[0] &= logit <= logits[next];
                }
            });
        }
        return new Found(depth, likeliest[0], Math.exp(logarithm[0]));
    }

    private static int[] concatenate(int[]... parts) {
        int[] all = new int[Arrays.stream(parts).mapToInt(part -> part.length).sum()];
        int at = 0;
        for (int[] part : parts) {
            System.arraycopy(part, 0, all, at, part.length);
            at += part.length;
        }
        return all;
    }
}
