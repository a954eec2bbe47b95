package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.GroupedProjection;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Pass;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Routes;
import dev.demitasse.device.Routing;
import dev.demitasse.device.TokenIds;
import dev.demitasse.device.WeightGroup;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.KernelCases.Fill;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What products by groups of matrices must hold, and the choice of experts. */
public abstract class GroupContractTest extends LinearContractTest {
    /** Ways to choose, of few and of many. */
    private static final List<Routing> ROUTINGS = List.of(
            new Routing(4, 1, Routing.Score.SIGMOID, false, 1, true, 1, 1),
            new Routing(8, 2, Routing.Score.SOFTMAX, true, 1),
            new Routing(32, 4, Routing.Score.SOFTMAX_OF_CHOSEN, false, 1),
            new Routing(60, 6, Routing.Score.SIGMOID, true, 2.5f, false, 4, 2),
            new Routing(300, 10, Routing.Score.SOFTMAX, false, 0.5f));

    private static final int COLUMNS = 96;
    private static final int OUTPUTS = 40;

    /** For one backend. */
    protected GroupContractTest(String backend) {
        super(backend);
    }

    /** Matrices, on a device as a group and each by itself. */
    private record Matrices(
            WeightGroup group,
            List<float[]> values,
            List<LinearWeight> each,
            List<float[]> numbers,
            List<Buffer> biases)
            implements AutoCloseable {
        static Matrices of(
                Device device, int count, int outputs, int columns, boolean biased, WeightLayout layout, long seed) {
            SplittableRandom random = new SplittableRandom(seed);
            List<MatrixSource> sources = new ArrayList<>();
            List<float[]> values = new ArrayList<>();
            List<LinearWeight> each = new ArrayList<>();
            List<float[]> numbers = new ArrayList<>();
            List<Buffer> biases = new ArrayList<>();
            for (int g = 0; g < count; g++) {
                values.add(KernelCases.numbers(outputs * columns, Fill.RANDOM, random));
                MatrixSource source = KernelCases.matrix(values.getLast(), outputs, columns);
                sources.add(source);
                each.add(device.upload(source, layout));
                if (biased) {
                    numbers.add(KernelCases.numbers(outputs, Fill.RANDOM, random));
                    biases.add(device.upload(numbers.getLast()));
                }
            }
            return new Matrices(device.uploadGroup(sources, layout, numbers), values, each, numbers, biases);
        }

        /** A row by one of them, in FP64. */
        double[] product(int matrix, float[] x) {
            double[] sums = new double[group.rows()];
            for (int n = 0; n < sums.length; n++) {
                for (int k = 0; k < x.length; k++) {
                    sums[n] += (double) values.get(matrix)[n * x.length + k] * x[k];
                }
                sums[n] += numbers.isEmpty() ? 0 : numbers.get(matrix)[n];
            }
            return sums;
        }

        /** What {@code linear} gives of rows by one of them. */
        float[] alone(Device device, int matrix, float[] x, int rows) {
            LinearWeight weight = each.get(matrix);
            @Nullable Buffer bias = biases.isEmpty() ? null : biases.get(matrix);
            try (Buffer in = device.upload(x);
                    Buffer out = device.allocate((long) rows * weight.rows() * Float.BYTES)) {
                device.linear(in, rows, new Projection(weight, bias, out));
                return read(out, rows * weight.rows());
            }
        }

        @Override
        public void close() {
            group.close();
            each.forEach(LinearWeight::close);
            biases.forEach(Buffer::close);
        }
    }

    /** Matrices of a file's levels as a group, and such whose types are mixed. */
    @ParameterizedTest
    @EnumSource(ActivationType.class)
    public void groupsOfLevelsAreComputedAsAlone(ActivationType activations) {
        List<List<TensorType>> groups = List.of(
                List.of(TensorType.MXFP4, TensorType.MXFP4, TensorType.MXFP4),
                List.of(TensorType.NVFP4, TensorType.NVFP4, TensorType.NVFP4),
                List.of(TensorType.IQ4_NL, TensorType.MXFP4, TensorType.Q8_0));
        int columns = 192;
        int[] counts = {1, 3, 40};
        int[] starts = {0, 1, 4, 44};
        for (List<TensorType> types : groups) {
            SplittableRandom random = new SplittableRandom(seed);
            WeightLayout layout = types.getFirst().layout();
            List<MatrixSource> sources = types.stream()
                    .map(type -> KernelCases.blocks(type, OUTPUTS, columns, random))
                    .toList();
            float[] x = KernelCases.numbers(44 * columns, Fill.RANDOM, random);
            try (Device device = open(activations);
                    Buffer in = device.upload(x);
                    WeightGroup group = device.uploadGroup(sources, layout, List.of());
                    Buffer out = device.allocate(44L * OUTPUTS * Float.BYTES)) {
                device.groupedLinear(in, starts, new GroupedProjection(group, out));
                float[] actual = read(out, 44 * OUTPUTS);
                for (int g = 0; g < counts.length; g++) {
                    float[] own = Arrays.copyOfRange(x, starts[g] * columns, starts[g + 1] * columns);
                    try (LinearWeight weight = device.upload(sources.get(g), layout);
                            Buffer rows = device.upload(own);
                            Buffer alone = device.allocate((long) counts[g] * OUTPUTS * Float.BYTES)) {
                        device.linear(rows, counts[g], new Projection(weight, null, alone));
                        assertClose(
                                Arrays.copyOfRange(actual, starts[g] * OUTPUTS, starts[g + 1] * OUTPUTS),
                                read(alone, counts[g] * OUTPUTS),
                                types.get(g) + " of " + types + " (seed " + seed + ")",
                                NMSE);
                    }
                }
            }
        }
    }

