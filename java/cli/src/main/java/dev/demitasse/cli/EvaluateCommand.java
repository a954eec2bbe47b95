package dev.demitasse.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.demitasse.Model;
import dev.demitasse.device.ActivationType;
import dev.demitasse.kv.KvRotation;
import dev.demitasse.kv.KvType;
import dev.demitasse.quantize.Estimate;
import dev.demitasse.quantize.Evaluation;
import dev.demitasse.quantize.Needle;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code demitasse evaluate}. */
@Command(
        name = "evaluate",
        description = "Measures how far a model is from a base model on a text: perplexities and divergence. The same"
                + " file with two types of cache measures the cache.")
final class EvaluateCommand implements Callable<Integer> {
    private static final int STRETCHES = 16;
    private static final double[] DEPTHS = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1};

    @Mixin
    ModelSelection selection = new ModelSelection();

    @Parameters(paramLabel = "MODEL", arity = "0..1", description = "The model; the same as -m.")
    @Nullable
    String positional;

    @Option(names = "--base", required = true, paramLabel = "BASE", description = "The model to compare with.")
    String base = "";

    @Option(
            names = "--base-kv-type",
            paramLabel = "TYPE",
            description = "How the base's cache stores numbers (default: ${DEFAULT-VALUE}).")
    KvType baseKvType = KvType.F16;

    @Option(
            names = "--base-kv-rotation",
            paramLabel = "WHEN",
            description = "Whether the base's cache is rotated (default: ${DEFAULT-VALUE}).")
    KvRotation baseKvRotation = KvRotation.AUTO;

    @Option(
            names = "--activations",
            paramLabel = "TYPE",
            description = "How integer weights meet activations: f32 measures the weights alone, int8 what the device"
                    + " rounds too (default: the device's own way).")
    @Nullable
    ActivationType activations;

    @Option(
            names = {"-f", "--file"},
            required = true,
            paramLabel = "FILE",
            description = "The text.")
    Path file = Path.of("");

    @Option(
            names = "--curve",
            description = "Score every position of a window, not its second half, and print the divergence along it.")
    boolean curve;

    @Option(
            names = "--needle",
            description = "Look for a needle in a window of the text too: a sentence with a number, at several depths.")
    boolean needle;

    @Mixin
    ReportOption report = new ReportOption();

    @Option(names = "--json", description = "One JSON object.")
    boolean json;

    @Override
    public Integer call() {
        String wanted = positional;
        selection.model = wanted == null ? selection.model : wanted;
        report.require();
        int window = selection.window();
        selection.context = window;
        selection.activations = activations;
        String text = TextFile.read(file);
        ModelSelection other = selection.forModel(base);
        other.kvType = baseKvType;
        other.kvRotation = baseKvRotation;
        try (Model model = selection.load();
                Model baseModel = other.load()) {
            List<Needle.Found> found = needle ? Needle.search(model, text, window, DEPTHS) : List.of();
            List<Needle.Found> baseFound = needle ? Needle.search(baseModel, text, window, DEPTHS) : List.of();
            Evaluation.Result result = Evaluation.compare(
                    model, baseModel, text, window, curve ? 0 : window / 2, STRETCHES, Console::showWindows);
            report.write(() -> EvaluationReport.page(
                    result,
                    selection.model + " (" + selection.cache() + ")",
                    base + " (" + other.cache() + ")",
                    window));
            if (json) {
                System.out.println(json(result, List.of(selection.cache(), other.cache()), window, found, baseFound));
            } else {
                print(result, window);
                print(found, baseFound);
            }
        }
        return 0;
    }

    private void print(Evaluation.Result result, int window) {
        line("perplexity", result.perplexity());
        line("base perplexity", result.basePerplexity());
        line("ln(perplexity / base)", result.logRatio());
        line("mean KL divergence", result.meanKld());
        System.out.printf(Locale.ROOT, "%-24s %.6f%n", "median", result.medianKld());
        System.out.printf(Locale.ROOT, "%-24s %.6f%n", "99 %", result.kld99());
        System.out.printf(Locale.ROOT, "%-24s %.6f%n", "largest", result.maxKld());
        line("same top token", result.sameTop());
        System.out.printf("%-24s %d, windows of %d%n", "tokens", result.tokens(), window);
        if (curve) {
            System.out.printf("%n%-24s mean KL divergence%n", "positions");
            for (Evaluation.Stretch stretch : result.curve()) {
                line(stretch.first() + " … " + stretch.last(), stretch.meanKld());
            }
        }
    }

    private static void print(List<Needle.Found> found, List<Needle.Found> baseFound) {
        for (int i = 0; i < found.size(); i++) {
            System.out.printf(
                    Locale.ROOT,
                    "needle at %3.0f %%          %s, probability %.4f (base: %s, %.4f)%n",
                    100 * found.get(i).depth(),
                    found.get(i).found() ? "found" : "lost",
                    found.get(i).probability(),
                    baseFound.get(i).found() ? "found" : "lost",
                    baseFound.get(i).probability());
        }
    }

    private static void line(String name, Estimate estimate) {
        System.out.printf(Locale.ROOT, "%-24s %.6f ± %.6f%n", name, estimate.mean(), estimate.standardError());
    }

    private static void write(JsonGenerator out, String name, Estimate estimate) throws IOException {
        out.writeNumberField(name, estimate.mean());
        out.writeNumberField(name + "Error", estimate.standardError());
    }

    private static String json(
            Evaluation.Result result,
            List<String> caches,
            int window,
            List<Needle.Found> found,
            List<Needle.Found> baseFound) {
        return JsonLine.of(out -> {
            out.writeStringField("cache", caches.getFirst());
            out.writeStringField("baseCache", caches.getLast());
            write(out, "perplexity", result.perplexity());
            write(out, "basePerplexity", result.basePerplexity());
            write(out, "logRatio", result.logRatio());
            write(out, "meanKld", result.meanKld());
            out.writeNumberField("medianKld", result.medianKld());
            out.writeNumberField("kld99", result.kld99());
            out.writeNumberField("maxKld", result.maxKld());
            write(out, "sameTop", result.sameTop());
            out.writeNumberField("tokens", result.tokens());
            out.writeNumberField("ctx", window);
            out.writeArrayFieldStart("curve");
            for (Evaluation.Stretch stretch : result.curve()) {
                out.writeStartObject();
                out.writeNumberField("first", stretch.first());
                out.writeNumberField("last", stretch.last());
                write(out, "meanKld", stretch.meanKld());
                out.writeEndObject();
            }
            out.writeEndArray();
            out.writeArrayFieldStart("needle");
            for (int i = 0; i < found.size(); i++) {
                out.writeStartObject();
                out.writeNumberField("depth", found.get(i).depth());
                out.writeBooleanField("found", found.get(i).found());
                out.writeNumberField("probability", found.get(i).probability());
                out.writeBooleanField("baseFound", baseFound.get(i).found());
                out.writeNumberField("baseProbability", baseFound.get(i).probability());
                out.writeEndObject();
            }
            out.writeEndArray();
        });
    }
}
