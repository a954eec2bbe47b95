package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.Devices;
import dev.demitasse.UsageException;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Gate;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.OutputType;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Rope;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.PackedMatrix;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import dev.demitasse.testkit.KernelCases.AttentionCase;
import dev.demitasse.testkit.KernelCases.Fill;
import dev.demitasse.testkit.KernelCases.LinearCase;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What every device must hold: each operation against the reference device on every case, and the bits of rows alone. */
public abstract class DeviceContractTest {
    /** The bound of FP32 results against FP64 on the same operands (design section 4). */
    private static final double NMSE = 1e-10;

    private static final List<OutputType> NARROW = List.of(OutputType.F16, OutputType.BF16);

    private final String backend;
    private final double attentionBound;
    private final List<Device> compared =
            new ArrayList<>(); // opened once for a test: a GPU takes a part of a second for it
    private final long seed = Long.getLong("demitasse.seed", 20261124L);

    /** For one backend. */
    protected DeviceContractTest(String backend) {
        this(backend, NMSE);
    }

    /** For one backend whose attention works with FP16 operands: {@code attentionBound} is what its kernel states. */
    protected DeviceContractTest(String backend, double attentionBound) {
        this.backend = backend;
        this.attentionBound = attentionBound;
    }

    /** How the device is opened. */
    protected DeviceOptions options(ActivationType activations) {
        return DeviceOptions.defaults().withActivations(activations);
    }

    /** Whether a row's product with such weights has the same bits in any number of rows, opened as {@link #options} says. */
    protected boolean batchInvariant(WeightLayout layout) {
        return true;
    }

    /** How far a product with such weights may be from FP64. */
    protected double linearBound(WeightLayout layout) {
        return NMSE;
    }

    private Device open(ActivationType activations) {
        return Devices.open(backend, options(activations));
    }

    private static Device reference(ActivationType activations) {
        return Devices.open("reference", DeviceOptions.defaults().withActivations(activations));
    }

    private static void assertClose(float[] actual, float[] expected, String what, double bound) {
        double error = 0;
        double power = 0;
        for (int i = 0; i < expected.length; i++) {
            double difference = (double) actual[i] - expected[i];
            error += difference * difference;
            power += (double) expected[i] * expected[i];
        }
        assertThat(error).as("%s: normalised mean square error", what).isLessThanOrEqualTo(bound * power + 1e-30);
    }

    private static float[] read(Buffer buffer, int count) {
        float[] values = new float[count];
        buffer.read(0, MemorySegment.ofArray(values));
        return values;
    }

    /** Runs an operation on the device and on the reference, and compares {@code count} results. */
    private void compare(String what, int count, Function<Device, Buffer> operation) {
        compare(what, count, NMSE, operation);
    }

