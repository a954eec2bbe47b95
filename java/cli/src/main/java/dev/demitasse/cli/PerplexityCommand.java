package dev.demitasse.cli;

import dev.demitasse.Model;
import dev.demitasse.quantize.Estimate;
import dev.demitasse.quantize.Perplexity;
import java.nio.file.Path;
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

    @Override
    public Integer call() {
        int window = selection.window();
        selection.context = window;
        String text = TextFile.read(file);
        try (Model model = selection.load()) {
            Perplexity result = Perplexity.measure(model, text, window);
            Estimate perplexity = result.value();
            if (json) {
                System.out.println(JsonLine.of(out -> {
                    out.writeNumberField("perplexity", perplexity.mean());
                    out.writeNumberField("perplexityError", perplexity.standardError());
                    out.writeNumberField("tokens", result.tokens());
                    out.writeNumberField("ctx", window);
                }));
            } else {
                System.out.printf(
                        Locale.ROOT,
                        "perplexity %.4f ± %.4f over %d tokens, window %d%n",
                        perplexity.mean(),
                        perplexity.standardError(),
                        result.tokens(),
                        window);
            }
        }
        return 0;
    }
}