    /** Groups of any number of rows, none included, have the bits that {@code linear} gives each alone. */
    @ParameterizedTest
    @EnumSource(ActivationType.class)
    public void groupsOfRowsAreComputedAsAlone(ActivationType activations) {
        int[] counts = {0, 1, 3, 0, 70, 2, 1, 0};
        int[] starts = new int[counts.length + 1];
        for (int g = 0; g < counts.length; g++) {
            starts[g + 1] = starts[g] + counts[g];
        }
        int rows = starts[counts.length];
        float[] x = KernelCases.numbers(rows * COLUMNS, Fill.RANDOM, new SplittableRandom(seed));
        for (WeightLayout layout : KernelCases.layouts()) {
            try (Device device = open(activations);
                    Buffer in = device.upload(x);
                    Matrices some = Matrices.of(device, counts.length, OUTPUTS, COLUMNS, false, layout, seed + 1);
                    Matrices others = Matrices.of(device, counts.length, OUTPUTS, COLUMNS, true, layout, seed + 2);
                    Buffer first = device.allocate((long) rows * OUTPUTS * Float.BYTES);
                    Buffer second = device.allocate((long) rows * OUTPUTS * Float.BYTES)) {
                device.groupedLinear(
                        in,
                        starts,
                        new GroupedProjection(some.group, first),
                        new GroupedProjection(others.group, second));
                float[] actual = read(first, rows * OUTPUTS);
                float[] actualOthers = read(second, rows * OUTPUTS);
                for (int g = 0; g < counts.length; g++) {
                    float[] own = Arrays.copyOfRange(x, starts[g] * COLUMNS, starts[g + 1] * COLUMNS);
                    String what = layout + ", group " + g + " (seed " + seed + ")";
                    assertThat(Arrays.copyOfRange(actual, starts[g] * OUTPUTS, starts[g + 1] * OUTPUTS))
                            .as(what)
                            .isEqualTo(some.alone(device, g, own, counts[g]));
                    assertThat(Arrays.copyOfRange(actualOthers, starts[g] * OUTPUTS, starts[g + 1] * OUTPUTS))
                            .as(what)
                            .isEqualTo(others.alone(device, g, own, counts[g]));
                }
            }
        }
    }

    /** Experts that are chosen on a device: a layer of them, with buffers for a number of rows. */
    private static final class Experts implements AutoCloseable {
        private final Device device;
        private final Routing routing;
        private final Routes routes;
        private final Buffer logits;
        private final Buffer x;
        private final Buffer inputs;
        private final Buffer outputs;
        private final Buffer out;

        Experts(Device device, Routing routing, int rows, int columns, int outputColumns) {
            this.device = device;
            this.routing = routing;
            routes = device.allocateRoutes(rows, routing);
            logits = device.allocate((long) rows * routing.experts() * Float.BYTES);
            x = device.allocate((long) rows * columns * Float.BYTES);
            inputs = device.allocate((long) routes.places(rows) * columns * Float.BYTES);
            outputs = device.allocate((long) routes.places(rows) * outputColumns * Float.BYTES);
            out = device.allocate((long) rows * outputColumns * Float.BYTES);
        }

        /** The layer's results of rows. */
        float[] run(
                float[] scores, float[] rowsOfX, @Nullable Buffer bias, @Nullable Buffer scales, WeightGroup group) {
            int count = scores.length / routing.experts();
            logits.write(0, MemorySegment.ofArray(scores));
            x.write(0, MemorySegment.ofArray(rowsOfX));
            device.route(logits, count, bias, scales, routes);
            device.dispatch(x, group.columns(), routes, inputs);
            device.groupedLinear(inputs, routes, new GroupedProjection(group, outputs));
            device.combine(outputs, group.rows(), routes, out);
            return read(out, count * group.rows());
        }

