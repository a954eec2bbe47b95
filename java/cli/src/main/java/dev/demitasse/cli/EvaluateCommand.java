package dev.demitasse.cli;

import dev.demitasse.Model;
import dev.demitasse.device.ActivationType;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.kv.KvRotation;
import dev.demitasse.kv.KvType;
import dev.demitasse.quantize.Estimate;
import dev.demitasse.quantize.Evaluation;
import dev.demitasse.quantize.Needle;
import java.nio.file.Path;
import java.util.ArrayList;
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
        description = "Measures how far models are from a base model on a text: perplexities and divergence. The same"
                + " file with other types of cache measures the cache.")
final class EvaluateCommand implements Callable<Integer> {
    private static final int STRETCHES = 16;
    private static final double[] DEPTHS = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1};

    @Mixin
    ModelSelection selection = new ModelSelection();

    @Parameters(paramLabel = "MODEL", arity = "0..*", description = "The models, one after the other; the same as -m.")
    List<String> models = List.of();

    @Option(
            names = "--kv-types",
            paramLabel = "TYPE",
            split = ",",
            description = "Several types of cache, one after the other, in place of --kv-type.")
    List<KvType> kvTypes = List.of();

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

    @Option(names = "--json", description = "One JSON object for each model and cache.")
    boolean json;

    @Override
    public Integer call() {
        report.require();
        int window = selection.window();
        selection.context = window;
        selection.activations = activations;
        selection.batchInvariant = true; // a window run at once shows what decoding token by token would
        String text = TextFile.read(file);
        ModelSelection ofBase = selection.forModel(base);
        ofBase.kvType = baseKvType;
        ofBase.kvRotation = baseKvRotation;
        List<ModelSelection> wanted = wanted();
        wanted.forEach(ModelSelection::path); // all are there, before the first is run
        List<Evaluated> all = new ArrayList<>();
        try (Model baseModel = ofBase.load()) {
            Evaluated.Base compared = new Evaluated.Base(base, ofBase.cache(), needles(baseModel, text, window));
            try {
                for (ModelSelection each : wanted) {
                    Evaluated evaluated = evaluated(each, baseModel, text, window);
                    all.add(evaluated);
                    show(evaluated, compared, window, wanted.size() > 1);
                }
            } finally {
                if (!all.isEmpty()) { // what was found before one failed, too
                    report.write(() -> EvaluationReport.page(all, compared, window));
                }
            }
        }
        return 0;
    }

    /** Every model with every type of cache. */
    private List<ModelSelection> wanted() {
        List<ModelSelection> wanted = new ArrayList<>();
        for (String name : models.isEmpty() ? List.of(selection.model) : models) {
            for (KvType type : kvTypes.isEmpty() ? List.of(selection.kvType) : kvTypes) {
                ModelSelection each = selection.forModel(name);
                each.kvType = type;
                each.kvRotation = selection.kvRotation;
                wanted.add(each);
            }
        }
        return wanted;
    }

    private Evaluated evaluated(ModelSelection selected, Model baseModel, String text, int window) {
        try (Model model = selected.load()) {
            List<Needle.Found> found = needles(model, text, window);
            Evaluation.Result result = Evaluation.compare(
                    model, baseModel, text, window, curve ? 0 : window / 2, STRETCHES, Console::showWindows);
            return new Evaluated(selected.model, bitsPerWeight(selected.path()), selected.cache(), result, found);
        }
    }

    private List<Needle.Found> needles(Model model, String text, int window) {
        return needle ? Needle.search(model, text, window, DEPTHS) : List.of();
    }

    private static double bitsPerWeight(Path path) {
        try (Gguf file = Gguf.open(path)) {
            long bytes =
                    file.tensors().stream().mapToLong(t -> t.data().byteSize()).sum();
            long elements =
                    file.tensors().stream().mapToLong(GgufTensor::elements).sum();
            return 8.0 * bytes / elements;
        }
    }

    private void show(Evaluated evaluated, Evaluated.Base compared, int window, boolean named) {
        if (json) {
            System.out.println(evaluated.json(compared, window));
            return;
        }
        if (named) {
            System.out.println(Console.harmless(evaluated.name()));
        }
        print(evaluated.result(), window);
        print(evaluated.needles(), compared.needles());
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
}
