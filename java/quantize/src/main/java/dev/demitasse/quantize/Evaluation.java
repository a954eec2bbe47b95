package dev.demitasse.quantize;

import dev.demitasse.Model;
import dev.demitasse.Scoring;
import dev.demitasse.exception.UsageException;
import dev.demitasse.sampling.Logprobs;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * How far a model is from a base model on a text, in llama-perplexity's terms: perplexities, and the Kullback-Leibler
 * divergence of the predicted distributions, {@code KL = sum(p_base (ln p_base - ln p))} in nats, at each position.
 *
 * <pre>{@code
 * ModelOptions options = ModelOptions.DEFAULT.withContextLength(512);
 * try (Model base = Model.load(Path.of("model-f16.gguf"), options);
 *         Model model = Model.load(Path.of("model-q4_k_m.gguf"), options.withKvType(KvType.INT8))) {
 *     String text = Files.readString(Path.of("text.txt"));
 *     Evaluation.Result result = Evaluation.compare(model, base, text, 512, 256, 1, (done, windows) -> {});
 *     System.out.println(result.meanKld().mean() + " ± " + result.meanKld().standardError());
 * }
 * }</pre>
 *
 * <p>Source: Kullback and Leibler, "On Information and Sufficiency", 1951; the figures are llama-perplexity's.
 *
 * <p>Both models run the text in the same windows. A position's numbers do not depend on how many tokens are run at
 * once (that is promised of CPU devices, and of GPUs opened batch-invariant), so that running a window piece by piece
 * measures what decoding token by token would, the cache's rounding included.
 */
public final class Evaluation {
    /** Logits that are held of each model at once. */
    private static final int HELD_LOGITS = 1 << 25;

    private static final int MOST_ROWS = 512;

    /**
     * The divergence over a range of positions.
     *
     * @param first position of the range in a window
     * @param last position, inclusive
     * @param meanKld mean divergence there
     */
    public record Stretch(int first, int last, Estimate meanKld) {}

    /**
     * What was measured.
     *
     * @param tokens positions that were scored
     * @param perplexity of the model
     * @param basePerplexity of the base
     * @param logRatio of the perplexities, {@code ln(perplexity / basePerplexity)}; its error is less than theirs,
     *     since both models saw the same text
     * @param meanKld mean divergence
     * @param medianKld its median
     * @param kld99 what 99 % of positions are below
     * @param maxKld its largest
     * @param sameTop share of positions at which both models find the same token likeliest
     * @param curve the divergence along a window
     */
    public record Result(
            int tokens,
            Estimate perplexity,
            Estimate basePerplexity,
            Estimate logRatio,
            Estimate meanKld,
            double medianKld,
            double kld99,
            double maxKld,
            Estimate sameTop,
            List<Stretch> curve) {}

    /** One position: negative log-likelihoods of the token that follows, the divergence, and whether tops agree. */
    private record Score(int position, double loss, double baseLoss, double kld, boolean sameTop) {}

    private final Model model;
    private final Model base;
    private final int window;
    private final int from;
    private final List<Score> scores = new ArrayList<>();

    private Evaluation(Model model, Model base, int window, int from) {
        this.model = model;
        this.base = base;
        this.window = window;
        this.from = from;
    }

    /**
     * Compares two models of one vocabulary.
     *
     * @param model the model that is measured
     * @param base the model that it is compared with
     * @param text at least one window; what fills no window is left out
     * @param window tokens of a window, at most both contexts' lengths
     * @param from the first position of a window that is scored; llama-perplexity takes half the window
     * @param stretches ranges of positions of the curve
     * @param progress hears how many windows are done
     * @return what was measured over all windows
     * @throws UsageException where the vocabularies differ, or the text fills no window
     */
    public static Result compare(
            Model model, Model base, String text, int window, int from, int stretches, WindowListener progress) {
        if (from < 0 || from >= window - 1 || stretches < 1) {
            throw new UsageException("A window of " + window + " tokens has none to score from position " + from + ".");
        }
        List<int[]> windows = Windows.of(model, text, window);
        if (model.vocabularySize() != base.vocabularySize()
                || !Arrays.equals(
                        windows.getLast(), Windows.of(base, text, window).getLast())) {
            throw new UsageException(
                    "The two models cut the text into different tokens; a divergence needs one vocabulary.");
        }
        Evaluation evaluation = new Evaluation(model, base, window, from);
        for (int w = 0; w < windows.size(); w++) {
            evaluation.run(windows.get(w));
            progress.ran(w + 1, windows.size());
        }
        return evaluation.result(stretches);
    }