        @Override
        public void close() {
            routes.close();
            for (Buffer each : List.of(logits, x, inputs, outputs, out)) {
                each.close();
            }
        }
    }

    /** Each row has what its own experts make of it; alone, among few and among many, and again with others. */
    @Test
    public void everyRowHasItsOwnExperts() {
        for (Routing routing : ROUTINGS) {
            int experts = routing.experts();
            for (int rows : new int[] {1, 2, 5, 70}) {
                String what = routing + ", " + rows + " rows (seed " + seed + ")";
                try (Device device = open(ActivationType.F32);
                        Matrices matrices = Matrices.of(device, experts, 8, 32, true, WeightLayout.F32, seed);
                        Experts layer = new Experts(device, routing, 70, 32, 8)) {
                    SplittableRandom random = new SplittableRandom(seed + rows);
                    boolean biased = routing.groups() > 1;
                    float[] bias = KernelCases.numbers(experts, Fill.RANDOM, random);
                    float[] scales = KernelCases.numbers(experts, Fill.RANDOM, random);
                    try (Buffer biasBuffer = device.upload(bias);
                            Buffer scaleBuffer = device.upload(scales)) {
                        for (int round = 0; round < 3; round++) {
                            float[] scores = KernelCases.numbers(rows * experts, Fill.RANDOM, random);
                            float[] x = KernelCases.numbers(rows * 32, Fill.RANDOM, random);
                            float[] actual = layer.run(
                                    scores, x, biased ? biasBuffer : null, biased ? scaleBuffer : null, matrices.group);
                            float[] expected = new float[rows * 8];
                            for (int row = 0; row < rows; row++) {
                                float[] chosen = expected(
                                        matrices,
                                        routing,
                                        Arrays.copyOfRange(scores, row * experts, (row + 1) * experts),
                                        Arrays.copyOfRange(x, row * 32, (row + 1) * 32),
                                        biased ? bias : new float[0],
                                        biased ? scales : new float[0]);
                                System.arraycopy(chosen, 0, expected, row * 8, 8);
                            }
                            assertClose(actual, expected, what, NMSE);
                        }
                    }
                }
            }
        }
    }

    /** What a row's experts make of it, one by one. */
    private static float[] expected(
            Matrices matrices, Routing routing, float[] scores, float[] x, float[] bias, float[] scales) {
        int[] ids = new int[routing.used()];
        float[] weights = new float[routing.used()];
        routing.choose(scores, 0, bias, ids, weights, 0);
        float[] sums = new float[8];
        for (int i = 0; i < ids.length; i++) {
            float weight = weights[i] * (scales.length == 0 ? 1 : scales[ids[i]]);
            float[] input = x.clone();
            for (int k = 0; k < x.length && routing.weighsInputs(); k++) {
                input[k] *= weight;
            }
            double[] made = matrices.product(ids[i], input);
            for (int n = 0; n < sums.length; n++) {
                sums[n] += (float) (routing.weighsInputs() ? made[n] : weight * made[n]);
            }
        }
        return sums;
    }

    /** A third of all layouts with each kind of activations: rows have the bits that each has alone. */
    @ParameterizedTest
    @EnumSource(ActivationType.class)
    public void expertsOfARowDoNotDependOnOtherRows(ActivationType activations) {
        Routing routing = new Routing(6, 2, Routing.Score.SOFTMAX, true, 1);
        SplittableRandom random = new SplittableRandom(seed);
        List<WeightLayout> layouts = new ArrayList<>();
        for (int i = List.of(ActivationType.values()).indexOf(activations);
                i < KernelCases.layouts().size();
                i += ActivationType.values().length) {
            layouts.add(KernelCases.layouts().get(i));
        }
        for (int rows : new int[] {3, 90}) {
            float[] scores = KernelCases.numbers(rows * 6, Fill.RANDOM, random);
            float[] x = KernelCases.numbers(rows * COLUMNS, Fill.RANDOM, random);
            for (WeightLayout layout : layouts) {
                try (Device device = open(activations);
                        Matrices matrices = Matrices.of(device, 6, OUTPUTS, COLUMNS, true, layout, seed);
                        Experts layer = new Experts(device, routing, rows, COLUMNS, OUTPUTS)) {
                    float[] all = layer.run(scores, x, null, null, matrices.group);
                    for (int row = 0; row < rows; row += 1 + row / 4) {
                        float[] alone = layer.run(
                                Arrays.copyOfRange(scores, row * 6, (row + 1) * 6),
                                Arrays.copyOfRange(x, row * COLUMNS, (row + 1) * COLUMNS),
                                null,
                                null,
                                matrices.group);
                        assertThat(alone)
                                .as("%s, row %d of %d (seed %d)", layout, row, rows, seed)
                                .isEqualTo(Arrays.copyOfRange(all, row * OUTPUTS, (row + 1) * OUTPUTS));
                    }
                }
            }
        }
    }

