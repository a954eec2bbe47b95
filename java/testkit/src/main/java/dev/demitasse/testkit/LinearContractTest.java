package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.Devices;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.OutputType;
import dev.demitasse.device.Projection;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.KernelCases.Fill;
import dev.demitasse.testkit.KernelCases.LinearCase;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What every device's products must hold: {@code linear} against the reference device on every case, and the bits of
 * rows alone.
 */
public abstract class LinearContractTest extends DoorContractTest {
    /** The bound of FP32 results against FP64 on the same operands (design section 4). */
    static final double NMSE = 1e-10;

    private static final List<OutputType> NARROW = List.of(OutputType.F16, OutputType.BF16);

    /** Opened once for a test: a GPU takes a part of a second for it. */
    private final List<Device> compared = new ArrayList<>();

    /** For one backend. */
    protected LinearContractTest(String backend) {
        super(backend);
    }

    /** Whether a case's activations stay FP32 numbers on a device that was opened with others. */
    protected boolean exactActivations(LinearCase c, ActivationType activations) {
        return false;
    }

    /**
     * Whether a case's rows have the same bits in any number of them, on a device opened with {@code activations} as
     * {@link #options} says.
     */
    protected boolean batchInvariant(LinearCase c, ActivationType activations) {
        return true;
    }

    /** How far a case's product may be from FP64. */
    protected double linearBound(LinearCase c, ActivationType activations) {
        return NMSE;
    }

    static Device reference(ActivationType activations) {
        return Devices.open("reference", DeviceOptions.defaults().withActivations(activations));
    }

    static void assertClose(float[] actual, float[] expected, String what, double bound) {
        double error = 0;
        double power = 0;
        for (int i = 0; i < expected.length; i++) {
            double difference = (double) actual[i] - expected[i];
            error += difference * difference;
            power += (double) expected[i] * expected[i];
        }
        assertThat(error).as("%s: normalized mean square error", what).isLessThanOrEqualTo(bound * power + 1e-30);
    }

    /** Runs an operation on the device and on the reference, and compares {@code count} results. */
    void compare(String what, int count, Function<Device, Buffer> operation) {
        compare(what, count, NMSE, operation);
    }

    void compare(String what, int count, double bound, Function<Device, Buffer> operation) {
        if (compared.isEmpty()) {
            compared.add(open(ActivationType.INT8));
            compared.add(reference(ActivationType.INT8));
        }
        try (Buffer actual = operation.apply(compared.getFirst());
                Buffer expected = operation.apply(compared.getLast())) {
            assertClose(read(actual, count), read(expected, count), what + " (seed " + seed + ")", bound);
        }
    }

    /** Closes the devices that results were compared of. */
    @AfterEach
    public void closeCompared() {
        compared.forEach(Device::close);
    }

    /** Integer layouts with both kinds of activations, floating-point ones with theirs. */
    @ParameterizedTest
    @EnumSource(ActivationType.class)
    public void linear(ActivationType activations) {
        try (Device device = open(activations);
                Device reference = reference(activations);
                Device exact = reference(ActivationType.F32)) {
            for (LinearCase c : KernelCases.linear()) {
                float[] actual = linear(device, c);
                float[] expected = linear(exactActivations(c, activations) ? exact : reference, c);
                assertClose(actual, expected, c + " (seed " + seed + ")", linearBound(c, activations));
            }
        }
    }

    /** Results of 16 bits are those of 32, rounded, whichever kernel takes a case. */
    @ParameterizedTest
    @EnumSource(ActivationType.class)
    public void narrowResultsAreRoundedOnes(ActivationType activations) {
        try (Device device = open(activations)) {
            int number = 0;
            for (LinearCase c : KernelCases.linear()) {
                OutputType type = NARROW.get(number++ % NARROW.size());
                float[] wide = linear(device, c);
                short[] narrow = new short[wide.length];
                linear(device, c, type, MemorySegment.ofArray(narrow));
                for (int i = 0; i < wide.length; i++) {
                    assertThat(narrow[i])
                            .as("%s %s element %d of %s (seed %d)", c, type, i, wide[i], seed)
                            .isEqualTo(type.narrow(wide[i]));
                }
            }
        }
    }