    private void run(int[] tokens) {
        int rows = Math.max(1, Math.min(MOST_ROWS, HELD_LOGITS / model.vocabularySize()));
        try (Scoring scored = model.newScoring();
                Scoring scoredBase = base.newScoring()) {
            for (int at = 0; at < window - 1; at += rows) {
                int[] piece = Arrays.copyOfRange(tokens, at, Math.min(window - 1, at + rows));
                int first = Math.max(0, from - at);
                float[] @Nullable [] expected = logits(scoredBase, piece, first);
                float[] @Nullable [] actual = logits(scored, piece, first);
                int begin = at;
                scores.addAll(IntStream.range(Math.min(first, piece.length), piece.length)
                        .parallel()
                        .mapToObj(i -> score(begin + i, actual[i], expected[i], tokens[begin + i + 1]))
                        .toList());
            }
        }
    }

    private static float[][] logits(Scoring scoring, int[] piece, int first) {
        float[][] logits = new float[piece.length][];
        int begin = scoring.length();
        scoring.append(piece, first, (position, values) -> logits[position - begin] = values.clone());
        return logits;
    }

    private static Score score(int position, float[] logits, float[] expected, int next) {
        double normalizer = Logprobs.logSumExp(logits);
        double baseNormalizer = Logprobs.logSumExp(expected);
        double kld = 0;
        int top = 0;
        int baseTop = 0;
        for (int i = 0; i < logits.length; i++) {
            double logBase = expected[i] - baseNormalizer;
            double probability = Math.exp(logBase);
            if (probability > 0) { // else a logit may be -infinity
                kld += probability * (logBase - (logits[i] - normalizer));
            }
            top = logits[i] > logits[top] ? i : top;
            baseTop = expected[i] > expected[baseTop] ? i : baseTop;
        }
        return new Score(
                position, normalizer - logits[next], baseNormalizer - expected[next], Math.max(0, kld), top == baseTop);
    }

    private Result result(int stretches) {
        double[] klds = scores.stream().mapToDouble(Score::kld).sorted().toArray();
        Estimate loss = Estimate.of(scores.stream().mapToDouble(Score::loss).toArray());
        Estimate baseLoss =
                Estimate.of(scores.stream().mapToDouble(Score::baseLoss).toArray());
        return new Result(
                scores.size(),
                loss.exponential(),
                baseLoss.exponential(),
                Estimate.of(
                        scores.stream().mapToDouble(s -> s.loss - s.baseLoss).toArray()),
                Estimate.of(klds),
                quantile(klds, 0.5),
                quantile(klds, 0.99),
                klds[klds.length - 1],
                Estimate.of(scores.stream().mapToDouble(s -> s.sameTop ? 1 : 0).toArray()),
                curve(stretches));
    }

    private List<Stretch> curve(int stretches) {
        List<Stretch> curve = new ArrayList<>();
        int positions = window - 1 - from;
        for (int i = 0; i < stretches; i++) {
            int first = from + (int) ((long) positions * i / stretches);
            int end = from + (int) ((long) positions * (i + 1) / stretches);
            double[] klds = scores.stream()
                    .filter(s -> s.position >= first && s.position < end)
                    .mapToDouble(Score::kld)
                    .toArray();
            if (klds.length > 0) {
                curve.add(new Stretch(first, end - 1, Estimate.of(klds)));
            }
        }
        return curve;
    }

    /** Of sorted values, between neighbors in proportion. */
    private static double quantile(double[] sorted, double share) {
        double at = share * (sorted.length - 1);
        int below = (int) at;
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    }
}
