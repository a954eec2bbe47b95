package dev.demitasse.bench;

import dev.demitasse.Devices;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.OutputType;
import dev.demitasse.device.Projection;
import dev.demitasse.device.TokenBuffer;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import dev.demitasse.testkit.KernelCases;
import dev.demitasse.testkit.KernelCases.BenchmarkCase;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import org.jspecify.annotations.Nullable;

/**
 * Single operations of any device, one JSON line each, without JMH: what a machine with a GPU, and neither network nor
 * build tools, runs. Weights and caches are as many as it takes to be larger than any cache; all of them are read in
 * one list of operations, so the time of one is the list's divided by their number. Median of many lists; bytes are
 * those of weights, scales and caches.
 */
public final class DeviceBenchmark {
    /** Bytes that one list reads at least: more than the second-level cache of any GPU. */
    private static final long COLD_BYTES = 256L << 20;

    /** What the host waits for takes about that long. */
    private static final double LIST_SECONDS = 4e-3;

    private final String backend;
    private final Mode mode;
    private @Nullable String instructions;

    /** How much is measured; the sizes are those of the set of the same name in {@code cases.txt}. */
    private enum Mode {
        FULL("full", COLD_BYTES, 20),
        /** Small sizes that only show that everything runs. */
        QUICK("quick", 0, 3),
        /** Every kernel once, for a profiler. */
        ONCE("once", 0, 0);

        private final String set;
        private final long coldBytes;
        private final int runs;

        Mode(String set, long coldBytes, int runs) {
            this.set = set;
            this.coldBytes = coldBytes;
            this.runs = runs;
        }
    }

    private DeviceBenchmark(String backend, Mode mode) {
        this.backend = backend;
        this.mode = mode;
    }

    /**
     * Arguments: a backend's name; {@code --quick} for small sizes that only show that everything runs, {@code --once}
     * to run every kernel once under a profiler; and what to measure, where that is not everything: {@code int4 int8
     * w8a8 mma f16 attention sample}.
     */
    public static void main(String[] arguments) {
        List<String> options = Arrays.asList(arguments).subList(1, arguments.length);
        DeviceBenchmark benchmark = new DeviceBenchmark(
                arguments[0],
                options.contains("--quick") ? Mode.QUICK : options.contains("--once") ? Mode.ONCE : Mode.FULL);
        Map<String, Runnable> parts = new LinkedHashMap<>();
        parts.put("int4", () -> benchmark.linear(ActivationType.INT8, TensorType.Q4_0, WeightLayout.int4(32)));
        parts.put("int8", () -> benchmark.linear(ActivationType.INT8, TensorType.Q8_0, WeightLayout.int8(32)));
        parts.put("w8a8", benchmark::w8a8);
        parts.put("mma", benchmark::mma);
        parts.put("f16", () -> benchmark.linear(ActivationType.F32, TensorType.F16, WeightLayout.F16));
        parts.put("attention", () -> Arrays.asList(KvType.values()).forEach(benchmark::attention));
        parts.put("sample", benchmark::sample);
        boolean all = options.stream().noneMatch(parts::containsKey);
        parts.forEach((name, part) -> {
            if (all || options.contains(name)) {
                part.run();
            }
        });
    }

    private void w8a8() {
        linear(ActivationType.INT8_ROW, TensorType.F16, WeightLayout.int8(WeightLayout.ROW));
    }

    /** W8A8 by the instructions of all GPUs, where a newer one has others by default. */
    private void mma() {
        if (backend.equals("cuda")) {
            instructions = "mma";
            w8a8();
            instructions = null;
        }
    }

    private Device open(ActivationType activations) {
        return Devices.open(
                backend, DeviceOptions.defaults().withActivations(activations).withInstructionSet(instructions));
    }

    /** Matrices in {@code layout}, of random blocks of a file's type. */
    private void linear(ActivationType activations, TensorType type, WeightLayout layout) {
        for (BenchmarkCase c : KernelCases.benchmarks(mode.set, "linear")) {
            int outputs = c.sizes()[0];
            int columns = c.sizes()[1];
            try (Device device = open(activations);
                    Arena arena = Arena.ofShared()) {
                MemorySegment blocks = ModelBenchmark.randomBlocks(arena, type, (long) outputs * columns);
                linear(device, new MatrixSource("random", type, outputs, columns, blocks), layout, c.rows());
            }
        }
    }

