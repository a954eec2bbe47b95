package dev.demitasse.quantize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Scoring;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.kv.KvType;
import dev.demitasse.sampling.Logprobs;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvaluationTest {
    private static final String TEXT = "Quantization trades bytes for errors, and 12 errors for speed. ".repeat(30);

    private static final ModelOptions OPTIONS = ModelOptions.DEFAULT
            .withBackend("reference")
            .withContextLength(48)
            .withSequences(2)
            .withKvType(KvType.F32);

    @TempDir
    Path folder = Path.of("");

    private static Evaluation.Result compare(Model model, Model base, int stretches) {
        return Evaluation.compare(model, base, TEXT, 48, 24, stretches, (done, total) -> {});
    }

    @Test
    void aModelDoesNotDivergeFromItself() {
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS);
                Model same = Model.load(Golden.tiny("llama"), OPTIONS)) {
            Evaluation.Result result = compare(model, same, 4);
            assertThat(result.meanKld().mean()).isZero();
            assertThat(result.maxKld()).isZero();
            assertThat(result.sameTop().mean()).isOne();
            assertThat(result.logRatio().mean()).isZero();
            assertThat(result.perplexity()).isEqualTo(result.basePerplexity());
            assertThat(result.curve()).hasSize(4);
            assertThat(result.tokens() % 23).isZero();
        }
    }

    @Test
    void fewerBitsDivergeMore() {
        Path eight = folder.resolve("8.gguf");
        Path four = folder.resolve("4.gguf");
        Quantizer.quantize(Golden.tiny("llama"), eight, QuantizeOptions.of(WeightMix.Q8_0));
        Quantizer.quantize(Golden.tiny("llama"), four, QuantizeOptions.of(WeightMix.Q4_0));
        try (Model base = Model.load(Golden.tiny("llama"), OPTIONS);
                Model model8 = Model.load(eight, OPTIONS);
                Model model4 = Model.load(four, OPTIONS)) {
            Evaluation.Result at8 = compare(model8, base, 1);
            Evaluation.Result at4 = compare(model4, base, 1);
            assertThat(at8.meanKld().mean()).isPositive();
            assertThat(at4.meanKld().mean()).isGreaterThan(3 * at8.meanKld().mean());
            assertThat(at4.medianKld()).isLessThanOrEqualTo(at4.kld99());
            assertThat(at4.kld99()).isLessThanOrEqualTo(at4.maxKld());
            assertThat(at4.curve().getFirst().meanKld()).isEqualTo(at4.meanKld());
        }
    }

    /** The definitions, written out for every position. */
    @Test
    void figuresAreWhatTheirDefinitionsSay() {
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS.withKvType(KvType.INT8));
                Model base = Model.load(Golden.tiny("llama"), OPTIONS)) {
            Evaluation.Result result = compare(model, base, 1);
            double loss = 0;
            double kld = 0;
            int count = 0;
            for (int[] window : Windows.of(model, TEXT, 48)) {
                List<float[]> p = logits(model, window, 48);
                List<float[]> q = logits(base, window, 48);
                for (int i = 24; i < 47; i++) {
                    loss -= p.get(i)[window[i + 1]] - Logprobs.logSumExp(p.get(i));
                    kld += divergence(q.get(i), p.get(i));
                    count++;
                }
            }
            assertThat(result.tokens()).isEqualTo(count);
            assertThat(result.perplexity().mean()).isCloseTo(Math.exp(loss / count), within(1e-6));
            assertThat(result.meanKld().mean()).isCloseTo(kld / count, within(1e-9));
            assertThat(result.meanKld().mean()).isPositive();
            assertThat(Perplexity.measure(model, TEXT, 48)).isEqualTo(new Perplexity(result.perplexity(), count));
        }
    }

    private static double divergence(float[] base, float[] model) {
        double sum = 0;
        for (int i = 0; i < base.length; i++) {
            double b = base[i] - Logprobs.logSumExp(base);
            sum += Math.exp(b) * (b - model[i] + Logprobs.logSumExp(model));
        }
        return sum;
    }

    /** Of 1, 2, 3, 4 the variance is 5/3; a function's error is its derivative's multiple. */
    @Test
    void standardErrorsAreWhatTheirDefinitionsSay() {
        Estimate estimate = Estimate.of(new double[] {1, 2, 3, 4});
        assertThat(estimate.mean()).isEqualTo(2.5);
        assertThat(estimate.standardError()).isCloseTo(Math.sqrt(5.0 / 3 / 4), Offset.offset(1e-12));
        assertThat(estimate.exponential().mean()).isEqualTo(Math.exp(2.5));
        assertThat(estimate.exponential().standardError())
                .isCloseTo(Math.exp(2.5) * estimate.standardError(), Offset.offset(1e-12));
        assertThat(Estimate.of(new double[] {7}).standardError()).isNaN();
    }

    /** What lets a window that is run at once stand for decoding token by token, a rounded cache included. */
    @Test
    void piecesOfAnyLengthGiveTheSameLogits() {
        int[] tokens = new int[40];
        Arrays.setAll(tokens, i -> 3 + i * 7 % 50);
        for (KvType type : KvType.values()) {
            try (Model model = Model.load(Golden.tiny("llama"), OPTIONS.withKvType(type))) {
                List<float[]> whole = logits(model, tokens, 40);
                for (int piece : new int[] {1, 7, 39}) {
                    List<float[]> pieces = logits(model, tokens, piece);
                    for (int i = 0; i < tokens.length; i++) {
                        assertThat(pieces.get(i))
                                .as("%s, pieces of %d, position %d", type, piece, i)
                                .isEqualTo(whole.get(i));
                    }
                }
            }
        }
    }

    private static List<float[]> logits(Model model, int[] tokens, int piece) {
        List<float[]> logits = new ArrayList<>();
        try (Scoring scoring = model.newScoring()) {
            for (int at = 0; at < tokens.length; at += piece) {
                int[] part = Arrays.copyOfRange(tokens, at, Math.min(tokens.length, at + piece));
                scoring.append(part, 0, (position, values) -> {
                    assertThat(position).isEqualTo(logits.size());
                    logits.add(values.clone());
                });
            }
        }
        return logits;
    }

    @Test
    void theNeedlesProbabilityIsThatOfItsTokens() {
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS.withContextLength(256))) {
            List<Needle.Found> found = Needle.search(model, TEXT, 256, 0, 0.5, 1);
            assertThat(found).extracting(Needle.Found::depth).containsExactly(0.0, 0.5, 1.0);
            assertThat(found).allSatisfy(f -> assertThat(f.probability()).isBetween(0.0, 1.0));
            assertThat(found).noneMatch(Needle.Found::found); // random weights know nothing
            assertThat(Needle.search(model, TEXT, 256, 0.5).getFirst()).isEqualTo(found.get(1));
            assertThatThrownBy(() -> Needle.search(model, TEXT, 20, 0.5)).isInstanceOf(UsageException.class);
            assertThatThrownBy(() -> Needle.search(model, "short", 256, 0.5))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("the text has");
        }
    }

    @Test
    void otherVocabulariesAndTextsThatAreTooShortAreRefused() throws IOException {
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS);
                Model other = Model.load(withTokensSwapped(), OPTIONS)) {
            assertThatThrownBy(() -> compare(model, other, 1))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("vocabulary");
            assertThatThrownBy(() -> Evaluation.compare(model, model, "short", 48, 24, 1, (done, total) -> {}))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("fewer than one window");
            assertThatThrownBy(() -> Perplexity.measure(model, TEXT, 3))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("none to score");
            assertThatThrownBy(() -> Evaluation.compare(model, model, TEXT, 48, 47, 1, (done, total) -> {}))
                    .isInstanceOf(UsageException.class);
        }
    }

    /** The same model, whose tokens of two letters have changed places. */
    private Path withTokensSwapped() throws IOException {
        Path path = folder.resolve("swapped.gguf");
        try (Gguf file = Gguf.open(Golden.tiny("llama"))) {
            String[] tokens = Objects.requireNonNull(file.metadata().strings("tokenizer.ggml.tokens"))
                    .clone();
            List<String> list = Arrays.asList(tokens);
            Collections.swap(list, list.indexOf("a"), list.indexOf("z"));
            GgufWriter.copyOf(file)
                    .metadata("tokenizer.ggml.tokens", MetadataValue.array(MetadataType.STRING, tokens))
                    .write(path);
        }
        return path;
    }
}
