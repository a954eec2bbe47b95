package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.Device;
import dev.demitasse.device.ScanShape;
import dev.demitasse.device.ScanWeights;
import dev.demitasse.testkit.KernelCases.Fill;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** What operations with a state for each sequence must hold. */
public abstract class StateContractTest extends GroupContractTest {
    private static final int SLOTS = 3;

    /** Page tables of two sequences, whose states have neither the order of the sequences nor their numbers. */
    private static final int[][] TABLES = {{2, 7}, {0, 5}};

    /** Positions of both sequences in the two batches of a test. */
    private static final List<BatchRows> BATCHES =
            List.of(rows(new int[] {0, 1, 2, 3, 4}, new int[] {0}), rows(new int[] {5}, new int[] {1, 2, 3, 4, 5, 6}));

    private static final DeltaShape[] SHAPES = {
        new DeltaShape(1, 1, 1, false, 1e-6f),
        new DeltaShape(2, 4, 16, false, 1e-6f),
        new DeltaShape(2, 4, 20, true, 1e-6f),
        new DeltaShape(1, 3, 64, false, 1e-6f),
        new DeltaShape(2, 4, 128, true, 1e-5f),
        new DeltaShape(1, 1, 250, false, 1e-6f)
    };

    private static final ScanShape[] SCANS = {
        new ScanShape(1, 1, 1, 1),
        new ScanShape(1, 4, 16, 16),
        new ScanShape(2, 4, 20, 7),
        new ScanShape(1, 3, 64, 128),
        new ScanShape(4, 4, 130, 60),
        new ScanShape(1, 2, 33, 250)
    };

    /** For one backend. */
    protected StateContractTest(String backend) {
        super(backend);
    }

    private static BatchRows rows(int[]... positions) {
        int count = Arrays.stream(positions).mapToInt(part -> part.length).sum();
        int[] all = new int[count];
        int[][] pages = new int[count][];
        int row = 0;
        for (int sequence = 0; sequence < positions.length; sequence++) {
            for (int position : positions[sequence]) {
                all[row] = position;
                pages[row++] = TABLES[sequence];
            }
        }
        return new BatchRows(count, all, pages);
    }

    /** An operation on rows, whose input are rows from {@code first} on of what the seed gives. */
    private interface Operation {
        void run(Device device, int first, Buffer state, BatchRows rows, Buffer out);
    }

    /** Rows of random input. */
    private Buffer input(Device device, int number, int first, BatchRows rows, int columns) {
        SplittableRandom random = new SplittableRandom(seed + number);
        float[] all = KernelCases.numbers((first + rows.count()) * columns, Fill.RANDOM, random);
        return device.upload(Arrays.copyOfRange(all, first * columns, all.length));
    }

    /** A state that must not count, since sequences begin. */
    private static Buffer state(Device device, long elements) {
        float[] values = new float[Math.toIntExact(SLOTS * elements)];
        Arrays.fill(values, Float.NaN);
        return device.upload(values);
    }

    /** The results of the second batch, which depend on what the first one left; and rows alone, bit for bit. */
    private void compare(String name, long stateElements, int columns, Operation operation) {
        compare(name, BATCHES.getLast().count() * columns, device -> {
            Buffer out = device.allocate((long) BATCHES.getLast().count() * columns * Float.BYTES);
            try (Buffer state = state(device, stateElements)) {
                for (BatchRows rows : BATCHES) {
                    operation.run(device, rows.positions()[0], state, rows, out);
                }
            }
            return out;
        });
        int[] positions = {0, 1, 2, 3, 4};
        try (Device device = open(ActivationType.F32);
                Buffer out = device.allocate((long) positions.length * columns * Float.BYTES);
                Buffer state = state(device, stateElements)) {
            operation.run(device, 0, state, rows(positions), out);
            float[] expected = read(out, positions.length * columns);
            for (int position : positions) {
                operation.run(device, position, state, rows(new int[] {position}), out);
                assertThat(read(out, columns))
                        .as(name + ", seed " + seed + ": row " + position + " alone")
                        .containsExactly(Arrays.copyOfRange(expected, position * columns, (position + 1) * columns));
            }
        }
    }