    private void linear(Device device, MatrixSource source, WeightLayout layout, int[] rowCounts) {
        int columns = source.columns();
        int mostRows = Arrays.stream(rowCounts).max().orElseThrow();
        float[] input =
                KernelCases.numbers(mostRows * columns, KernelCases.Fill.RANDOM, new SplittableRandom(20261125));
        List<LinearWeight> weights = new ArrayList<>();
        try {
            do { // so many that the caches hold none of them when it is its turn again
                weights.add(device.upload(source, layout));
            } while (weights.size()
                    < Math.max(2, mode.coldBytes / weights.getFirst().bytes()));
            // Results of 16 bits, as peers write them, where W8A8 meets many rows.
            OutputType[] types = device.activations() == ActivationType.INT8_ROW
                    ? new OutputType[] {OutputType.F32, OutputType.F16}
                    : new OutputType[] {OutputType.F32};
            for (int rows : rowCounts) {
                for (OutputType type : types) {
                    if (type == OutputType.F32 || rows > 16) {
                        linear(device, weights, Arrays.copyOf(input, rows * columns), rows, type);
                    }
                }
            }
        } finally {
            weights.forEach(LinearWeight::close);
        }
    }

    private void linear(Device device, List<LinearWeight> weights, float[] input, int rows, OutputType type) {
        LinearWeight first = weights.getFirst();
        try (Buffer x = device.upload(input);
                Buffer out = device.allocate((long) rows * first.rows() * type.bytes())) {
            double seconds = median(
                            out,
                            () -> weights.forEach(
                                    weight -> device.linear(x, rows, new Projection(weight, null, out, type))))
                    / weights.size();
            print(String.format(
                    Locale.ROOT,
                    "\"operation\":\"linear\",\"weights\":\"%s\",\"activations\":\"%s\",\"results\":\"%s\","
                            + "\"instructions\":\"%s\",\"rows\":%d,"
                            + "\"outputs\":%d,\"columns\":%d,\"microseconds\":%.2f,\"gigabytesPerSecond\":%.1f,"
                            + "\"teraoperationsPerSecond\":%.2f",
                    first.layout(),
                    device.activations(),
                    type,
                    instructions == null ? "default" : instructions,
                    rows,
                    first.rows(),
                    first.columns(),
                    seconds * 1e6,
                    first.bytes() / seconds / 1e9,
                    2.0 * rows * first.rows() * first.columns() / seconds / 1e12));
        }
    }

    /** Decode of one and of some sequences. */
    private void attention(KvType type) {
        for (BenchmarkCase c : KernelCases.benchmarks(mode.set, "attention")) {
            for (int sequences : c.rows()) {
                try (Device device = open(ActivationType.INT8)) {
                    attention(device, type, sequences, c.sizes());
                }
            }
        }
    }

    private void attention(Device device, KvType type, int sequences, int[] sizes) {
        int heads = sizes[0];
        int kvHeads = sizes[1];
        int dim = sizes[2];
        int depth = sizes[3];
        int pages = (depth + KvShape.PAGE - 1) / KvShape.PAGE;
        long layerBytes = type.bytes(2L * sequences * kvHeads * dim * depth);
        int layers = (int) Math.max(1, mode.coldBytes / layerBytes);
        int[][] tables = new int[sequences][pages];
        int[] positions = new int[sequences];
        for (int s = 0; s < sequences; s++) {
            positions[s] = depth - 1;
            for (int p = 0; p < pages; p++) {
                tables[s][p] = p * sequences + s;
            }
        }
        BatchRows rows = new BatchRows(sequences, positions, tables);
        AttentionShape shape = new AttentionShape(heads, kvHeads, dim, 0.09f, 0, 0);
        float[] numbers =
                KernelCases.numbers(sequences * heads * dim, KernelCases.Fill.RANDOM, new SplittableRandom(1));
        try (KvStore store = device.allocateKv(new KvShape(layers, kvHeads, dim, pages * sequences, type));
                Buffer q = device.upload(numbers);
                Buffer out = device.allocate(numbers.length * 4L)) {
            double seconds = median(out, () -> {
                        for (int layer = 0; layer < layers; layer++) {
                            device.attention(q, store, layer, shape, rows, out);
                        }
                    })
                    / layers;
            print(String.format(
                    Locale.ROOT,
                    "\"operation\":\"attention\",\"cache\":\"%s\",\"sequences\":%d,\"depth\":%d,\"heads\":%d,"
                            + "\"kvHeads\":%d,"
                            + "\"headDim\":%d,\"microseconds\":%.2f,\"gigabytesPerSecond\":%.1f",
                    type,
                    sequences,
                    depth,
                    heads,
                    kvHeads,
                    dim,
                    seconds * 1e6,
                    layerBytes / seconds / 1e9));
        }
    }