    private void compare(String what, int count, double bound, Function<Device, Buffer> operation) {
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
                Device reference = reference(activations)) {
            for (LinearCase c : KernelCases.linear()) {
                float[] actual = linear(device, c);
                assertClose(actual, linear(reference, c), c + " (seed " + seed + ")", linearBound(c.layout()));
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

    /** Ties, subnormal numbers, what a type cannot hold, and the smallest that it can; each with weights of zero and itself as bias. */
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
        PackedMatrix zeros = PackedMatrix.pack(
                KernelCases.matrix(new float[numbers.length * 64], numbers.length, 64), WeightLayout.int8(32));
        try (Device device = open(ActivationType.INT8);
                LinearWeight weight = device.upload(zeros);
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

    /** Several weights in one call give what each gives alone, also where their sizes are odd. */
    @ParameterizedTest
    @ValueSource(ints = {1, 6, 9, 17})
    public void projectionsDoNotDependOnEachOther(int rows) {
        SplittableRandom random = new SplittableRandom(seed);
        int columns = 896;
        int[] outputs = {33, 7, 20, 1};
        List<LinearWeight> weights = new ArrayList<>();
        List<Buffer> results = new ArrayList<>();
        try (Device device = open(ActivationType.INT8);
                Buffer in = device.upload(KernelCases.numbers(rows * columns, Fill.RANDOM, random))) {
            try {
                Projection[] together = new Projection[outputs.length];
                for (int i = 0; i < outputs.length; i++) {
                    float[] w = KernelCases.numbers(outputs[i] * columns, Fill.RANDOM, random);
                    weights.add(device.upload(
                            PackedMatrix.pack(KernelCases.matrix(w, outputs[i], columns), WeightLayout.int4(32))));
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

    private float[] linear(Device device, LinearCase c) {
        float[] results = new float[c.rows() * c.outputs()];
        linear(device, c, OutputType.F32, MemorySegment.ofArray(results));
        return results;
    }

    private void linear(Device device, LinearCase c, OutputType type, MemorySegment results) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] w = KernelCases.numbers(c.outputs() * c.columns(), c.fill(), random);
        float[] x = KernelCases.numbers(c.rows() * c.columns(), c.fill(), random);
        float[] b = KernelCases.numbers(c.outputs(), Fill.RANDOM, random);
        PackedMatrix packed = PackedMatrix.pack(KernelCases.matrix(w, c.outputs(), c.columns()), c.layout());
        try (LinearWeight weight = device.upload(packed);
                Buffer in = device.upload(x);
                Buffer bias = device.upload(b);
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
                PackedMatrix packed = PackedMatrix.pack(KernelCases.matrix(w, 40, columns), layout);
                try (LinearWeight weight = device.upload(packed);
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
                if (batchInvariant(c.layout())) {
                    requireSameRowsAlone(device, c);
                }
            }
        }
    }

    /** That rows have the bits alone that they have together. */
    private void requireSameRowsAlone(Device device, LinearCase c) {
        float[] all = linear(device, c);
        SplittableRandom random = new SplittableRandom(seed);
        float[] w = KernelCases.numbers(c.outputs() * c.columns(), c.fill(), random);
        float[] x = KernelCases.numbers(c.rows() * c.columns(), c.fill(), random);
        float[] b = KernelCases.numbers(c.outputs(), Fill.RANDOM, random);
        PackedMatrix packed = PackedMatrix.pack(KernelCases.matrix(w, c.outputs(), c.columns()), c.layout());
        try (LinearWeight weight = device.upload(packed);
                Buffer bias = device.upload(b);
                Buffer out = device.allocate(c.outputs() * 4L)) {
            for (int row = 0; row < c.rows(); row += 5) {
                float[] one = java.util.Arrays.copyOfRange(x, row * c.columns(), (row + 1) * c.columns());
                try (Buffer in = device.upload(one)) {
                    device.linear(in, 1, new Projection(weight, c.bias() ? bias : null, out));
                    assertThat(read(out, c.outputs()))
                            .as("%s row %d (seed %d)", c, row, seed)
                            .isEqualTo(java.util.Arrays.copyOfRange(all, row * c.outputs(), (row + 1) * c.outputs()));
                }
            }
        }
    }

    /** The reference's integers, exactly. */
    @Test
    public void quantizeRows() {
        SplittableRandom random = new SplittableRandom(seed);
        float[] x = KernelCases.numbers(5 * 96, Fill.RANDOM, random);
        java.util.Arrays.fill(x, 0, 32, 0);
        byte[][] q = new byte[2][5 * 96];
        float[][] scales = new float[2][];
        int i = 0;
        for (Device device : List.of(open(ActivationType.INT8), reference(ActivationType.INT8))) {
            try (device;
                    Buffer in = device.upload(x);
                    Buffer out = device.allocate(5 * 96);
                    Buffer groupScales = device.allocate(5 * 3 * 4)) {
                device.quantizeRows(in, 5, 96, out, groupScales);
                out.read(0, MemorySegment.ofArray(q[i]));
                scales[i++] = read(groupScales, 15);
            }
        }
        assertThat(q[0]).isEqualTo(q[1]);
        assertThat(scales[0]).isEqualTo(scales[1]);
    }

    /** Attention over pages in any order, appended in one batch and in several. */
    @ParameterizedTest
    @EnumSource(KvType.class)
    public void attention(KvType type) {
        for (AttentionCase c : KernelCases.attention()) {
            int width = c.heads() * c.headDim();
            int rows = java.util.Arrays.stream(c.rows()).sum();
            compare(c + " " + type, rows * width, attentionBound, device -> attention(device, c, type));
        }
    }

    private Buffer attention(Device device, AttentionCase c, KvType type) {
        SplittableRandom random = new SplittableRandom(seed);
        int pagesEach = (2048 + KvShape.PAGE) / KvShape.PAGE;
        KvShape shape = new KvShape(2, c.kvHeads(), c.headDim(), pagesEach * c.past().length, type);
        int total = java.util.Arrays.stream(c.rows()).sum();
        int[] positions = new int[total];
        int[][] pages = new int[total][];
        Buffer out = device.allocate((long) total * c.heads() * c.headDim() * 4);
        try (KvStore store = device.allocateKv(shape)) {
            int row = 0;
            for (int s = 0; s < c.past().length; s++) {
                int[] table = new int[pagesEach];
                for (int p = 0; p < pagesEach; p++) {
                    table[p] = (pagesEach - 1 - p) * c.past().length + s;
                }
                fill(device, store, c, table, c.past()[s] + c.rows()[s], random);
                for (int i = 0; i < c.rows()[s]; i++) {
                    positions[row] = c.past()[s] + i;
                    pages[row++] = table;
                }
            }
            float[] queries = KernelCases.numbers(total * c.heads() * c.headDim(), Fill.RANDOM, random);
            AttentionShape attention = new AttentionShape(
                    c.heads(), c.kvHeads(), c.headDim(), (float) (1 / Math.sqrt(c.headDim())), c.softCap(), c.window());
            try (Buffer q = device.upload(queries)) {
                device.attention(q, store, 1, attention, new BatchRows(total, positions, pages), out);
            }
        }
        return out;
    }

    private static void fill(
            Device device, KvStore store, AttentionCase c, int[] table, int count, SplittableRandom random) {
        int[] positions = new int[count];
        int[][] pages = new int[count][];
        for (int i = 0; i < count; i++) {
            positions[i] = i;
            pages[i] = table;
        }
        float[] k = KernelCases.numbers(count * c.kvHeads() * c.headDim(), Fill.RANDOM, random);
        float[] v = KernelCases.numbers(count * c.kvHeads() * c.headDim(), Fill.RANDOM, random);
        try (Buffer keys = device.upload(k);
                Buffer values = device.upload(v)) {
            device.kvAppend(store, 1, keys, values, new BatchRows(count, positions, pages));
        }
    }

    /** Every length, several rows. */
    @Test
    public void rmsNorm() {
        for (int columns : KernelCases.lengths()) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] x = KernelCases.numbers(3 * columns, Fill.RANDOM, random);
            float[] w = KernelCases.numbers(columns, Fill.RANDOM, random);
            compare("rmsNorm of " + columns, 3 * columns, device -> {
                Buffer in = device.upload(x);
                try (Buffer weight = device.upload(w)) {
                    device.rmsNorm(in, weight, 3, columns, 1e-5f, in);
                }
                return in;
            });
        }
    }

    /** Both pairings, with a part of the head that is not rotated. */
    @ParameterizedTest
    @EnumSource(Rope.class)
    public void rope(Rope kind) {
        for (int[] size : new int[][] {{1, 1, 2, 2}, {3, 2, 16, 16}, {5, 3, 80, 64}, {40, 4, 64, 64}}) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] x = KernelCases.numbers(size[0] * size[1] * size[2], Fill.RANDOM, random);
            float[] angles = new float[size[0] * size[3]];
            for (int i = 0; i < angles.length; i += 2) {
                double angle = random.nextDouble(100);
                angles[i] = (float) Math.cos(angle);
                angles[i + 1] = (float) Math.sin(angle);
            }
            compare("rope " + kind, x.length, device -> {
                Buffer values = device.upload(x);
                try (Buffer table = device.upload(angles)) {
                    device.rope(values, size[0], size[1], size[2], size[3], kind, table);
                }
                return values;
            });
        }
    }

    /** Every length, also far from zero. */
    @ParameterizedTest
    @EnumSource(Gate.class)
    public void gatedActivation(Gate gate) {
        for (int count : KernelCases.lengths()) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] g = KernelCases.numbers(count, Fill.RANDOM, random);
            g[0] = -200;
            g[count - 1] = 200;
            float[] up = KernelCases.numbers(count, Fill.RANDOM, random);
            compare(gate + " of " + count, count, device -> {
                Buffer in = device.upload(g);
                try (Buffer factor = device.upload(up)) {
                    device.gatedActivation(gate, in, factor, count, in);
                }
                return in;
            });
        }
    }

    /** Every length. */
    @Test
    public void addAndSoftCap() {
        for (int count : KernelCases.lengths()) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] x = KernelCases.numbers(count, Fill.RANDOM, random);
            float[] y = KernelCases.numbers(count, Fill.RANDOM, random);
            compare("add and softCap of " + count, count, device -> {
                Buffer sum = device.upload(x);
                try (Buffer addend = device.upload(y)) {
                    device.add(sum, addend, count);
                    device.softCap(sum, count, 3);
                }
                return sum;
            });
        }
    }

    /** Rows in any order, of every layout. */
    @Test
    public void embedAndGatherRows() {
        for (WeightLayout layout :
                List.of(WeightLayout.F32, WeightLayout.F16, WeightLayout.int8(32), WeightLayout.int4(32))) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] w = KernelCases.numbers(37 * 64, Fill.RANDOM, random);
            int[] ids = {36, 0, 17, 17, 5};
            compare("embed " + layout, 3 * 64, device -> {
                PackedMatrix packed = PackedMatrix.pack(KernelCases.matrix(w, 37, 64), layout);
                Buffer picked = device.allocate(3 * 64 * 4);
                try (LinearWeight table = device.upload(packed);
                        Buffer rows = device.allocate(5 * 64 * 4)) {
                    device.embed(table, ids, 5, 8f, rows);
                    device.gatherRows(rows, 64, new int[] {4, 0, 2}, picked);
                }
                return picked;
            });
        }
    }

    /**
     * The tokens of {@link Draw#choose}, for few and many columns, ties and infinities included. The logits are of a fixed seed, with
     * which no point lies on the border of two tokens.
     */
    @ParameterizedTest
    @ValueSource(ints = {1, 4, 33, 1000, 2050})
    public void sample(int columns) {
        float[][] rows = KernelCases.logits(columns, new SplittableRandom(20261125));
        float[] logits = new float[rows.length * columns];
        for (int r = 0; r < rows.length; r++) {
            System.arraycopy(rows[r], 0, logits, r * columns, columns);
        }
        try (Device device = open(ActivationType.F32);
                Buffer x = device.upload(logits)) {
            for (int number = 0; number < 12; number++) {
                for (Draw kind : KernelCases.draws(number)) {
                    List<Draw> draws = Collections.nCopies(rows.length, kind);
                    int[] tokens = new int[rows.length];
                    device.sample(x, columns, draws, tokens);
                    for (int r = 0; r < rows.length; r++) {
                        assertThat(tokens[r])
                                .as("row %d of %d columns, %s", r, columns, kind)
                                .isEqualTo(kind.choose(rows[r]));
                    }
                }
            }
        }
    }

    /** Misuse ends in an exception, never in a crash. */
    @Test
    public void refusesBuffersThatAreTooShortOrClosed() {
        try (Device device = open(ActivationType.F32)) {
            Buffer small = device.allocate(16);
            Buffer large = device.allocate(64);
            assertThatThrownBy(() -> device.add(small, large, 16)).isInstanceOf(UsageException.class);
            assertThatThrownBy(() -> device.add(large, large, -1)).isInstanceOf(UsageException.class);
            assertThatThrownBy(() -> device.rmsNorm(large, large, -1, 4, 1e-5f, large))
                    .isInstanceOf(UsageException.class);
            small.close();
            assertThatThrownBy(() -> device.add(large, small, 4)).isInstanceOf(UsageException.class);
            large.close();
        }
    }
}
