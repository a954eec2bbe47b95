package dev.demitasse.quantize.advise;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.ModelShape;
import dev.demitasse.ModelSize;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.quantize.WeightMix;
import dev.demitasse.testkit.Golden;
import java.util.List;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.assertj.core.data.Offset;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class AdvisorTest {
    static List<String> cards() {
        return Published.devices();
    }

    @ParameterizedTest
    @MethodSource("cards")
    void everyCardGivesAdviceAboutEveryModel(String card) {
        for (String name : Published.models()) {
            ModelShape shape = Objects.requireNonNull(Published.model(name));
            Advice advice = new Advisor(shape, null).advise(Published.device(card));
            assertThat(advice.sentences()).hasSize(3).allMatch(sentence -> sentence.endsWith("."));
            assertThat(advice.cells()).allSatisfy(cell -> {
                assertThat(cell.time().seconds()).isPositive().isFinite();
                assertThat(cell.time().seconds())
                        .isGreaterThanOrEqualTo(cell.time().memory())
                        .isGreaterThanOrEqualTo(cell.time().arithmetic());
            });
        }
    }

    @Test
    void fewerBitsDecodeFasterAndLeaveRoomForMoreSessions() {
        ModelShape shape = Objects.requireNonNull(Published.model("llama-3.1-8b"));
        Advice advice = new Advisor(shape, null).advise(Published.device("rtx4090"));
        List<Double> speeds = advice.cells().stream()
                .filter(cell -> cell.phase() == Cell.Phase.DECODE
                        && cell.cache() == KvType.INT8
                        && cell.sessions() == 1
                        && cell.tokens() == 128)
                .filter(cell -> List.of("F16", "Q8_0", "Q4_0").contains(cell.weights()))
                .map(Cell::tokensPerSecond)
                .toList();
        assertThat(speeds).isSorted();
        Advice.Storage four = advice.storage().stream()
                .filter(storage -> storage.weights().equals("Q4_0"))
                .findFirst()
                .orElseThrow();
        assertThat(four.bytes()).isBetween(4_500_000_000L, 5_200_000_000L);
        assertThat(four.sessions().get(KvType.INT8))
                .isGreaterThan(four.sessions().get(KvType.F16));
    }

    /** Where weight-only stops paying on an H100, and eight-bit arithmetic begins to. */
    @Test
    void theRowsAreToldFromWhichOtherWeightsAreQuicker() {
        Advice advice = new Advisor(Objects.requireNonNull(Published.model("llama-2-7b")), null)
                .advise(Published.device("h100-pcie"));
        Matcher rows = Pattern.compile(
                        "Q4_0's products stop being quicker than F16's at (\\d+) rows; W8A8's are quicker than Q4_0's"
                                + " from (\\d+) rows on\\.")
                .matcher(advice.sentences().get(1));
        assertThat(rows.matches()).as(advice.sentences().get(1)).isTrue();
        assertThat(Integer.parseInt(rows.group(1))).isBetween(16, 64);
        assertThat(Integer.parseInt(rows.group(2))).isBetween(8, 64);
    }

    @Test
    void aModelOfShortTextsIsAdvisedAboutToo() {
        ModelShape shape = ModelShape.uniform("short", 2, 64, 128, 4, 2, 16, 300, true, 64, 0, 0, null);
        Advice advice = new Advisor(shape, null).advise(Published.device("h200"));
        assertThat(advice.cells()).isNotEmpty().allMatch(cell -> cell.tokens() <= 64);
    }

    @Test
    void unknownCardsAreRefusedByTheListOfThoseThatAreKnown() {
        assertThatThrownBy(() -> Published.device("voodoo2"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("voodoo2")
                .hasMessageContaining("h100-sxm");
        assertThat(Published.model("nothing")).isNull();
    }

    static List<String> files() {
        return Golden.TINY;
    }

    /** Each number of a file is read by a token, looked up, or one of an expert's that the token has not. */
    @ParameterizedTest
    @MethodSource("files")
    void aFilesOwnWeightsAreAmongTheChoices(String architecture) {
        try (Gguf file = Gguf.open(Golden.tiny(architecture))) {
            ModelShape shape = ModelShape.of(file);
            List<WeightPlan> plans = new Advisor(shape, file).plans();
            assertThat(plans).extracting(WeightPlan::name).contains("file", "F16", "W8A8");
            assertThat(plans)
                    .extracting(WeightPlan::weights)
                    .as("all mixes have the same")
                    .containsOnly(plans.getFirst().weights());
            WeightPlan own = plans.getFirst();
            ModelSize size = ModelSize.of(file);
            long vectors = file.tensors().stream()
                    .filter(tensor -> !tensor.name().matches("blk\\.(\\d+)\\..*")
                            || Integer.parseInt(tensor.name().split("\\.")[1]) < shape.layers())
                    .filter(tensor -> tensor.rows() == 1
                            || tensor.name().matches(".*(_norm|conv1d|shortconv\\.conv)\\.weight|.*\\.bias|.*ssm_[ad]"))
                    .mapToLong(GgufTensor::elements)
                    .sum();
            assertThat(own.weights()).isEqualTo(size.parameters() - vectors);
            ModelShape.Experts experts = shape.experts();
            long idle = experts == null ? 0 : idle(file, experts);
            long tables =
                    own.tables().stream().mapToLong(WeightPlan.Matrix::weights).sum();
            assertThat(own.weights() - own.multipliedWeights()).isEqualTo(idle + tables);
        }
    }

    /** Numbers of the experts that a token has not. */
    private static long idle(Gguf file, ModelShape.Experts experts) {
        return file.tensors().stream()
                .filter(tensor -> tensor.name().endsWith("_exps.weight"))
                .mapToLong(tensor -> tensor.elements() / experts.count() * (experts.count() - experts.used()))
                .sum();
    }

    /** States of hybrids, latent attention, layers of different sizes: a step has all its parts, and takes memory. */
    @ParameterizedTest
    @MethodSource("files")
    void everyArchitectureIsAdvisedAbout(String architecture) {
        try (Gguf file = Gguf.open(Golden.tiny(architecture))) {
            ModelShape shape = ModelShape.of(file);
            ModelSize size = ModelSize.of(file);
            for (KvType type : size.draftBytes() > 0 ? List.<KvType>of() : Advisor.CACHES) { // that block has its own
                assertThat(shape.cacheBytes(type, KvShape.PAGE))
                        .isEqualTo(KvShape.PAGE
                                * Objects.requireNonNull(
                                        size.cacheBytesPerPosition().get(type)));
            }
            assertThat(shape.sessionBytes(KvType.F16, 64) - shape.cacheBytes(KvType.F16, 64))
                    .isEqualTo(size.stateBytes());
            Advice advice = new Advisor(shape, file).advise(Published.device("h200"));
            assertThat(advice.cells()).isNotEmpty().allSatisfy(cell -> {
                assertThat(cell.time().seconds()).isPositive().isFinite();
            });
            Roofline roofline = new Roofline(Published.device("h200"), shape);
            WeightPlan own = WeightPlan.of(shape, file);
            double one = roofline.decode(own, KvType.F16, 1, 8).memory();
            double two = roofline.decode(own, KvType.F16, 2, 8).memory();
            double state = shape.states() == null ? 0 : 2.0 * shape.states().bytes();
            double bandwidth = Published.device("h200").readBandwidth();
            if (shape.experts() == null) {
                assertThat(two - one)
                        .as("the second session's cache and states")
                        .isCloseTo(
                                (shape.readBytes(KvType.F16, 8) + state) / bandwidth, Percentage.withPercentage(1e-6));
            }
        }
    }

    /** From its config.json: 30.5 billion weights, of which a token has 3.3. */
    @Test
    void aMixtureHasManyWeightsAndAStepReadsFew() {
        ModelShape shape = Objects.requireNonNull(Published.model("qwen3-30b-a3b"));
        Roofline roofline = new Roofline(Published.device("h200"), shape);
        WeightPlan plan = WeightPlan.of(shape, WeightMix.Q8_0);
        assertThat(plan.weights() / 1e9).isCloseTo(30.5, Offset.offset(0.1));
        assertThat(plan.multipliedWeights() / 1e9).isCloseTo(3.0, Offset.offset(0.1)); // and a row of the table
        double one = roofline.decode(plan, KvType.F16, 1, 128).memory();
        double many = roofline.decode(plan, KvType.F16, 32, 128).memory();
        double whole = roofline.weightBytes(plan) / Published.device("h200").readBandwidth();
        assertThat(one / whole).as("a session").isBetween(0.09, 0.12);
        assertThat(many / whole).as("32 sessions read most experts").isBetween(0.8, 1.0);
    }

    @Test
    void aPlanHasTheLayoutsOfItsMix() {
        ModelShape shape = Objects.requireNonNull(Published.model("llama-3.1-8b"));
        assertThat(WeightPlan.of(shape, WeightMix.Q4_K_M).layouts())
                .containsExactlyInAnyOrder(WeightLayout.int4(32).withMinimum(), WeightLayout.int8(16));
        assertThat(WeightPlan.of(shape, WeightMix.W8A8).layouts())
                .containsExactlyInAnyOrder(WeightLayout.int8(WeightLayout.ROW), WeightLayout.F16);
    }

    @Test
    void aVerificationCountsErrorsAndRightChoices() {
        Verification.Result result = Verification.Result.of(List.of(
                checked("a", 64, 1.0, 1.0),
                checked("b", 64, 1.1, 0.97), // nearly as quick as what was chosen
                checked("a", 128, 1.0, 2.0),
                checked("b", 128, 1.5, 1.0)));
        assertThat(result.choices()).isEqualTo(2);
        assertThat(result.rightChoices()).isEqualTo(1);
        assertThat(result.worstError()).isEqualTo(0.5);
        assertThat(result.medianError()).isEqualTo(0.5);
    }

    private static Verification.Checked checked(String weights, int tokens, double predicted, double measured) {
        Roofline.Time time = new Roofline.Time(predicted, predicted, 0, 0);
        return new Verification.Checked(new Cell(weights, KvType.F16, Cell.Phase.DECODE, 1, tokens, time), measured);
    }
}
