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

    private static final DeviceProfile.RestCost NOTHING = new DeviceProfile.RestCost(0, 0, 0);

    /** A device that reads a byte a second, and takes that long for an operation. */
    private static DeviceProfile reading(double secondsPerOperation) {
        Curve cost = Curve.line(0, secondsPerOperation);
        return device(
                Curve.line(0, 1),
                new DeviceProfile.LinearCost(2, cost),
                new DeviceProfile.AttentionCost(cost, secondsPerOperation, NOTHING));
    }

    private static DeviceProfile device(
            Curve reading, DeviceProfile.LinearCost linear16, DeviceProfile.AttentionCost each) {
        Map<KvType, DeviceProfile.AttentionCost> attention = new EnumMap<>(KvType.class);
        for (KvType type : KvType.values()) {
            attention.put(type, each);
        }
        Map<WeightLayout, DeviceProfile.LinearCost> linear = Map.of(
                WeightLayout.F16,
                linear16,
                WeightLayout.int8(32),
                new DeviceProfile.LinearCost(1.125, linear16.seconds()));
        return new DeviceProfile(
                "d",
                "test",
                reading,
                new DeviceProfile.Peaks(1, 1, 1),
                0,
                0,
                1L << 40,
                linear,
                attention,
                NOTHING,
                NOTHING,
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
        double multiplied = 512.0 * (plan.multipliedWeights() - (long) shape.vocabulary() * shape.hidden());
        double attended = 512 * 513 / 2.0 * shape.queries() * shape.layers();
        double head = (double) shape.vocabulary() * shape.hidden();
        assertThat(prompt.arithmetic()).isCloseTo(multiplied + attended + head, Percentage.withPercentage(1e-6));
    }

    /** A cache that holds a gigabyte: a small model is read from it, a large one from memory. */
    @Test
    void whatCachesHoldIsReadFromThem() {
        Curve reading = new Curve(new double[] {0, 1e9, 2e9}, new double[] {0, 1, 4}, 3e-9);
        Curve free = Curve.line(0, 0);
        DeviceProfile device = device(
                reading, new DeviceProfile.LinearCost(2, free), new DeviceProfile.AttentionCost(free, 0, NOTHING));
        assertThat(device.readBandwidth()).isCloseTo(1 / 3e-9, Percentage.withPercentage(1e-6));
        ModelShape shape = model("llama-3.2-1b");
        WeightPlan plan = WeightPlan.of(shape, WeightMix.F16);
        Roofline roofline = new Roofline(device, shape);
        double weights = roofline.weightBytes(plan);
        assertThat(roofline.decode(plan, KvType.F16, 1, 15).seconds())
                .as("seconds of the weights and of a cache of 16 positions")
                .isCloseTo(reading.at(weights + shape.readBytes(KvType.F16, 15)), Percentage.withPercentage(1e-6));
    }

    @Test
    void severalRowsShowWhatReadingTakesAndExpertsWithHardlyMoreThanOneHardlyDo() {
        DeviceProfile.LinearCost cost = new DeviceProfile.LinearCost(1, Curve.line(0, 1), 0, 0.8);
        assertThat(cost.overlapped(1, 3, 4)).isEqualTo(5);
        assertThat(cost.overlapped(2, 3, 4)).isEqualTo(0.8 * 3 + 4);
        assertThat(cost.overlapped(64, 3, 4)).isEqualTo(0.8 * 3 + 4);
        assertThat(cost.overlapped(1 + 2e-16, 3, 4)).isCloseTo(5, Offset.offset(1e-12));
        assertThat(cost.overlapped(1.5, 3, 4)).isBetween(5.0, 0.8 * 3 + 4);
        assertThat(new DeviceProfile.LinearCost(1, Curve.line(0, 1)).overlapped(8, 3, 4))
                .as("what is hidden of one row is hidden of several")
                .isEqualTo(5);
    }

    @Test
    void rowsAreQuantizedOnceForAllMatricesOfACallAndStoredAsTheCacheWantsIt() {
        ModelShape shape = model("llama-2-7b");
        Curve free = Curve.line(0, 0);
        WeightPlan plan = WeightPlan.of(shape, WeightMix.F16);
        DeviceProfile quantizing = device(
                Curve.line(0, 0),
                new DeviceProfile.LinearCost(2, free, 1, 0),
                new DeviceProfile.AttentionCost(free, 0, NOTHING));
        double inputs = 32 * (3.0 * 4096 + 11008) + 4096;
        assertThat(new Roofline(quantizing, shape)
                        .decode(plan, KvType.F16, 3, 7)
                        .seconds())
                .isCloseTo(3 * inputs, Percentage.withPercentage(1e-6));
        DeviceProfile storing = device(
                Curve.line(0, 0),
                new DeviceProfile.LinearCost(2, free),
                new DeviceProfile.AttentionCost(free, 0, new DeviceProfile.RestCost(5, 1, 0)));
        assertThat(new Roofline(storing, shape).decode(plan, KvType.F16, 3, 7).seconds())
                .isCloseTo(32 * 5 + 3 * Roofline.stored(shape), Percentage.withPercentage(1e-6));
    }

    @Test
    void layersWithAWindowReadNoMoreThanIt() {
        ModelShape shape = model("gemma-3-27b");
        assertThat(shape.attended(1023)).isEqualTo(62.0 * 1024 * shape.queries());
        assertThat(shape.attended(10_239)).isEqualTo((10.0 * 10_240 + 52 * 1024) * shape.queries());
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
