package dev.demitasse.bench;

import dev.demitasse.BackendUnavailableException;
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
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.PackedMatrix;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import dev.demitasse.testkit.KernelCases;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * Single operations of any device, one JSON line each, without JMH: what a machine with a GPU, and neither network nor build tools, runs.
 * Weights and caches are as many as it takes to be larger than any cache; all of them are read in one list of operations, so the time
 * of one is the list's divided by their number. Median of many lists; bytes are those of weights, scales and caches.
 */
public final class DeviceBenchmark {
    /** Bytes that one list reads at least: more than the second-level cache of any GPU. */
    private static final long COLD_BYTES = 256L << 20;

    private static final int[][] MATRICES = {{4096, 4096}, {14336, 4096}, {4096, 14336}, {2048, 8192}};
    private static final int[] ROWS = {1, 4, 16, 64, 512, 4096};

    private final String backend;
    private final boolean quick;
    private @Nullable String instructions;

    private DeviceBenchmark(String backend, boolean quick) {
        this.backend = backend;
        this.quick = quick;
    }

    /** Arguments: a backend's name, and {@code --quick} for small sizes that only show that everything runs. */
    public static void main(String[] arguments) {
        DeviceBenchmark benchmark =
                new DeviceBenchmark(arguments[0], Arrays.asList(arguments).contains("--quick"));
        benchmark.linear(ActivationType.INT8, List.of(WeightLayout.int4(32), WeightLayout.int8(32)));
        benchmark.linear(ActivationType.INT8_ROW, List.of(WeightLayout.int8(WeightLayout.ROW)));
        if (benchmark.backend.equals("cuda")) {
            benchmark.instructions = "wgmma";
            try {
                benchmark.linear(ActivationType.INT8_ROW, List.of(WeightLayout.int8(WeightLayout.ROW)));
            } catch (BackendUnavailableException e) {
                System.err.println("not measured: " + e.getMessage());
            }
            benchmark.instructions = null;
        }
        benchmark.linear(ActivationType.F32, List.of(WeightLayout.F16));
        for (KvType type : KvType.values()) {
            benchmark.attention(type);
        }
        benchmark.sample();
    }

    private Device open(ActivationType activations) {
        return Devices.open(
                backend, DeviceOptions.defaults().withActivations(activations).withInstructionSet(instructions));
    }

    private void linear(ActivationType activations, List<WeightLayout> layouts) {
        for (WeightLayout layout : layouts) {
            for (int[] size : quick ? new int[][] {{96, 256}} : MATRICES) {
                try (Device device = open(activations)) {
                    linear(device, layout, size[0], size[1]);
                }
            }
        }
    }

    private void linear(Device device, WeightLayout layout, int outputs, int columns) {
        long bytes = PackedMatrix.bytes(layout, outputs, columns);
        int copies = quick ? 2 : (int) Math.max(2, COLD_BYTES / bytes);
        float[] numbers =
                KernelCases.numbers(outputs * columns, KernelCases.Fill.RANDOM, new SplittableRandom(20261125));
        List<LinearWeight> weights = new ArrayList<>();
        try {
            for (int i = 0; i < copies; i++) {
                weights.add(device.upload(PackedMatrix.pack(KernelCases.matrix(numbers, outputs, columns), layout)));
            }
            // Results of 16 bits, as peers write them, where W8A8 meets many rows.
            OutputType[] types = device.activations() == ActivationType.INT8_ROW
                    ? new OutputType[] {OutputType.F32, OutputType.F16}
                    : new OutputType[] {OutputType.F32};
            for (int rows : quick ? new int[] {1, 20} : ROWS) {
                for (OutputType type : types) {
                    if (type == OutputType.F32 || rows > 16) {
                        linear(device, weights, Arrays.copyOf(numbers, rows * columns), rows, type);
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
                    "\"operation\":\"linear\",\"weights\":\"%s\",\"activations\":\"%s\",\"results\":\"%s\",\"instructions\":\"%s\",\"rows\":%d,"
                            + "\"outputs\":%d,\"columns\":%d,\"microseconds\":%.2f,\"gigabytesPerSecond\":%.1f,\"teraoperationsPerSecond\":%.2f",
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

    /** Decode of 1 and of 32 sequences with the heads of an 8B model. */
    private void attention(KvType type) {
        int depth = quick ? 70 : 8192;
        for (int sequences : quick ? new int[] {1, 3} : new int[] {1, 32}) {
            try (Device device = open(ActivationType.INT8)) {
                attention(device, type, sequences, depth);
            }
        }
    }

    private void attention(Device device, KvType type, int sequences, int depth) {
        int heads = 32;
        int kvHeads = 8;
        int dim = 128;
        int pages = (depth + KvShape.PAGE - 1) / KvShape.PAGE;
        long layerBytes = 2L * sequences * kvHeads * dim * depth * type.bytes();
        int layers = quick ? 1 : (int) Math.max(1, COLD_BYTES / layerBytes);
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
                    "\"operation\":\"attention\",\"cache\":\"%s\",\"sequences\":%d,\"depth\":%d,\"heads\":%d,\"kvHeads\":%d,"
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

    /** A token of each of 1 and of 32 sequences, from logits of a large vocabulary to the host. */
    private void sample() {
        int vocabulary = quick ? 500 : 128256;
        Map<String, Draw> draws = new LinkedHashMap<>();
        draws.put("greedy", Draw.GREEDY);
        draws.put("top-k", new Draw(0.7f, 40, 0.95f, 0.05f, 1, 1));
        draws.put("top-p", new Draw(1, 0, 0.9f, 0, 1, 1));
        for (int sequences : new int[] {1, quick ? 2 : 32}) {
            float[] logits =
                    KernelCases.numbers(sequences * vocabulary, KernelCases.Fill.RANDOM, new SplittableRandom(1));
            try (Device device = open(ActivationType.INT8);
                    Buffer x = device.upload(logits)) {
                int[] tokens = new int[sequences];
                draws.forEach((name, draw) -> {
                    List<Draw> all = Collections.nCopies(sequences, draw);
                    double seconds = median(x, () -> device.sample(x, vocabulary, all, tokens));
                    print(String.format(
                            Locale.ROOT,
                            "\"operation\":\"sample\",\"draw\":\"%s\",\"sequences\":%d,\"columns\":%d,\"microseconds\":%.2f",
                            name,
                            sequences,
                            vocabulary,
                            seconds * 1e6));
                });
            }
        }
    }

    /** Seconds of a list of operations, the median of many after some that warm up. */
    private double median(Buffer result, Runnable operations) {
        int runs = quick ? 3 : 30;
        double[] seconds = new double[runs];
        MemorySegment one = MemorySegment.ofArray(new float[1]);
        for (int i = -3; i < runs; i++) {
            long start = System.nanoTime();
            operations.run();
            result.read(0, one); // runs the list, and waits
            if (i >= 0) {
                seconds[i] = (System.nanoTime() - start) * 1e-9;
            }
        }
        Arrays.sort(seconds);
        return seconds[runs / 2];
    }

    private void print(String fields) {
        System.out.println("{\"backend\":\"" + backend + "\"," + fields + "}");
    }
}
