package dev.demitasse.quantize;

import dev.demitasse.Model;
import dev.demitasse.exception.UsageException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A text cut into windows of as many tokens, each begun with the token that begins texts, as llama-perplexity does. */
final class Windows {
    private static final int LEAST = 4;

    private Windows() {}

    /**
     * The windows that the text fills; a rest is left out.
     *
     * @throws UsageException where it fills none, or a window is too short for its second half to predict anything
     */
    static List<int[]> of(Model model, String text, int window) {
        if (window < LEAST) {
            throw new UsageException(
                    "A window of " + window + " tokens has none to score; give --ctx at least " + LEAST + ".");
        }
        int[] tokens = model.tokenizer().encodePrompt(text, false);
        boolean begins =
                tokens.length > 0 && tokens[0] == model.tokenizer().vocabulary().bos();
        if (tokens.length < window) {
            throw new UsageException(
                    "The text has " + tokens.length + " tokens, fewer than one window of " + window + ".");
        }
        List<int[]> windows = new ArrayList<>();
        for (int w = 0; w < tokens.length / window; w++) {
            int[] part = Arrays.copyOfRange(tokens, w * window, (w + 1) * window);
            part[0] = begins ? tokens[0] : part[0];
            windows.add(part);
        }
        return windows;
    }
}