    /**
     * Ties, subnormal numbers, what a type cannot hold, and the smallest that it can; each with weights of zero and
     * itself as bias.
     */
    @Test
    public void narrowResultsAreNearest() {
        float[] numbers = {
            1,
            1 + 0x1p-11f,
            1 + 0x3p-11f,
            1 + 0x1.01p-11f,
            -1 - 0x1p-8f,
            1 + 0x3p-8f,
            0x1p-24f,
            0x1p-25f,
            0x1.8p-25f,
            0x1.8p-24f,
            -0x1.ffcp-15f,
            0x1p-133f,
            0x1p-134f,
            0x1.8p-133f,
            65504,
            65519.996f,
            65520,
            -65520,
            1e6f,
            Float.MAX_VALUE,
            0x1.fdp127f,
            Float.POSITIVE_INFINITY,
            Float.NEGATIVE_INFINITY,
            Float.NaN,
            1e-30f,
            0
        };
        MatrixSource zeros = KernelCases.matrix(new float[numbers.length * 64], numbers.length, 64);
        try (Device device = open(ActivationType.INT8);
                LinearWeight weight = device.upload(zeros, WeightLayout.int8(32));
                Buffer in = device.upload(new float[20 * 64]);
                Buffer bias = device.upload(numbers)) {
            for (OutputType type : NARROW) {
                for (int rows : new int[] {1, 3, 20}) {
                    try (Buffer out = device.allocate((long) rows * numbers.length * type.bytes())) {
                        device.linear(in, rows, new Projection(weight, bias, out, type));
                        short[] bits = new short[rows * numbers.length];
                        out.read(0, MemorySegment.ofArray(bits));
                        for (int i = 0; i < bits.length; i++) {
                            float number = numbers[i % numbers.length];
                            assertThat((Object) type.widen(bits[i])) // an object, so that NaN equals NaN
                                    .as("%s of %s, %d rows", type, number, rows)
                                    .isEqualTo(type.widen(type.narrow(number)));
                        }
                    }
                }
            }
        }
    }

    /**
     * A row with NaN or an infinity is NaN in all its outputs; one of numbers whose scale has an infinite reciprocal
     * counts as zeros where activations are integers; other rows do not notice. In every layout, by every kernel.
     */
    @ParameterizedTest
    @EnumSource(ActivationType.class)
    public void specialValuesMakeTheirRowNanAndNoOther(ActivationType activations) {
        int columns = 96;
        int outputs = 34;
        SplittableRandom random = new SplittableRandom(seed);
        float[] w = KernelCases.numbers(outputs * columns, Fill.RANDOM, random);
        w[5] = 0;
        float[] row = KernelCases.numbers(columns, Fill.RANDOM, random);
        try (Device device = open(activations)) {
            for (WeightLayout layout : KernelCases.layouts()) {
                boolean integers = activations.integers() && layout.element().quantized();
                try (LinearWeight weight = device.upload(KernelCases.matrix(w, outputs, columns), layout)) {
                    for (int rows : new int[] {1, 3, 9, 20, 70}) {
                        float[] plain = multiply(device, weight, repeated(row, rows), rows);
                        for (float special : new float[] {
                            Float.NaN, Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY, 1e-37f, -1e-38f, 1e-44f
                        }) {
                            float[] x = repeated(row, rows);
                            int at = rows / 2;
                            boolean tiny = Float.isFinite(special);
                            Arrays.fill(
                                    x, at * columns + (tiny ? 0 : 57), at * columns + (tiny ? columns : 58), special);
                            float[] y = multiply(device, weight, x, rows);
                            for (int i = 0; i < y.length; i++) {
                                Object result = y[i]; // an object, so that NaN equals NaN
                                Object expected = i / outputs != at ? plain[i] : tiny ? 0f : Float.NaN;
                                if (i / outputs == at && tiny && !integers) {
                                    result = Math.abs(y[i]) < 1e-33f ? 0f : y[i];
                                }
                                assertThat(result)
                                        .as("%s, %d rows, %s: element %d (seed %d)", layout, rows, special, i, seed)
                                        .isEqualTo(expected);
                            }
                        }
                    }
                }
            }
        }
    }

    private static float[] repeated(float[] row, int rows) {
        float[] all = new float[row.length * rows];
        for (int r = 0; r < rows; r++) {
            System.arraycopy(row, 0, all, r * row.length, row.length);
        }
        return all;
    }

    private static float[] multiply(Device device, LinearWeight weight, float[] x, int rows) {
        try (Buffer in = device.upload(x);
                Buffer out = device.allocate(4L * rows * weight.rows())) {
            device.linear(in, rows, new Projection(weight, null, out));
            return read(out, rows * weight.rows());
        }
    }

