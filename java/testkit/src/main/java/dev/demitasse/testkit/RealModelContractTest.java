package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.kv.KvType;
import dev.demitasse.sampling.Logprobs;
import dev.demitasse.sampling.Sampler;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What every fast device must hold for the real models. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class RealModelContractTest {
    /** Below this difference of log-probability, two tokens may change places (llama.cpp rounds activations too). */
    private static final double TIE = 0.05;

    private static final int WINDOW = 512; // tokens of which the second half counts, as llama-perplexity has them

    /** Windows of the text that every device computes. */
    private static final int WINDOWS = 3;

    /**
     * Perplexity of the first {@link #WINDOWS} windows, as {@code native} gives it with AVX2, whose perplexity of all
     * of them is that of llama-perplexity within 0.5 % (NativeRealModelTest). Sums in other orders round some
     * activations to other bytes: over so few tokens instruction sets are up to 0.6 % apart.
     */
    private static final Map<String, Double> FIRST_WINDOWS =
            Map.of("SmolLM2-135M-Instruct.Q4_1", 12.6614, "gemma-3-270m-q4_k_m", 8.8623);

    private final String backend;
    private final Map<String, Double> exactPerplexity = new HashMap<>();

    /** For one backend. */
    protected RealModelContractTest(String backend) {
        this.backend = backend;
    }

    /** The models, without the ending of their files. */
    protected List<String> models() {
        return List.of("SmolLM2-135M-Instruct.Q4_1", "gemma-3-270m-q4_k_m");
    }

    /** Those of them whose perplexity is compared; fewer where that takes minutes. */
    protected List<String> perplexityModels() {
        return models();
    }

    private Model load(String model, int context) {
        return load(model, context, KvType.F16);
    }

    private Model load(String model, int context, KvType type) {
        return Model.load(
                Golden.model(model + ".gguf"),
                ModelOptions.DEFAULT
                        .withBackend(backend)
                        .withKvType(type)
                        .withContextLength(context)
                        .withSequences(1));
    }

    /** How far a model's log-probabilities are from the golden ones, over all steps of all prompts. */
    private static final class Deviation {
        private double sum;
        private double largest;
        private int count;
        private int otherFirst;

        void add(JsonNode top, float[] logits) {
            double normalizer = Logprobs.logSumExp(logits);
            for (int i = 0; i < 3; i++) {
                double logprob = logits[top.get(i).get("id").asInt()] - normalizer;
                double difference = Math.abs(logprob - top.get(i).get("logprob").asDouble());
                sum += difference;
                largest = Math.max(largest, difference);
                count++;
            }
            double gap = top.get(0).get("logprob").asDouble()
                    - top.get(1).get("logprob").asDouble();
            if (gap >= TIE && Sampler.argmax(logits) != top.get(0).get("id").asInt()) {
                otherFirst++;
            }
        }
    }

    /**
     * Given the golden prefix, the likely tokens of each step are the golden ones, as far as the golden implementation
     * agrees with itself: rounding activations to 8 bits magnifies last-bit differences of sums. llama.cpp, run with
     * AVX2 on these prompts, is 0.076 (SmolLM2) and 0.087 (Gemma) from its own answers with AVX-512 on average, 0.73 at
     * most, and has another first token in 5 of 256 steps, although the two best are not within 0.05. The devices here
     * are 1.0 and 1.12 away at most; the largest is one token of 768, and moves with the order of any sum.
     */
    @ParameterizedTest
    @MethodSource("models")
    public void greedyStepsMatchTheGoldenAnswers(String name) {
        Deviation deviation = new Deviation();
        try (Model model = load(name, 512)) {
            for (JsonNode row : Golden.lines("models/" + name + ".greedy.jsonl")) {
                int[] prompt = model.tokenizer().encodePrompt(row.get("text").asText(), true);
                int[] expected = Golden.ints(row.get("tokens_out"));
                assertThat(prompt).hasSize(row.get("promptTokens").asInt());
                int[] all = Arrays.copyOf(prompt, prompt.length + expected.length - 1);
                System.arraycopy(expected, 0, all, prompt.length, expected.length - 1);
                var steps = ModelContractTest.stepsOf(row, expected);
                model.evaluate(all, prompt.length - 1, (position, logits) -> {
                    JsonNode top = steps.get(position - prompt.length + 1);
                    if (!top.isMissingNode()) {
                        deviation.add(top, logits);
                    }
                });
            }
        }
        assertThat(deviation.count).isGreaterThan(700);
        assertThat(deviation.sum / deviation.count).as("mean deviation").isLessThan(0.11);
        assertThat(deviation.largest).as("largest deviation").isLessThan(1.5);
        assertThat(deviation.otherFirst).as("other first tokens").isLessThanOrEqualTo(8);
    }

    /** Perplexity of the first windows within 1 % of what it is known to be. */
    @ParameterizedTest
    @MethodSource("perplexityModels")
    public void perplexityIsThatOfOtherDevices(String name) throws IOException {
        String text = Files.readString(Golden.shared("models/perplexity.txt"));
        double expected = FIRST_WINDOWS.getOrDefault(name, Double.NaN);
        try (Model model = load(name, WINDOW)) {
            assertThat(perplexity(model, text, WINDOWS)).isBetween(expected * 0.99, expected * 1.01);
        }
    }

    /** Perplexity of all of the text within 0.5 % of llama-perplexity's. */
    protected void assertGoldenPerplexity(String name) throws IOException {
        String text = Files.readString(Golden.shared("models/perplexity.txt"));
        JsonNode golden = new ObjectMapper()
                .readTree(Golden.shared("models/perplexity.json").toFile());
        double expected = 0;
        for (JsonNode value : golden.get("values")) {
            if (value.get("model").asText().equals(name + ".gguf")
                    && value.get("kv").asText().equals("f16")) {
                expected = value.get("perplexity").asDouble();
            }
        }
        assertThat(golden.get("ctx").asInt()).isEqualTo(WINDOW);
        try (Model model = load(name, WINDOW)) {
            assertThat(perplexity(model, text, Integer.MAX_VALUE)).isBetween(expected * 0.995, expected * 1.005);
        }
    }

    /**
     * What an 8-bit cache costs: perplexity of the first windows of the text is within {@code bound} of that with F16.
     * Every position attends to rounded keys and values, its own included, so this is what decoding token by token
     * gives.
     */
    protected void assertPerplexityOfCache(String name, KvType type, int windows, double bound) throws IOException {
        String text = Files.readString(Golden.shared("models/perplexity.txt"));
        double exact = exactPerplexity.computeIfAbsent(name, n -> {
            try (Model model = load(n, WINDOW)) {
                return perplexity(model, text, windows);
            }
        });
        try (Model model = load(name, WINDOW, type)) {
            assertThat(perplexity(model, text, windows) / exact).isBetween(1 - bound, 1 + bound);
        }
    }

    private static double perplexity(Model model, String text, int windows) {
        int[] tokens = model.tokenizer().encodePrompt(text, false);
        boolean begins = tokens[0] == model.tokenizer().vocabulary().bos();
        double[] sum = new double[1];
        int[] count = new int[1];
        for (int w = 0; w < Math.min(windows, tokens.length / WINDOW); w++) {
            int[] part = Arrays.copyOfRange(tokens, w * WINDOW, (w + 1) * WINDOW);
            part[0] = begins ? tokens[0] : part[0];
            model.evaluate(Arrays.copyOf(part, WINDOW - 1), WINDOW / 2, (position, logits) -> {
                sum[0] += Logprobs.logSumExp(logits) - logits[part[position + 1]];
                count[0]++;
            });
        }
        return Math.exp(sum[0] / count[0]);
    }
}
