package dev.demitasse.cli;

import dev.demitasse.ModelOptions;
import dev.demitasse.exception.UsageException;
import dev.demitasse.fetch.Catalogue;
import dev.demitasse.quantize.Calibration;
import dev.demitasse.quantize.ImportanceMatrix;
import dev.demitasse.quantize.OutputPath;
import dev.demitasse.quantize.QuantizeException;
import dev.demitasse.quantize.QuantizeOptions;
import dev.demitasse.quantize.Quantizer;
import dev.demitasse.quantize.Smoothing;
import dev.demitasse.quantize.TensorSummary;
import dev.demitasse.quantize.WeightMix;
import dev.demitasse.safetensors.Safetensors;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code demitasse quantize}. */
@Command(
        name = "quantize",
        description = "Writes a model again with other tensor types. A run that was killed is gone on with by the same"
                + " command.")
final class QuantizeCommand implements Callable<Integer> {
    private static final int CALIBRATION_WINDOW = 512;
    /** A name beside those of the mixes. */
    private static final String INT4 = "int4";

    private static final String ROW = "%-36s %-6s -> %-6s %14s %9s %9s%n";

    @Parameters(
            index = "0",
            paramLabel = "IN",
            description = "A GGUF file, a cached name, or the folder of a Hugging Face checkpoint.")
    String in = "";

    @Parameters(index = "1", paramLabel = "OUT", description = "The GGUF file to write.")
    Path out = Path.of("");

    @Option(
            names = "--weights",
            required = true,
            paramLabel = "TYPE",
            description =
                    "F16 BF16 F32, W8A8, Q8_0 Q6_K Q5_0 Q5_1 Q5_K_S Q5_K_M Q4_0 Q4_1 Q4_K_S Q4_K_M IQ4_NL IQ4_XS MXFP4"
                            + " Q3_K_S Q3_K_M Q3_K_L Q2_K Q2_K_S; Q4_K is Q4_K_M; int4 is Q4_0 with -f and an"
                            + " importance matrix of that text.")
    String weights = "";

    @Option(
            names = "--imatrix",
            paramLabel = "FILE",
            description = "An importance matrix: of `demitasse imatrix`, or llama-imatrix.")
    @Nullable
    Path imatrix;

    @Option(
            names = {"-f", "--file"},
            paramLabel = "TEXT",
            description =
                    "A text by which channels are scaled so that less is lost: for w8a8 by SmoothQuant, else by AWQ.")
    @Nullable
    Path text;

    @Option(names = "--pure", description = "Every matrix in the base type, instead of a mix.")
    boolean pure;

    @Option(names = "--requantize", description = "Allow to quantize what is quantized already; errors add up.")
    boolean requantize;

    @Option(names = "--overwrite", description = "Replace OUT where it exists.")
    boolean overwrite;

    @Option(names = "--dry-run", description = "Print what would be written.")
    boolean dryRun;

    @Option(
            names = {"-t", "--threads"},
            paramLabel = "N",
            description = "Threads (default: all processors).")
    int threads = Runtime.getRuntime().availableProcessors();

    @Mixin
    ReportOption report = new ReportOption();

    @Option(names = "--json", description = "One JSON object a tensor, and one of the whole.")
    boolean json;

    private @Nullable String calibration; // the text, where it is run
    private @Nullable ImportanceMatrix given;

    @Override
    public Integer call() {
        report.require();
        boolean int4 = weights.equalsIgnoreCase(INT4);
        if (int4 && text == null) {
            throw new UsageException("int4 is Q4_0 whose channels are scaled, and whose errors are weighed, by what a"
                    + " text shows: give one (-f TEXT), or take q4_0.");
        }
        WeightMix mix = int4 ? WeightMix.Q4_0 : WeightMix.named(weights);
        Path named = Path.of(in);
        Path model = Files.isDirectory(named) ? named : PullCommand.cache().resolve(in, Catalogue.load());
        if (!dryRun) { // what is wrong is told before a search of minutes
            OutputPath.require(out, overwrite);
            calibration = text == null ? null : TextFile.read(text);
        }
        given = imatrix == null ? null : ImportanceMatrix.read(imatrix);
        if (text != null && !dryRun && (Files.isDirectory(model) || Safetensors.isNamed(model))) {
            quantizeCheckpoint(model, mix, int4);
        } else {
            quantize(model, mix, int4);
        }
        return 0;
    }