    /** Several weights in one call give what each gives alone, also where their sizes are odd. */
    @ParameterizedTest
    @ValueSource(ints = {1, 6, 9, 17})
    public void projectionsDoNotDependOnEachOther(int rows) {
        SplittableRandom random = new SplittableRandom(seed);
        int columns = 896;
        int[] outputs = {33, 7, 20, 1, 18};
        List<LinearWeight> weights = new ArrayList<>();
        List<Buffer> results = new ArrayList<>();
        try (Device device = open(ActivationType.INT8);
                Buffer in = device.upload(KernelCases.numbers(rows * columns, Fill.RANDOM, random))) {
            try {
                Projection[] together = new Projection[outputs.length];
                for (int i = 0; i < outputs.length; i++) {
                    float[] w = KernelCases.numbers(outputs[i] * columns, Fill.RANDOM, random);
                    weights.add(device.upload(KernelCases.matrix(w, outputs[i], columns), WeightLayout.int4(32)));
                    results.add(device.allocate(4L * rows * outputs[i]));
                    together[i] = new Projection(weights.get(i), null, results.get(i));
                }
                device.linear(in, rows, together);
                for (int i = 0; i < outputs.length; i++) {
                    float[] actual = read(results.get(i), rows * outputs[i]);
                    device.linear(in, rows, together[i]);
                    assertThat(actual)
                            .as("weight %d, seed %d", i, seed)
                            .isEqualTo(read(results.get(i), rows * outputs[i]));
                }
            } finally {
                weights.forEach(LinearWeight::close);
                results.forEach(Buffer::close);
            }
        }
    }

    /**
     * Types of levels, and columns that leave a part of a tile empty; of codebooks and of three values, of which no
     * model is run: {@link TypeContractTest} runs one of each other type.
     */
    private static final Map<TensorType, Integer> LEVELS = new TreeMap<>(Map.of(
            TensorType.IQ4_NL, 352,
            TensorType.IQ4_XS, 512,
            TensorType.MXFP4, 224,
            TensorType.NVFP4, 448,
            TensorType.IQ2_S, 256,
            TensorType.IQ2_XS, 512,
            TensorType.IQ1_S, 256,
            TensorType.IQ1_M, 256,
            TensorType.TQ1_0, 512,
            TensorType.TQ2_0, 256));

    /** Matrices of a file's levels, as they come from there, and as tables of embeddings. */
    @ParameterizedTest
    @EnumSource(ActivationType.class)
    public void levelsOfFilesMatchTheReference(ActivationType activations) {
        int outputs = 37;
        int[] ids = {36, 0, 8, 17};
        LEVELS.forEach((type, columns) -> {
            SplittableRandom random = new SplittableRandom(seed);
            MatrixSource source = KernelCases.blocks(type, outputs, columns, random);
            for (int rows : new int[] {1, 3, 7, 20, 70}) {
                float[] x = KernelCases.numbers(rows * columns, Fill.RANDOM, random);
                List<float[]> products = new ArrayList<>();
                List<float[]> embedded = new ArrayList<>();
                for (Device each : List.of(open(activations), reference(activations))) {
                    try (each;
                            LinearWeight weight = each.upload(source, type.layout());
                            Buffer out = each.allocate((long) ids.length * columns * Float.BYTES)) {
                        products.add(multiply(each, weight, x, rows));
                        each.embed(weight, ids, ids.length, 1.5f, out);
                        embedded.add(read(out, ids.length * columns));
                    }
                }
                String what = type + ", " + rows + " rows (seed " + seed + ")";
                assertClose(products.getFirst(), products.getLast(), what, NMSE);
                assertThat(embedded.getFirst()).as(what).isEqualTo(embedded.getLast());
            }
        });
    }

    /** Matrices of different levels, and of none, in one call. */
    @ParameterizedTest
    @ValueSource(ints = {1, 6, 17})
    public void projectionsKeepTheirLevels(int rows) {
        int columns = 256;
        SplittableRandom random = new SplittableRandom(seed);
        List<LinearWeight> weights = new ArrayList<>();
        List<Buffer> results = new ArrayList<>();
        try (Device device = open(ActivationType.INT8);
                Buffer in = device.upload(KernelCases.numbers(rows * columns, Fill.RANDOM, random))) {
            try {
                List<Projection> together = new ArrayList<>();
                for (TensorType type :
                        List.of(TensorType.IQ4_NL, TensorType.MXFP4, TensorType.Q8_0, TensorType.IQ4_XS)) {
                    weights.add(device.upload(KernelCases.blocks(type, 24, columns, random), type.layout()));
                    results.add(device.allocate(4L * rows * 24));
                    together.add(new Projection(weights.getLast(), null, results.getLast()));
                }
                device.linear(in, rows, together.toArray(Projection[]::new));
                for (int i = 0; i < together.size(); i++) {
                    float[] actual = read(results.get(i), rows * 24);
                    device.linear(in, rows, together.get(i));
                    assertThat(actual).as("weight %d, seed %d", i, seed).isEqualTo(read(results.get(i), rows * 24));
                }
            } finally {
                weights.forEach(LinearWeight::close);
                results.forEach(Buffer::close);
            }
        }
    }

