package dev.demitasse.quantize.advise;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.demitasse.ModelShape;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.quantize.WeightMix;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.assertj.core.data.Offset;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RooflineTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private static ModelShape model(String name) {
        return Objects.requireNonNull(Published.model(name));
    }

    /** A device that reads a byte a second and computes in no time. */
    private static DeviceProfile reading(double secondsPerOperation) {
        Curve free = Curve.line(0, secondsPerOperation);
        Map<KvType, DeviceProfile.AttentionCost> attention = new EnumMap<>(KvType.class);
        for (KvType type : KvType.values()) {
            attention.put(type, new DeviceProfile.AttentionCost(free, secondsPerOperation));
        }
        Map<WeightLayout, DeviceProfile.LinearCost> linear = Map.of(
                WeightLayout.F16,
                new DeviceProfile.LinearCost(2, free),
                WeightLayout.int8(32),
                new DeviceProfile.LinearCost(1.125, free));
        return new DeviceProfile(
                "d",
                "test",
                1,
                new DeviceProfile.Peaks(1, 1, 1),
                0,
                0,
                1L << 40,
                linear,
                attention,
                new DeviceProfile.RestCost(0, 0),
                0,
                0);
    }

    @Test
    void whereArithmeticIsFreeAStepIsItsBytes() {
        ModelShape shape = model("llama-2-7b");
        Roofline roofline = new Roofline(reading(0), shape);
        double weights = 32 * (4.0 * 4096 * 4096 + 3.0 * 4096 * 11008) + 32000.0 * 4096;
        WeightPlan plan = WeightPlan.of(shape, WeightMix.F16);
        Roofline.Time one = roofline.decode(plan, KvType.F16, 1, 2047);
        assertThat(one.seconds()).isCloseTo(2 * weights + 2048 * 524_288.0, Percentage.withPercentage(1e-6));
        assertThat(one.bound()).isEqualTo(Roofline.Bound.MEMORY);
        Roofline.Time eight = roofline.decode(plan, KvType.F16, 8, 2047);
        assertThat(eight.seconds() - one.seconds())
                .as("weights are read once, caches by each session")
                .isCloseTo(7 * 2048 * 524_288.0, Percentage.withPercentage(1e-6));
        assertThat(roofline.weightBytes(plan)).isEqualTo(Math.round(2 * (weights + 32000.0 * 4096)));
    }

    @Test
    void whereArithmeticIsDearAPromptTakesAsLongPerTokenAsAStep() {
        ModelShape shape = model("llama-3.2-1b");
        Roofline roofline = new Roofline(reading(1), shape);
        WeightPlan plan = WeightPlan.of(shape, WeightMix.F16);
        Roofline.Time prompt = roofline.prefill(plan, KvType.F16, 512);
        assertThat(prompt.bound()).isEqualTo(Roofline.Bound.ARITHMETIC);
        double multiplied = 512.0 * (shape.multipliedWeights() - (long) shape.vocabulary() * shape.hidden());
        double attended = 512 * 513 / 2.0 * shape.queries() * shape.layers();
        double head = (double) shape.vocabulary() * shape.hidden();
        assertThat(prompt.arithmetic()).isCloseTo(multiplied + attended + head, Percentage.withPercentage(1e-6));
    }

    @Test
    void layersWithAWindowReadNoMoreThanIt() {
        ModelShape shape = model("gemma-3-27b");
        assertThat(shape.seen(1023)).isEqualTo(1024, Offset.offset(1e-9));
        assertThat(shape.seen(10_239)).isEqualTo((10.0 * 10_240 + 52 * 1024) / 62, Offset.offset(1e-9));
    }

    /** The case that weight-only quantization is often judged by: 7B, a head of keys for each query head. */
    @Test
    void manyLongSessionsOfSevenBillionWeightsGainLessThanTheBitsSay() {
        ModelShape shape = model("llama-2-7b");
        DeviceProfile card = Published.device("h100-pcie");
        assertThat(card.peaks().fp16()).isEqualTo(756e12);
        assertThat(card.peaks().int8()).isEqualTo(1513e12);
        assertThat(shape.cacheBytes(KvType.F16, KvShape.PAGE) / KvShape.PAGE)
                .as("0.5 MB a token")
                .isEqualTo(524_288);
        assertThat(shape.cacheBytes(KvType.INT8, KvShape.PAGE) / (double) KvShape.PAGE)
                .as("0.25 MB a token, and scales")
                .isCloseTo(262_144, Percentage.withPercentage(7));
        Roofline roofline = new Roofline(card, shape);
        WeightPlan four = WeightPlan.of(shape, WeightMix.Q4_0);
        WeightPlan sixteen = WeightPlan.of(shape, WeightMix.F16);
        for (int sessions : new int[] {4, 8, 16}) {
            double gain = roofline.decode(sixteen, KvType.F16, sessions, 2048).seconds()
                    / roofline.decode(four, KvType.F16, sessions, 2048).seconds();
            assertThat(gain).as("%d sessions of 2,048", sessions).isBetween(1.2, 2.1);
        }
        assertThat(roofline.sessions(four, KvType.INT8, 4096))
                .isGreaterThan((long) (1.8 * roofline.sessions(four, KvType.F16, 4096)));
    }

    /**
     * Steps that cards have run; F16 is left out, since cuBLAS was not there. The H200 is a second check: no number of
     * the model comes from it, and its kernels were an earlier, slower state.
     */
    @ParameterizedTest
    @CsvSource({"h100-2026-11-27, h100-sxm, 0.15", "h200-2026-11-26, h200, 0.25"})
    void stepsOfCardsArePredictedWithinAThird(String run, String card, double median) throws IOException {
        Path results = Golden.root().resolve("cuda/results").resolve(run).resolve("demitasse.jsonl");
        Map<String, ModelShape> models = Map.of("llama-8b", model("llama-3.1-8b"), "llama-1b", model("llama-3.2-1b"));
        List<Double> errors = new ArrayList<>();
        for (String line : Files.readAllLines(results)) {
            JsonNode step = MAPPER.readTree(line);
            ModelShape shape = models.get(step.path("model").asText());
            if (shape != null
                    && step.path("operation").asText().equals("decode")
                    && !step.path("type").asText().equals("F16")) {
                WeightMix mix = WeightMix.named(step.get("type").asText());
                double predicted = new Roofline(Published.device(card), shape)
                        .decode(
                                WeightPlan.of(shape, mix),
                                KvType.valueOf(step.get("cache").asText()),
                                step.get("sequences").asInt(),
                                step.get("depth").asInt())
                        .seconds();
                double error = predicted / (step.get("millisecondsPerStep").asDouble() * 1e-3) - 1;
                assertThat(error).as(line).isBetween(-0.35, 0.35);
                errors.add(Math.abs(error));
            }
        }
        errors.sort(null);
        assertThat(errors).hasSizeGreaterThanOrEqualTo(20);
        assertThat(errors.get(errors.size() / 2)).isLessThan(median);
    }
}
