package dev.demitasse.cli;

import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.Session;
import dev.demitasse.exception.UsageException;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code demitasse bench}: prefill and decode speed, as llama-bench measures them. */
@Command(name = "bench", description = "Measures prefill (ppN) and decode (tgN) speed, at a depth of the context.")
final class BenchCommand implements Callable<Integer> {
    @Mixin
    ModelSelection selection = new ModelSelection();

    @Option(
            names = {"-p", "--prompt"},
            paramLabel = "N",
            description = "Tokens of the prompt; 0 skips it (default: ${DEFAULT-VALUE}).")
    int prompt = 512;

    @Option(
            names = {"-n", "--count"},
            paramLabel = "N",
            description = "Tokens to generate; 0 skips it (default: ${DEFAULT-VALUE}).")
    int count = 128;

    @Option(
            names = {"-d", "--depth"},
            paramLabel = "N",
            description = "Tokens that are in the context before (default: ${DEFAULT-VALUE}).")
    int depth;

    @Option(
            names = {"-r", "--runs"},
            paramLabel = "N",
            description = "Timed runs, after one that is not (default: ${DEFAULT-VALUE}).")
    int runs = 5;

    @Option(names = "--json", description = "One JSON object for each figure.")
    boolean json;

    @Override
    public Integer call() {
        if (runs < 1 || depth < 0 || prompt < 0 || count < 0) {
            throw new UsageException("Give at least one run (-r), and no negative number of tokens (-p, -n, -d).");
        }
        if (selection.context == 0) {
            long wanted = (long) depth + Math.max(prompt, count) + 64;
            selection.context = (int) Math.min(wanted, Integer.MAX_VALUE);
        }
        try (Model model = selection.load()) {
            Random random = new Random(1);
            if (prompt > 0) {
                report(model, "pp" + prompt, measure(model, random, true));
            }
            if (count > 0) {
                report(model, "tg" + count, measure(model, random, false));
            }
        }
        return 0;
    }

    private double[] measure(Model model, Random random, boolean prefill) {
        double[] speeds = new double[runs];
        for (int run = -1; run < runs; run++) {
            try (Session session = model.newSession()) {
                int[] before = tokens(model, random, depth);
                if (depth > 0) {
                    session.generate(before, options(1), text -> {});
                }
                int[] all = Arrays.copyOf(before, depth + (prefill ? prompt : 1));
                System.arraycopy(tokens(model, random, all.length - depth), 0, all, depth, all.length - depth);
                Generation generation = session.generate(all, options(prefill ? 1 : count + 1), text -> {});
                if (run >= 0) {
                    speeds[run] = prefill
                            ? prompt / (generation.promptTime().toNanos() * 1e-9)
                            : generation.decodeTokensPerSecond();
                }
            }
        }
        Arrays.sort(speeds);
        return speeds;
    }

    /** No drafts: a greedy answer to random tokens soon repeats itself, and drafts of it are right. */
    static GenerationOptions options(int tokens) {
        return GenerationOptions.GREEDY
                .withMaximumTokens(tokens)
                .withIgnoreEnd(true)
                .withDrafts(0);
    }

    private static int[] tokens(Model model, Random random, int count) {
        return random.ints(count, 0, model.vocabularySize()).toArray();
    }

    private void report(Model model, String test, double[] speeds) {
        String name = depth == 0 ? test : test + "@d" + depth;
        double median = speeds[speeds.length / 2];
        if (json) {
            System.out.println(JsonLine.of(out -> {
                out.writeStringField("test", name);
                out.writeStringField("backend", model.backend());
                out.writeNumberField("threads", model.deviceThreads());
                out.writeNumberField("tokensPerSecond", median);
                out.writeNumberField("min", speeds[0]);
                out.writeNumberField("max", speeds[speeds.length - 1]);
                out.writeNumberField("runs", runs);
                out.writeStringField("model", selection.model);
                out.writeNumberField("weightBytes", model.weightBytes());
                out.writeStringField("device", model.deviceDescription());
                out.writeStringField("jdk", Runtime.version().toString());
            }));
            return;
        }
        String bandwidth = test.startsWith("tg")
                ? String.format(Locale.ROOT, ", %.1f GB/s of weights", median * model.weightBytesPerToken() / 1e9)
                : "";
        System.out.printf(
                Locale.ROOT,
                "%-12s %8.1f tokens/s (%.1f … %.1f, %d runs%s), %s, %s%n",
                name,
                median,
                speeds[0],
                speeds[speeds.length - 1],
                runs,
                bandwidth,
                model.backend(),
                model.deviceDescription());
    }
}
