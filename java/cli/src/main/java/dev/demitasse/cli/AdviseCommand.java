package dev.demitasse.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.demitasse.ModelShape;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quantize.advise.Advice;
import dev.demitasse.quantize.advise.Advisor;
import dev.demitasse.quantize.advise.Cell;
import dev.demitasse.quantize.advise.DeviceProfile;
import dev.demitasse.quantize.advise.Published;
import dev.demitasse.quantize.advise.Verification;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code demitasse advise}. */
@Command(
        name = "advise",
        description = "Says when quantization pays: measures this device (or takes a published one), and predicts what"
                + " a model does with each choice of weights and cache.")
final class AdviseCommand implements Callable<Integer> {
    private static final double GIGA = 1e9;
    private static final double MEBI = 1 << 20;
    private static final double GIBI = 1 << 30;

    @Mixin
    ModelSelection selection = new ModelSelection();

    @Parameters(
            paramLabel = "MODEL",
            arity = "0..1",
            description = "A GGUF file, a cached name, or a well-known model that need not be here (an unknown name"
                    + " lists them); the same as -m.")
    @Nullable
    String positional;

    @Option(
            names = "--device-profile",
            paramLabel = "NAME",
            description = "A card that is not here, by its data sheet (an unknown name lists them).")
    @Nullable
    String profile;

    @Option(
            names = "--memory",
            paramLabel = "GIB",
            description = "Memory for weights and caches in GiB, in place of what is free or the card's.")
    @Nullable
    Double memory;

    @Option(
            names = "--verify",
            description =
                    "Run what is predicted, as far as this machine can, and print both; takes ten minutes or more,"
                            + " room for the model three times in 16 bits, and for 100,000 positions of cache.")
    boolean verify;

    @Mixin
    ReportOption report = new ReportOption();

    @Option(
            names = "--json",
            description =
                    "One JSON object for the device and the advice (in \"breakEvens\" 0 rows are never), then one for"
                            + " each prediction.")
    boolean json;

    @Override
    public Integer call() {
        String wanted = positional;
        selection.model = wanted == null ? selection.model : wanted;
        report.require();
        ModelShape known = Files.isRegularFile(Path.of(selection.model)) ? null : Published.model(selection.model);
        if (verify) {
            if (known != null || profile != null || memory != null) {
                throw new UsageException("Only a model and a device that are here can be verified; give a file, and no"
                        + " --device-profile or --memory.");
            }
            verify(path());
            return 0;
        }
        if (known != null) {
            print(new Advisor(known, null));
        } else {
            try (Gguf file = Gguf.open(path())) {
                print(new Advisor(ModelShape.of(file), file));
            }
        }
        return 0;
    }

    private Path path() {
        try {
            return selection.path();
        } catch (UsageException e) {
            throw new UsageException(
                    e.getMessage() + " Well-known models need no file: " + String.join(", ", Published.models()) + ".");
        }
    }

    private void print(Advisor advisor) {
        DeviceProfile found = profile == null
                ? advisor.measure(selection.backend, selection.options().device())
                : Published.device(profile);
        DeviceProfile device = memory == null ? found : found.withMemory((long) (memory * GIBI));
        Advice advice = advisor.advise(device);
        report.write(() -> AdviceReport.page(advice, description(device)));
        if (json) {
            System.out.println(json(advice));
            advice.cells().forEach(cell -> System.out.println(json(advice, cell)));
            return;
        }
        advice.sentences().forEach(System.out::println);
        System.out.println();
        System.out.println(description(device));
        System.out.printf(
                Locale.ROOT,
                "%s: %.2f billion weights, of which a token is multiplied by %.2f, %d layers, %.1f KiB of F16 cache a"
                        + " position%s%n%n",
                Console.harmless(advice.shape().name()),
                advisor.plans().getFirst().weights() / GIGA,
                advisor.plans().getFirst().multipliedWeights() / GIGA,
                advice.shape().layers(),
                advice.shape().cacheBytes(KvType.F16, KvShape.PAGE) / (double) KvShape.PAGE / 1024,
                states(advice.shape()));
        speeds(advice, Cell.Phase.DECODE, "decode, tokens/s of all sessions (sessions @ tokens before; F16 cache)");
        speeds(advice, Cell.Phase.PREFILL, "prefill, tokens/s (tokens of the prompt; F16 cache)");
        storage(advice);
    }

    private static String states(ModelShape shape) {
        ModelShape.States states = shape.states();
        return states == null
                ? ""
                : String.format(Locale.ROOT, ", and %.1f MiB of states a session", states.sessionBytes() / MEBI);
    }

    private static String description(DeviceProfile device) {
        return String.format(
                Locale.ROOT,
                "%s (%s): reads %.1f GB/s; G operations/s: FP32 %,.0f, FP16 %,.0f, INT8 %,.0f; %.1f µs an operation at"
                        + " least; %.1f GiB free",
                device.name(),
                device.source(),
                device.readBandwidth() / GIGA,
                device.peaks().fp32() / GIGA,
                device.peaks().fp16() / GIGA,
                device.peaks().int8() / GIGA,
                device.launchSeconds() * 1e6,
                device.memoryBytes() / GIBI);
    }