    /** Of equal scores the first experts are chosen; a logit that is no number makes its own row NaN alone. */
    @Test
    public void equalScoresAndLogitsThatAreNoNumbers() {
        Routing routing = new Routing(40, 2, Routing.Score.SOFTMAX, true, 1);
        float[] scores = new float[3 * 40];
        scores[40 + 33] = Float.NaN;
        scores[80 + 37] = 1;
        scores[80 + 38] = 1;
        scores[80 + 39] = -0f;
        try (Device device = open(ActivationType.F32);
                Matrices matrices = Matrices.of(device, 40, 8, 32, false, WeightLayout.F32, seed);
                Experts layer = new Experts(device, routing, 3, 32, 8)) {
            float[] x = KernelCases.numbers(3 * 32, Fill.RANDOM, new SplittableRandom(seed));
            float[] actual = layer.run(scores, x, null, null, matrices.group);
            for (int row = 0; row < 3; row++) {
                float[] own = Arrays.copyOfRange(actual, row * 8, (row + 1) * 8);
                if (row == 1) {
                    for (float each : own) {
                        assertThat(each).isNaN();
                    }
                } else {
                    float[] expected = expected(
                            matrices,
                            routing,
                            Arrays.copyOfRange(scores, row * 40, (row + 1) * 40),
                            Arrays.copyOfRange(x, row * 32, (row + 1) * 32),
                            new float[0],
                            new float[0]);
                    assertClose(own, expected, "row " + row, NMSE);
                }
            }
        }
    }

    /** No rows have no experts, and nothing is done. */
    @Test
    public void noRowsHaveNoExperts() {
        Routing routing = new Routing(4, 2, Routing.Score.SOFTMAX, true, 1);
        try (Device device = open(ActivationType.INT8);
                Matrices matrices = Matrices.of(device, 4, OUTPUTS, COLUMNS, true, WeightLayout.int8(32), seed);
                Experts layer = new Experts(device, routing, 3, COLUMNS, OUTPUTS)) {
            assertThat(layer.run(new float[0], new float[0], null, null, matrices.group))
                    .isEmpty();
        }
    }

    /** A choice counts until it is dropped; that of a pass, which may come back with other rows, within it alone. */
    @Test
    public void choicesCountWhereTheyWereMade() {
        Routing routing = new Routing(4, 2, Routing.Score.SOFTMAX, true, 1);
        try (Device device = open(ActivationType.INT8);
                LinearWeight table =
                        device.upload(KernelCases.matrix(new float[4 * 32], 4, 32), WeightLayout.int8(32));
                KvStore kv = device.allocateKv(new KvShape(1, 1, 32, 2, KvType.F16));
                Routes routes = device.allocateRoutes(3, routing);
                Buffer x = device.allocate(3 * 32 * Float.BYTES);
                Buffer out = device.allocate((long) routes.places(3) * 32 * Float.BYTES)) {
            device.route(x, 3, null, null, routes);
            device.dispatch(x, 32, routes, out);
            device.discard();
            assertThatThrownBy(() -> device.dispatch(x, 32, routes, out))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("No experts are chosen");
            Pass pass = new PassOf(table, kv, rows -> {
                device.route(x, rows.count(), null, null, routes);
                device.dispatch(x, 32, routes, out);
            });
            for (int i = 0; i < 3; i++) {
                BatchRows row = new BatchRows(1, new int[] {i}, new int[][] {{0}});
                device.run(pass, new TokenIds.Given(new int[1]), row);
                device.start();
                assertThatThrownBy(() -> device.combine(out, 32, routes, x)).isInstanceOf(UsageException.class);
                device.route(x, 3, null, null, routes);
                device.combine(out, 32, routes, x);
            }
        }
    }

    /** Rows that fill blocks of threads and that do not, and logits at both ends. */
    @Test
    public void gateRows() {
        for (int columns : new int[] {1, 31, 256, 1000}) {
            int rows = 5;
            float[] values = KernelCases.numbers(rows * columns, Fill.RANDOM, new SplittableRandom(seed));
            compare("gateRows of " + columns, rows * columns, device -> {
                Buffer x = device.upload(values);
                try (Buffer logits = device.upload(new float[] {0, 1.5f, -3, 200, -200})) {
                    device.gateRows(x, rows, columns, logits);
                }
                return x;
            });
        }
    }
}