    /** A case's numbers. */
    private record Operands(MatrixSource matrix, float[] x, float[] bias) {}

    private Operands operands(LinearCase c) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] w = KernelCases.numbers(c.outputs() * c.columns(), c.fill(), random);
        float[] x = KernelCases.numbers(c.rows() * c.columns(), c.fill(), random);
        float[] b = KernelCases.numbers(c.outputs(), Fill.RANDOM, random);
        return new Operands(KernelCases.matrix(w, c.outputs(), c.columns()), x, b);
    }

    private float[] linear(Device device, LinearCase c) {
        float[] results = new float[c.rows() * c.outputs()];
        linear(device, c, OutputType.F32, MemorySegment.ofArray(results));
        return results;
    }

    private void linear(Device device, LinearCase c, OutputType type, MemorySegment results) {
        Operands operands = operands(c);
        try (LinearWeight weight = device.upload(operands.matrix, c.layout());
                Buffer in = device.upload(operands.x);
                Buffer bias = device.upload(operands.bias);
                Buffer out = device.allocate(results.byteSize())) {
            device.linear(in, c.rows(), new Projection(weight, c.bias() ? bias : null, out, type));
            out.read(0, results);
        }
    }

    /** With scales of one and integers for numbers, results are integers, and equal to the last bit. */
    @Test
    public void integerSumsAreExact() {
        for (WeightLayout layout : List.of(WeightLayout.int8(32), WeightLayout.int4(32), WeightLayout.int8(16))) {
            int limit = layout.element() == WeightLayout.Element.INT8 ? 127 : 7;
            SplittableRandom random = new SplittableRandom(seed);
            int columns = 320;
            float[] w = integers(40 * columns, columns, limit, random);
            float[] x = integers(6 * columns, columns, 127, random);
            try (Device device = open(ActivationType.INT8)) {
                try (LinearWeight weight = device.upload(KernelCases.matrix(w, 40, columns), layout);
                        Buffer in = device.upload(x);
                        Buffer out = device.allocate(6 * 40 * 4)) {
                    device.linear(in, 6, new Projection(weight, null, out));
                    float[] y = read(out, 6 * 40);
                    for (int i = 0; i < y.length; i++) {
                        long sum = 0;
                        for (int k = 0; k < columns; k++) {
                            sum += (long) ((double) w[i % 40 * columns + k] * x[i / 40 * columns + k]);
                        }
                        assertThat(y[i])
                                .as("%s element %d (seed %d)", layout, i, seed)
                                .isEqualTo((float) sum);
                    }
                }
            }
        }
    }

    /** Integers within the limit; each group of 16 has the limit itself, so that its scale is one. */
    private static float[] integers(int count, int columns, int limit, SplittableRandom random) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = i % columns % 16 == 0 ? limit : random.nextInt(-limit, limit + 1);
        }
        return values;
    }

    /** A row has the same bits alone and among others. */
    @ParameterizedTest
    @EnumSource(ActivationType.class)
    public void linearRowsDoNotDependOnTheBatch(ActivationType activations) {
        try (Device device = open(activations)) { // one for all: a GPU takes a part of a second to open
            for (LinearCase c : KernelCases.linear()) {
                if (batchInvariant(c, activations)) {
                    requireSameRowsAlone(device, c);
                }
            }
        }
    }

    /** That rows have the bits alone that they have together. */
    private void requireSameRowsAlone(Device device, LinearCase c) {
        float[] all = linear(device, c);
        Operands operands = operands(c);
        try (LinearWeight weight = device.upload(operands.matrix, c.layout());
                Buffer bias = device.upload(operands.bias);
                Buffer out = device.allocate(c.outputs() * 4L)) {
            for (int row = 0; row < c.rows(); row += 5) {
                float[] one = Arrays.copyOfRange(operands.x, row * c.columns(), (row + 1) * c.columns());
                try (Buffer in = device.upload(one)) {
                    device.linear(in, 1, new Projection(weight, c.bias() ? bias : null, out));
                    assertThat(read(out, c.outputs()))
                            .as("%s row %d (seed %d)", c, row, seed)
                            .isEqualTo(Arrays.copyOfRange(all, row * c.outputs(), (row + 1) * c.outputs()));
                }
            }
        }
    }
}