    /** A token of each of one and of some sequences, from logits of a large vocabulary to the host. */
    private void sample() {
        for (BenchmarkCase c : KernelCases.benchmarks(mode.set, "sample")) {
            for (int sequences : c.rows()) {
                sample(c.sizes()[0], sequences);
            }
        }
    }

    private void sample(int vocabulary, int sequences) {
        Map<String, Draw> draws = new LinkedHashMap<>();
        draws.put("greedy", Draw.GREEDY);
        draws.put("top-k", new Draw(0.7f, 40, 0.95f, 0.05f, 1, 1));
        draws.put("top-p", new Draw(1, 0, 0.9f, 0, 1, 1));
        float[] logits = KernelCases.numbers(sequences * vocabulary, KernelCases.Fill.RANDOM, new SplittableRandom(1));
        try (Device device = open(ActivationType.INT8);
                Buffer x = device.upload(logits);
                TokenBuffer tokens = device.allocateTokens(sequences)) {
            draws.forEach((name, draw) -> {
                List<Draw> all = Collections.nCopies(sequences, draw);
                double seconds = median(x, () -> device.sample(x, vocabulary, all, tokens, 0));
                print(String.format(
                        Locale.ROOT,
                        "\"operation\":\"sample\",\"draw\":\"%s\",\"sequences\":%d,\"columns\":%d,"
                                + "\"microseconds\":%.2f",
                        name,
                        sequences,
                        vocabulary,
                        seconds * 1e6));
            });
        }
    }

    /**
     * Seconds of a list of operations, the median of many after some that warm up: the GPU's own, where the device
     * records them (the host makes a whole list before the GPU begins), else the host's. A short list is run several
     * times before the host waits for it.
     */
    private double median(Buffer result, Runnable operations) {
        double first = seconds(result, operations, 1);
        if (mode == Mode.ONCE) {
            return first;
        }
        seconds(result, operations, 1);
        int times = mode == Mode.QUICK ? 1 : (int) Math.clamp(LIST_SECONDS / seconds(result, operations, 1), 1, 32);
        for (int i = 0; i < 3; i++) {
            seconds(result, operations, times); // the list as it will be, until it is a graph
        }
        double[] seconds = new double[mode.runs];
        try (Recording recording = new Recording()) {
            recording.enable(ModelBenchmark.RUN_EVENT);
            recording.start();
            for (int i = 0; i < seconds.length; i++) {
                seconds[i] = seconds(result, operations, times);
            }
            recording.stop();
            List<RecordedEvent> events = ModelBenchmark.events(recording);
            if (!events.isEmpty() && events.size() % seconds.length == 0) {
                Arrays.fill(seconds, 0);
                for (int i = 0; i < events.size(); i++) {
                    int run = i / (events.size() / seconds.length);
                    seconds[run] += events.get(i).getDouble("gpuMicroseconds") * 1e-6 / times;
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Arrays.sort(seconds);
        return seconds[seconds.length / 2];
    }

    private static double seconds(Buffer result, Runnable operations, int times) {
        long start = System.nanoTime();
        for (int i = 0; i < times; i++) {
            operations.run();
        }
        result.read(0, MemorySegment.ofArray(new float[1])); // runs the list, and waits
        return (System.nanoTime() - start) * 1e-9 / times;
    }

    private void print(String fields) {
        System.out.println("{\"backend\":\"" + backend + "\"," + fields + "}");
    }
}
