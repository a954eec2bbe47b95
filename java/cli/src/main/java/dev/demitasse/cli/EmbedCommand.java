package dev.demitasse.cli;

import dev.demitasse.EmbeddingModel;
import dev.demitasse.EmbeddingOptions;
import dev.demitasse.ModelOptions;
import dev.demitasse.Reranker;
import dev.demitasse.embedding.Pooling;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code demitasse embed}. */
@Command(
        name = "embed",
        description = "Prints the embeddings of texts, or how well they answer a query.",
        footer = {
            "",
            "Each text is a line of numbers. With --query a line is a score and a text, the best first: of an embedding"
                    + " model the cosine of the angle between query and text, of a reranker its score. Where no text is"
                    + " given, each line of standard input is one."
        })
final class EmbedCommand implements Callable<Integer> {
    private static final int TIMED_RUNS = 3;

    @Mixin
    ModelSelection selection = new ModelSelection();

    @Option(names = "--query", paramLabel = "TEXT", description = "Rank the texts by how well they answer it.")
    @Nullable
    String query;

    @Option(
            names = "--pooling",
            paramLabel = "WHAT",
            description = "What of a text's rows is its embedding: mean, cls, last (default: what the file says).")
    @Nullable
    Pooling pooling;

    @Option(names = "--not-normalized", description = "Embeddings as the model gives them; else their length is 1.")
    boolean notNormalized;

    @Option(names = "--truncate", description = "Leave out what a text has beyond --ctx; else it is refused.")
    boolean truncate;

    @Option(
            names = {"-f", "--file"},
            paramLabel = "FILE",
            description = "Each line that is not blank is a text.")
    @Nullable
    Path file;

    @Option(names = "--time", description = "Say how fast it was, once it had run before, on standard error.")
    boolean time;

    @Option(names = "--json", description = "One JSON object a text.")
    boolean json;

    @Parameters(paramLabel = "TEXT", arity = "0..*", description = "The texts.")
    List<String> texts = new ArrayList<>();

    @Override
    public Integer call() {
        if (time && query != null) {
            throw new UsageException("--time is about vectors; leave --query away.");
        }
        List<String> all = texts();
        ModelOptions options = selection.options();
        EmbeddingOptions embedding = EmbeddingOptions.DEFAULT
                .withBackend(options.backend())
                .withDevice(options.device())
                .withMaximumTokens(options.contextLength())
                .withKvType(options.kvType())
                .withKvRotation(options.kvRotation())
                .withPooling(pooling)
                .withNormalized(!notNormalized)
                .withTruncates(truncate);
        try (Gguf model = Gguf.open(selection.path())) {
            if (query == null) {
                embeddings(model, embedding, all);
            } else {
                ranks(all, scores(model, embedding, query, all));
            }
        }
        return 0;
    }

    private List<String> texts() {
        List<String> all = new ArrayList<>(texts);
        if (file != null) {
            TextFile.read(file).lines().filter(line -> !line.isBlank()).forEach(all::add);
        }
        StandardInput input = all.isEmpty() ? StandardInput.piped() : null;
        if (input != null) {
            input.text().lines().filter(line -> !line.isBlank()).forEach(all::add);
        }
        if (all.isEmpty()) {
            throw new UsageException("There is no text; name some, or a file of them with -f.");
        }
        return all;
    }

    private void embeddings(Gguf file, EmbeddingOptions options, List<String> all) {
        float[][] vectors;
        try (EmbeddingModel model = EmbeddingModel.load(file, options)) {
            vectors = model.embed(all);
            if (time) {
                System.err.println(speed(model, all));
            }
        }
        for (int i = 0; i < vectors.length; i++) {
            float[] vector = vectors[i];
            int index = i;
            System.out.println(
                    json
                            ? JsonLine.of(out -> {
                                out.writeNumberField("index", index);
                                out.writeArrayFieldStart("embedding");
                                for (float value : vector) {
                                    out.writeNumber(value);
                                }
                                out.writeEndArray();
                            })
                            : line(vector));
        }
    }

    /** The best of some runs: the first ones also compile what they run. */
    private static String speed(EmbeddingModel model, List<String> all) {
        long best = Long.MAX_VALUE;
        for (int i = 0; i < TIMED_RUNS; i++) {
            long begin = System.nanoTime();
            model.embed(all);
            best = Math.min(best, System.nanoTime() - begin);
        }
        return String.format(Locale.ROOT, "%d texts: %.1f texts/s", all.size(), all.size() / (best / 1e9));
    }

    private static String line(float[] vector) {
        StringBuilder line = new StringBuilder();
        for (float value : vector) {
            line.append(line.isEmpty() ? "" : " ").append(value);
        }
        return line.toString();
    }

    private static double[] scores(Gguf file, EmbeddingOptions options, String query, List<String> all) {
        Pooling pooling = Objects.requireNonNullElse(options.pooling(), EmbeddingModel.pooling(file));
        if (pooling == Pooling.RANK) {
            try (Reranker model = Reranker.load(file, options)) {
                float[] scores = model.score(query, all);
                return IntStream.range(0, scores.length)
                        .mapToDouble(i -> scores[i])
                        .toArray();
            }
        }
        try (EmbeddingModel model = EmbeddingModel.load(file, options)) {
            float[] wanted = model.embed(query);
            float[][] vectors = model.embed(all);
            return IntStream.range(0, vectors.length)
                    .mapToDouble(i -> EmbeddingModel.cosine(wanted, vectors[i]))
                    .toArray();
        }
    }

    private void ranks(List<String> all, double[] scores) {
        IntStream.range(0, scores.length)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> -scores[i]))
                .forEach(i -> System.out.println(
                        json
                                ? JsonLine.of(out -> {
                                    out.writeNumberField("index", i);
                                    out.writeNumberField("score", scores[i]);
                                    out.writeStringField("text", all.get(i));
                                })
                                : String.format(Locale.ROOT, "%8.4f  %s", scores[i], Console.harmless(all.get(i)))));
    }
}
