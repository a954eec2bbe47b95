package dev.demitasse.cli;

import dev.demitasse.Model;
import dev.demitasse.exception.UsageException;
import dev.demitasse.sampling.Logprobs;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code demitasse perplexity}: in windows of {@code --ctx}, the second half of each scored, as llama-perplexity does.
 */
@Command(name = "perplexity", description = "Measures how well a model predicts a text.")
final class PerplexityCommand implements Callable<Integer> {
    private static final int DEFAULT_WINDOW = 512;
    private static final int LEAST_WINDOW = 4;

    @Mixin
    ModelSelection selection = new ModelSelection();

    @Option(
            names = {"-f", "--file"},
            required = true,
            paramLabel = "FILE",
            description = "The text.")
    Path file = Path.of("");

    @Option(names = "--json", description = "One JSON object.")
    boolean json;

    /** A perplexity and over how many tokens. */
    record Result(double perplexity, int tokens) {}

    @Override
    public Integer call() {
        int window = selection.context == 0 ? DEFAULT_WINDOW : selection.context;
        if (window < LEAST_WINDOW) {
            throw new UsageException(
                    "A window of " + window + " tokens has none to score; give --ctx at least " + LEAST_WINDOW + ".");
        }
        selection.context = window;
        String text = TextFile.read(file);
        try (Model model = selection.load()) {
            Result result = measure(model, text, window);
            if (json) {
                System.out.println(JsonLine.of(out -> {
                    out.writeNumberField("perplexity", result.perplexity);
                    out.writeNumberField("tokens", result.tokens);
                    out.writeNumberField("ctx", window);
                }));
            } else {
                System.out.printf(
                        Locale.ROOT,
                        "perplexity %.4f over %d tokens, window %d%n",
                        result.perplexity,
                        result.tokens,
                        window);
            }
        }
        return 0;
    }

    static Result measure(Model model, String text, int window) {
        int[] tokens = model.tokenizer().encodePrompt(text, false);
        int bos =
                tokens.length > 0 && tokens[0] == model.tokenizer().vocabulary().bos() ? tokens[0] : -1;
        int windows = tokens.length / window;
        if (windows == 0) {
            throw new UsageException(
                    "The text has " + tokens.length + " tokens, fewer than one window of " + window + ".");
        }
        double[] sum = new double[1];
        int[] scored = new int[1];
        for (int w = 0; w < windows; w++) {
            int[] part = Arrays.copyOfRange(tokens, w * window, (w + 1) * window);
            part[0] = bos >= 0 ? bos : part[0];
            model.evaluate(Arrays.copyOf(part, window - 1), window / 2, (position, logits) -> {
                sum[0] += Logprobs.logSumExp(logits) - logits[part[position + 1]];
                scored[0]++;
            });
        }
        return new Result(Math.exp(sum[0] / scored[0]), scored[0]);
    }
}