    /** A table of speeds with an F16 cache: a line for the weights, a column for what runs. */
    private static void speeds(Advice advice, Cell.Phase phase, String title) {
        List<Cell> cells = advice.cells().stream()
                .filter(cell -> cell.phase() == phase && cell.cache() == KvType.F16)
                .toList();
        System.out.println(title);
        String first = cells.getFirst().weights();
        System.out.printf("%-8s", "");
        for (Cell cell : cells) {
            if (cell.weights().equals(first)) {
                System.out.printf(
                        "%11s", phase == Cell.Phase.DECODE ? cell.sessions() + "@" + cell.tokens() : cell.tokens());
            }
        }
        for (Cell cell : cells) {
            if (cell.tokens() == cells.getFirst().tokens() && cell.sessions() == 1) {
                System.out.printf("%n%-8s", cell.weights());
            }
            System.out.printf(Locale.ROOT, "%,11.0f", cell.tokensPerSecond());
        }
        System.out.printf("%n%n");
    }

    private static void storage(Advice advice) {
        System.out.printf(
                "memory, and sessions of %,d positions that fit, by the cache's type%n",
                advice.storage().getFirst().context());
        for (Advice.Storage storage : advice.storage()) {
            String sessions = storage.sessions().entrySet().stream()
                    .map(entry -> String.format(Locale.ROOT, "%s %,d", entry.getKey(), entry.getValue()))
                    .collect(Collectors.joining(", "));
            System.out.printf(
                    Locale.ROOT, "%-8s %,9.0f MiB    %s%n", storage.weights(), storage.bytes() / MEBI, sessions);
        }
    }

    private static String json(Advice advice) {
        DeviceProfile device = advice.device();
        return JsonLine.of(out -> {
            begin(out, advice);
            out.writeNumberField("bytesPerSecond", device.readBandwidth());
            out.writeNumberField("fp32PerSecond", device.peaks().fp32());
            out.writeNumberField("fp16PerSecond", device.peaks().fp16());
            out.writeNumberField("int8PerSecond", device.peaks().int8());
            out.writeNumberField("launchMicroseconds", device.launchSeconds() * 1e6);
            out.writeNumberField("memoryBytes", device.memoryBytes());
            out.writeArrayFieldStart("advice");
            for (String sentence : advice.sentences()) {
                out.writeString(sentence);
            }
            out.writeEndArray();
            out.writeArrayFieldStart("breakEvens");
            for (Advice.BreakEven each : advice.breakEvens()) {
                out.writeStartObject();
                out.writeStringField("weights", each.weights());
                out.writeStringField("over", each.over());
                out.writeNumberField("rows", each.rows());
                out.writeEndObject();
            }
            out.writeEndArray();
        });
    }

    private static void begin(JsonGenerator out, Advice advice) throws IOException {
        out.writeStringField("model", advice.shape().name());
        out.writeStringField("device", advice.device().name());
        out.writeStringField("source", advice.device().source());
    }

    private static String json(Advice advice, Cell cell) {
        Advice.Storage storage = advice.storage().stream()
                .filter(each -> each.weights().equals(cell.weights()))
                .findFirst()
                .orElseThrow();
        return JsonLine.of(out -> {
            begin(out, advice);
            fields(out, cell);
            out.writeNumberField("weightBytes", storage.bytes());
            out.writeNumberField("sessionContext", storage.context());
            out.writeNumberField("sessionsThatFit", storage.sessions().getOrDefault(cell.cache(), 0L));
        });
    }

    private static void fields(JsonGenerator out, Cell cell) throws IOException {
        out.writeStringField("weights", cell.weights());
        out.writeStringField("cache", cell.cache().name());
        out.writeStringField("phase", cell.phase().name().toLowerCase(Locale.ROOT));
        out.writeNumberField("sessions", cell.sessions());
        out.writeNumberField("tokens", cell.tokens());
        out.writeNumberField("tokensPerSecond", cell.tokensPerSecond());
        out.writeNumberField("milliseconds", cell.time().seconds() * 1e3);
        out.writeStringField("bound", cell.time().bound().name().toLowerCase(Locale.ROOT));
    }

    private void verify(Path path) {
        Verification.Result result =
                Verification.run(path, selection.backend, selection.options().device(), this::print);
        String sentence = String.format(
                Locale.ROOT,
                "%d cells: half of the predictions are off by %.0f %% at most, the worst by %.0f %%; the quickest"
                        + " weights were chosen in %d of %d comparisons.",
                result.cells().size(),
                100 * result.medianError(),
                100 * result.worstError(),
                result.rightChoices(),
                result.choices());
        if (json) {
            System.out.println(JsonLine.of(out -> {
                out.writeNumberField("cells", result.cells().size());
                out.writeNumberField("medianError", result.medianError());
                out.writeNumberField("worstError", result.worstError());
                out.writeNumberField("choices", result.choices());
                out.writeNumberField("rightChoices", result.rightChoices());
            }));
        } else {
            System.out.printf("%n%s%n", sentence);
        }
        report.write(() -> AdviceReport.page(result, selection.model, sentence));
    }

    private void print(Verification.Checked checked) {
        Cell cell = checked.cell();
        if (json) {
            System.out.println(JsonLine.of(out -> {
                fields(out, cell);
                out.writeNumberField("measuredMilliseconds", checked.seconds() * 1e3);
                out.writeNumberField("error", checked.error());
            }));
            return;
        }
        System.out.printf(
                Locale.ROOT,
                "%-7s %-5s %-8s %2d × %4d   predicted %8.2f ms, measured %8.2f ms, %+4.0f %%%n",
                cell.weights(),
                cell.cache(),
                cell.phase().name().toLowerCase(Locale.ROOT),
                cell.sessions(),
                cell.tokens(),
                cell.time().seconds() * 1e3,
                checked.seconds() * 1e3,
                100 * checked.error());
    }
}
