package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.demitasse.Devices;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.ModelSize;
import dev.demitasse.Session;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Logprobs;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** What every device must hold for whole models of each tensor type. */
public abstract class TypeContractTest {
    /** The tensor types of the one-layer models. */
    protected static final List<String> TYPES = Golden.TYPES;

    /** The backend that is tested. */
    protected final String backend;

    /** For one backend. */
    protected TypeContractTest(String backend) {
        this.backend = backend;
    }

    /** The options of a test. */
    protected ModelOptions options() {
        return ModelOptions.DEFAULT
                .withBackend(backend)
                .withContextLength(256)
                .withKvType(KvType.F32)
                .withDevice(device());
    }

    /** How the device is opened, as far as a test does not say. */
    protected DeviceOptions device() {
        return DeviceOptions.defaults();
    }

    /** What weights take is told before a load, about: some of a matrix's rows may need wider scales than others. */
    @ParameterizedTest
    @FieldSource("TYPES")
    public void whatWeightsTakeIsToldBefore(String type) {
        try (Gguf file = Gguf.open(Golden.type(type));
                Device opened = Devices.open(backend, device());
                Model model = Model.load(file, options())) {
            double told = ModelSize.deviceBytes(file, opened);
            assertThat(told / model.weightBytes()).isBetween(0.85, 1.15);
        }
    }

    /**
     * The one-layer models of every tensor type, with exact activations, against the golden implementation, which
     * rounds activations to 8 bits (16 for F16 and BF16) itself: the bounds are what that rounding was measured to
     * make. Where there is an answer with exact activations, against that, within 1e-3.
     */
    @ParameterizedTest
    @FieldSource("TYPES")
    public void tensorTypesMatchTheGoldenAnswers(String type) {
        double tolerance = type.equals("F16") ? 4e-3 : type.equals("BF16") ? 0.03 : 0.16;
        ModelOptions exact = options().withDevice(device().withActivations(ActivationType.F32));
        Optional<JsonNode> exactAnswer = Golden.typeExactAnswer(type);
        if (exactAnswer.isPresent()) {
            assertGolden(Golden.type(type), exactAnswer.get(), exact, 1e-3, false);
        } else {
            assertGolden(Golden.type(type), Golden.typeAnswer(type), exact, tolerance, false);
        }
    }

    /** The same with activations rounded to INT8: where both sides round, differently, the bound is wider. */
    @ParameterizedTest
    @FieldSource("TYPES")
    public void tensorTypesMatchTheGoldenAnswersWithRoundedActivations(String type) {
        double tolerance = type.equals("F16") ? 4e-3 : type.equals("BF16") ? 0.03 : 0.25;
        ModelOptions rounded = options().withDevice(device().withActivations(ActivationType.INT8));
        assertGolden(Golden.type(type), Golden.typeAnswer(type), rounded, tolerance, false);
    }

    /** Weights in their layout, with exact activations, give what the reference gives on dequantized weights. */
    @ParameterizedTest
    @FieldSource("TYPES")
    public void layoutsMatchTheReferenceOnDequantizedWeights(String type) {
        Path file = Golden.type(type);
        int[] prompt = Golden.ints(Golden.typeAnswer(type).get("tokens"));
        ModelOptions exact = options().withDevice(device().withActivations(ActivationType.F32));
        float[] expected =
                lastLogits(file, options().withBackend("reference").withForcedLayout(WeightLayout.F32), prompt);
        float[] actual = lastLogits(file, exact, prompt);
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i]).isCloseTo(expected[i], org.assertj.core.data.Offset.offset(1e-3f));
        }
    }

    /** Compares the log-probabilities of every step, given the golden prefix, and the tokens of a greedy run. */
    static void assertGolden(Path file, JsonNode answer, ModelOptions options, double tolerance, boolean sameTokens) {
        int[] prompt = Golden.ints(answer.get("tokens"));
        int[] expected = Golden.ints(answer.get("tokens_out"));
        try (Model model = Model.load(file, options)) {
            int[] all = new int[prompt.length + expected.length - 1];
            System.arraycopy(prompt, 0, all, 0, prompt.length);
            System.arraycopy(expected, 0, all, prompt.length, expected.length - 1);
            List<JsonNode> top = stepsOf(answer, expected);
            model.evaluate(all, prompt.length - 1, (position, logits) -> {
                int step = position - prompt.length + 1;
                double normalizer = Logprobs.logSumExp(logits);
                for (JsonNode entry : top.get(step)) {
                    assertThat(logits[entry.get("id").asInt()] - normalizer)
                            .as("step %d token %s", step, entry.get("id"))
                            .isCloseTo(entry.get("logprob").asDouble(), org.assertj.core.data.Offset.offset(tolerance));
                }
            });
            if (sameTokens) {
                try (Session session = model.newSession()) {
                    GenerationOptions greedy = GenerationOptions.GREEDY
                            .withMaximumTokens(expected.length)
                            .withIgnoreEnd(true);
                    assertThat(session.generate(prompt, greedy, text -> {}).tokens())
                            .containsExactly(
                                    java.util.Arrays.stream(expected).boxed().toArray(Integer[]::new));
                }
            }
        }
    }

    /**
     * The most likely tokens of each step, empty where the answer has none: it leaves out steps whose text ended
     * within a character. The first of a step's tokens is the one that was taken.
     */
    static List<JsonNode> stepsOf(JsonNode answer, int[] expected) {
        List<JsonNode> steps = new ArrayList<>();
        Iterator<JsonNode> entries = answer.get("topLogprobs").iterator();
        JsonNode next = entries.hasNext() ? entries.next() : MissingNode.getInstance();
        for (int token : expected) {
            if (next.path(0).path("id").asInt(-1) == token) {
                steps.add(next);
                next = entries.hasNext() ? entries.next() : MissingNode.getInstance();
            } else {
                steps.add(MissingNode.getInstance());
            }
        }
        assertThat(next.isMissingNode())
                .as("every step of the answer has its place")
                .isTrue();
        return steps;
    }

    /** The logits of a prompt's last token. */
    static float[] lastLogits(Path file, ModelOptions options, int[] prompt) {
        float[][] last = new float[1][];
        try (Model model = Model.load(file, options)) {
            model.evaluate(prompt, prompt.length - 1, (position, logits) -> last[0] = logits.clone());
        }
        return last[0];
    }
}