    /** Channels that fill vectors and that do not, kernels of all lengths in use. */
    @Test
    public void convolve() {
        for (int channels : new int[] {1, 3, 32, 100, 515}) {
            for (int kernel : new int[] {2, 3, 4, 16}) {
                boolean silu = kernel % 2 == 0;
                boolean biased = kernel % 3 == 0;
                float[] w = KernelCases.numbers(kernel * channels, Fill.RANDOM, new SplittableRandom(seed));
                compare(
                        "convolve " + channels + " channels by " + kernel,
                        (kernel - 1L) * channels,
                        channels,
                        (device, first, state, rows, out) -> {
                            try (Buffer in = input(device, 0, first, rows, channels);
                                    Buffer weight = device.upload(w)) {
                                Buffer bias = biased ? weight : null; // its first row
                                device.convolve(in, weight, bias, channels, kernel, silu, state, rows, out);
                            }
                        });
            }
        }
    }

    /** Heads of all sizes, keys shared either way. */
    @Test
    public void deltaRule() {
        for (DeltaShape shape : SHAPES) {
            SplittableRandom weights = new SplittableRandom(seed);
            float[] biases = KernelCases.numbers(shape.heads(), Fill.RANDOM, weights);
            float[] rates = KernelCases.numbers(shape.heads(), Fill.RANDOM, weights);
            for (int i = 0; i < rates.length; i++) {
                rates[i] = -Math.abs(rates[i]);
            }
            compare("deltaRule " + shape, shape.stateElements(), shape.values(), (device, first, state, rows, out) -> {
                try (Buffer in = input(device, 0, first, rows, shape.columns());
                        Buffer b = input(device, 1, first, rows, shape.heads());
                        Buffer a = input(device, 2, first, rows, shape.heads());
                        Buffer bias = device.upload(biases);
                        Buffer rate = device.upload(rates)) {
                    device.deltaRule(in, b, a, bias, rate, shape, state, rows, out);
                }
            });
        }
    }

    /** Heads and states of all sizes. */
    @Test
    public void selectiveScan() {
        for (ScanShape shape : SCANS) {
            SplittableRandom weights = new SplittableRandom(seed);
            float[] biases = KernelCases.numbers(shape.heads(), Fill.RANDOM, weights);
            float[] skips = KernelCases.numbers(shape.heads(), Fill.RANDOM, weights);
            float[] rates = KernelCases.numbers(shape.heads(), Fill.RANDOM, weights);
            for (int i = 0; i < rates.length; i++) {
                rates[i] = -Math.abs(rates[i]);
            }
            String name = "selectiveScan " + shape;
            compare(name, shape.stateElements(), shape.values(), (device, first, state, rows, out) -> {
                try (Buffer in = input(device, 0, first, rows, shape.columns());
                        Buffer steps = input(device, 1, first, rows, shape.heads());
                        Buffer bias = device.upload(biases);
                        Buffer rate = device.upload(rates);
                        Buffer skip = device.upload(skips)) {
                    device.selectiveScan(in, steps, new ScanWeights(bias, rate, skip), shape, state, rows, out);
                }
            });
        }
    }

    /** A number that is none makes those that depend on it none, and leaves other heads and channels alone. */
    @Test
    public void notANumberStaysNone() {
        DeltaShape shape = new DeltaShape(1, 2, 4, false, 1e-6f);
        BatchRows first = rows(new int[] {0, 1});
        try (Device device = open(ActivationType.F32);
                Buffer x = device.upload(filled(2 * shape.columns(), -1));
                Buffer b = device.upload(filled(4, -1));
                Buffer a = device.upload(filled(4, 1)); // of the first row's second head
                Buffer ones = device.upload(filled(2, -1));
                Buffer state = state(device, shape.stateElements());
                Buffer out = device.allocate(2L * shape.values() * Float.BYTES)) {
            device.deltaRule(x, b, a, ones, ones, shape, state, first, out);
            float[] results = read(out, 2 * shape.values());
            for (int i = 0; i < results.length; i++) {
                assertThat(Float.isNaN(results[i])).as("element " + i).isEqualTo(i / 4 % 2 == 1);
            }
        }
        try (Device device = open(ActivationType.F32);
                Buffer x = device.upload(filled(2 * 3, 1)); // of the first row's second channel
                Buffer weight = device.upload(filled(2 * 3, -1));
                Buffer state = state(device, 3);
                Buffer out = device.allocate(2L * 3 * Float.BYTES)) {
            device.convolve(x, weight, null, 3, 2, true, state, first, out);
            float[] results = read(out, 2 * 3);
            for (int i = 0; i < results.length; i++) {
                assertThat(Float.isNaN(results[i])).as("element " + i).isEqualTo(i % 3 == 1);
            }
        }
    }

    /** Ones, and at one place what is no number. */
    private static float[] filled(int count, int none) {
        float[] values = new float[count];
        Arrays.fill(values, 1);
        if (none >= 0) {
            values[none] = Float.NaN;
        }
        return values;
    }
}