    /**
     * A text is run through the model, which a checkpoint is as a GGUF file: one of 16 bits, beside OUT meanwhile. A
     * run that is killed, or that has no room, leaves it to the next one.
     */
    private void quantizeCheckpoint(Path checkpoint, WeightMix mix, boolean int4) {
        String identity;
        try (Quantizer quantizer =
                new Quantizer(checkpoint, new QuantizeOptions(mix, pure, requantize, null, null, threads, overwrite))) {
            identity = quantizer.inputIdentity();
        }
        try (CheckpointFolder folder = CheckpointFolder.open(out, identity)) {
            Path whole = folder.model();
            try {
                if (Files.exists(whole)) {
                    System.err.println("The checkpoint in 16 bits is there from an earlier run: " + whole + ".");
                } else {
                    System.err.println("Writing the checkpoint in 16 bits to " + whole + " for as long as this runs.");
                    QuantizeOptions half = new QuantizeOptions(WeightMix.F16, false, true, null, null, threads, false);
                    Quantizer.quantize(checkpoint, whole, half);
                }
                quantize(whole, mix, int4);
            } catch (QuantizeException e) {
                folder.keep();
                throw e;
            }
        }
    }

    private void quantize(Path model, WeightMix mix, boolean int4) {
        if (calibration != null) {
            Smoothing.requireSupported(model);
        }
        ImportanceMatrix importance = importance(model, int4);
        QuantizeOptions options =
                new QuantizeOptions(mix, pure, requantize, importance, smoothing(mix, model), threads, overwrite);
        try (Quantizer quantizer = new Quantizer(model, options)) {
            List<TensorSummary> tensors;
            if (dryRun) {
                tensors = quantizer.plan();
            } else {
                Progress progress = new Progress(System.err, "quantizing", Console.interactive());
                tensors = quantizer.write(out, new Quantizer.Listener() {
                    @Override
                    public void wrote(TensorSummary tensor, long elements, long total) {
                        progress.show(elements * Float.BYTES, total * Float.BYTES);
                    }

                    @Override
                    public void goesOn(int count) {
                        System.err.println(count + " tensors are there from an earlier run.");
                    }
                });
            }
            print(tensors);
            List<TensorSummary> written = tensors;
            report.write(() -> QuantizationReport.page(written, in));
        }
    }

    /** The matrix that was given, or that of the text where that is wanted. */
    private @Nullable ImportanceMatrix importance(Path model, boolean ofText) {
        if (given != null || !ofText || calibration == null || text == null) {
            return given;
        }
        return Calibration.collect(
                model,
                ModelOptions.DEFAULT.withContextLength(CALIBRATION_WINDOW),
                calibration,
                String.valueOf(text.getFileName()),
                CALIBRATION_WINDOW,
                Console::showWindows);
    }

    private @Nullable Smoothing smoothing(WeightMix mix, Path model) {
        if (calibration == null) {
            return null; // sizes do not depend on it
        }
        Smoothing smoothing = Smoothing.search(
                model, mix, ModelOptions.DEFAULT, calibration, CALIBRATION_WINDOW, Console::showWindows);
        if (!json) {
            smoothing.choices().forEach(QuantizeCommand::print);
        }
        return smoothing;
    }

    private static void print(Smoothing.Choice choice) {
        System.out.printf(
                Locale.ROOT,
                "%-36s strength %.1f%s, error %.4f -> %.4f%n",
                Console.harmless(choice.product()),
                choice.strength(),
                choice.rotated() ? ", rotated" : "",
                choice.before(),
                choice.after());
    }

    private void print(List<TensorSummary> tensors) {
        long bytes = tensors.stream().mapToLong(TensorSummary::bytes).sum();
        long elements = tensors.stream().mapToLong(TensorSummary::elements).sum();
        if (json) {
            tensors.forEach(tensor -> System.out.println(line(tensor)));
            System.out.println(JsonLine.of(out -> {
                out.writeNumberField("tensors", tensors.size());
                out.writeNumberField("bytes", bytes);
                out.writeNumberField("bitsPerWeight", 8.0 * bytes / elements);
            }));
            return;
        }
        System.out.printf(ROW, "tensor", "from", "to", "bytes", "error", "outlier");
        for (TensorSummary t : tensors) {
            System.out.printf(
                    ROW,
                    Console.harmless(t.name()),
                    t.from(),
                    t.to(),
                    String.format(Locale.ROOT, "%,d", t.bytes()),
                    number("%.2e", t.relativeError()),
                    number("%.1f", t.outlierRatio()));
        }
        System.out.printf(
                Locale.ROOT,
                "%d tensors, %,d bytes, %.2f bits per weight%n",
                tensors.size(),
                bytes,
                8.0 * bytes / elements);
    }

    private static String number(String format, double value) {
        return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, format, value);
    }

    private static String line(TensorSummary tensor) {
        return JsonLine.of(out -> {
            out.writeStringField("tensor", tensor.name());
            out.writeStringField("from", tensor.from().name());
            out.writeStringField("to", tensor.to().name());
            out.writeNumberField("bytes", tensor.bytes());
            if (!Double.isNaN(tensor.relativeError())) {
                out.writeNumberField("relativeError", tensor.relativeError());
                out.writeNumberField("outlierRatio", tensor.outlierRatio());
            }
        });
    }
}
