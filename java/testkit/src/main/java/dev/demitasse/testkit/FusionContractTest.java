package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Gate;
import dev.demitasse.device.GroupedProjection;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Rope;
import dev.demitasse.device.Routes;
import dev.demitasse.device.Routing;
import dev.demitasse.device.WeightGroup;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Operations that follow each other are done by fewer kernels, with the bits that each has alone. */
public abstract class FusionContractTest {
    private static final long SEED = Long.getLong("demitasse.seed", 20261125L);
    private static final int HEADS = 4;
    private static final int KV_HEADS = 2;
    private static final int FEED_FORWARD = 320;

    /** What a layer leaves in its buffers, and the kernels it took. */
    private record Result(List<float[]> buffers, int kernels) {}

    /** For subclasses. */
    protected FusionContractTest() {}

    /** Opens a device of the backend, which checks no arguments. */
    protected abstract Device open(DeviceOptions options);

    /** How many kernels a device has started. */
    protected abstract int started(Device device);

    /** {@code together}: kernels of a layer whose operations are recorded one after the other. */
    protected final void requireFused(
            ActivationType activations, int headDim, int rows, Rope rope, boolean rotated, int together) {
        Result apart = layer(activations, headDim, rows, rope, rotated, true);
        Result fused = layer(activations, headDim, rows, rope, rotated, false);
        requireSame(apart, fused, together);
    }

    private static void requireSame(Result apart, Result fused, int together) {
        for (int i = 0; i < apart.buffers.size(); i++) {
            assertThat(fused.buffers.get(i)).as("buffer %d, seed %d", i, SEED).isEqualTo(apart.buffers.get(i));
        }
        assertThat(fused.kernels).isEqualTo(together).isLessThan(apart.kernels);
    }

    private Result layer(ActivationType activations, int headDim, int rows, Rope rope, boolean rotated, boolean apart) {
        SplittableRandom random = new SplittableRandom(SEED);
        int width = HEADS * headDim;
        int keys = KV_HEADS * headDim;
        DeviceOptions options =
                DeviceOptions.defaults().withActivations(activations).withBatchInvariant(true);
        List<AutoCloseable> owned = new ArrayList<>();
        List<Buffer> buffers = new ArrayList<>();
        try (Device device = open(options)) {
            for (int columns :
                    new int[] {width, width, width, width, keys, keys, FEED_FORWARD, FEED_FORWARD, headDim}) {
                buffers.add(device.upload(KernelCases.numbers(rows * columns, KernelCases.Fill.RANDOM, random)));
            }
            Buffer residual = buffers.get(0);
            Buffer branch = buffers.get(1);
            Buffer normed = buffers.get(2);
            Buffer query = buffers.get(3);
            Buffer key = buffers.get(4);
            Buffer value = buffers.get(5);
            Buffer gate = buffers.get(6);
            Buffer up = buffers.get(7);
            Buffer angles = buffers.get(8);
            Buffer norm = device.upload(KernelCases.numbers(width, KernelCases.Fill.RANDOM, random));
            owned.add(norm);
            List<LinearWeight> weights = new ArrayList<>();
            int[][] sizes = {
                {width, width},
                {keys, width},
                {keys, width},
                {width, width},
                {FEED_FORWARD, width},
                {FEED_FORWARD, width}
            };
            for (int[] size : sizes) {
                weights.add(weight(device, size[0], size[1], random));
            }
            weights.add(weight(device, width, FEED_FORWARD, random));
            owned.addAll(weights);
            KvStore store = device.allocateKv(new KvShape(1, KV_HEADS, headDim, rows, KvType.F16));
            owned.add(store);
            int[] positions = new int[rows];
            int[][] pages = new int[rows][];
            for (int row = 0; row < rows; row++) {
                positions[row] = row % 2;
                pages[row] = new int[] {row};
            }
            BatchRows batch = new BatchRows(rows, positions, pages);
            AttentionShape shape = new AttentionShape(HEADS, KV_HEADS, headDim, 0.2f, 0, 0);
            List<Runnable> operations = new ArrayList<>(List.of(
                    () -> device.add(residual, branch, (long) rows * width),
                    () -> device.rmsNorm(residual, norm, rows, width, 1e-5f, normed),
                    () -> device.linear(
                            normed,
                            rows,
                            new Projection(weights.get(0), null, query),
                            new Projection(weights.get(1), norm, key),
                            new Projection(weights.get(2), null, value)),
                    () -> device.rope(query, rows, HEADS, headDim, headDim, rope, angles),
                    () -> device.rope(key, rows, KV_HEADS, headDim, headDim, rope, angles),
                    () -> device.kvAppend(store, 0, key, value, batch),
                    () -> device.attention(query, store, 0, shape, batch, normed),
                    () -> device.linear(normed, rows, new Projection(weights.get(3), null, branch)),
                    () -> device.add(residual, branch, (long) rows * width),
                    () -> device.rmsNorm(residual, norm, rows, width, 1e-5f, normed),
                    () -> device.linear(
                            normed,
                            rows,
                            new Projection(weights.get(4), null, gate),
                            new Projection(weights.get(5), null, up)),
                    () -> device.gatedActivation(Gate.SILU, gate, up, (long) rows * FEED_FORWARD, gate),
                    () -> device.linear(gate, rows, new Projection(weights.get(6), null, branch)),
                    () -> device.add(residual, branch, (long) rows * width)));
            if (rotated) {
                operations.add(7, () -> device.rotate(normed, rows, HEADS, headDim));
                operations.addAll(
                        5,
                        List.of(
                                () -> device.rotate(query, rows, HEADS, headDim),
                                () -> device.rotate(key, rows, KV_HEADS, headDim),
                                () -> device.rotate(value, rows, KV_HEADS, headDim)));
            }
            return result(device, operations, branch, apart, buffers);
        } finally {
            owned.forEach(FusionContractTest::close);
            buffers.forEach(Buffer::close);
        }
    }

    /** {@code together}: kernels of experts, and of a gate of rows that are added to what they gave. */
    @ParameterizedTest
    @CsvSource({
        "INT8, 1, false, true, 6",
        "INT8, 40, true, false, 7", // places of several rows are ordered by a kernel
        "INT8_ROW, 3, false, true, 8", // a gated activation knows no whole rows
        "F32, 1, true, true, 6"
    })
    public void expertsGiveTheSameBitsInFewerKernels(
            ActivationType activations, int rows, boolean weighsInputs, boolean gated, int together) {
        Routing routing = new Routing(6, 2, Routing.Score.SIGMOID, false, 1, weighsInputs, 1, 1);
        Result apart = experts(activations, routing, rows, gated, true);
        Result fused = experts(activations, routing, rows, gated, false);
        requireSame(apart, fused, together);
    }

    private Result experts(ActivationType activations, Routing routing, int rows, boolean gated, boolean apart) {
        int width = 160;
        SplittableRandom random = new SplittableRandom(SEED);
        DeviceOptions options =
                DeviceOptions.defaults().withActivations(activations).withBatchInvariant(true);
        List<AutoCloseable> owned = new ArrayList<>();
        List<Buffer> buffers = new ArrayList<>();
        try (Device device = open(options)) {
            Routes routes = device.allocateRoutes(rows, routing);
            owned.add(routes);
            int places = routes.places(rows);
            int[] sizes = {rows * width, rows * routing.experts(), rows * width, rows * width, places * width};
            for (int i = 0; i < 8; i++) {
                int size = sizes[Math.min(i, sizes.length - 1)];
                buffers.add(device.upload(KernelCases.numbers(size, KernelCases.Fill.RANDOM, random)));
            }
            Buffer x = buffers.get(0);
            Buffer logits = buffers.get(1);
            Buffer out = buffers.get(2);
            Buffer shared = buffers.get(3);
            Buffer inputs = buffers.get(4);
            Buffer gate = buffers.get(5);
            Buffer up = buffers.get(6);
            Buffer outputs = buffers.get(7);
            List<WeightGroup> groups = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                List<MatrixSource> sources = new ArrayList<>();
                for (int e = 0; e < routing.experts(); e++) {
                    float[] numbers = KernelCases.numbers(width * width, KernelCases.Fill.RANDOM, random);
                    sources.add(KernelCases.matrix(numbers, width, width));
                }
                groups.add(device.uploadGroup(sources, layout(device), List.of()));
            }
            owned.addAll(groups);
            List<Runnable> operations = new ArrayList<>(List.of(
                    () -> device.route(logits, rows, null, null, routes),
                    () -> device.dispatch(x, width, routes, inputs),
                    () -> device.groupedLinear(
                            inputs,
                            routes,
                            new GroupedProjection(groups.get(0), gate),
                            new GroupedProjection(groups.get(1), up)),
                    () -> device.gatedActivation(Gate.SILU, gate, up, (long) places * width, gate),
                    () -> device.groupedLinear(gate, routes, new GroupedProjection(groups.get(2), outputs)),
                    () -> device.combine(outputs, width, routes, out)));
            if (gated) {
                operations.add(() -> device.gateRows(shared, rows, width, logits));
            }
            operations.add(() -> device.add(out, shared, (long) rows * width));
            return result(device, operations, out, apart, buffers);
        } finally {
            owned.forEach(FusionContractTest::close);
            buffers.forEach(Buffer::close);
        }
    }

    /** What a second run leaves in buffers; {@code last} is one of them that is read to end a run. */
    private Result result(Device device, List<Runnable> operations, Buffer last, boolean apart, List<Buffer> buffers) {
        run(operations, apart ? last : null); // workspaces are as large as they get
        read(last);
        int before = started(device);
        run(operations, apart ? last : null);
        List<float[]> left = buffers.stream().map(FusionContractTest::read).toList();
        return new Result(left, started(device) - before);
    }

    /** With a buffer, every operation is run before the next one is recorded. */
    private static void run(List<Runnable> operations, @Nullable Buffer between) {
        for (Runnable operation : operations) {
            operation.run();
            if (between != null) {
                read(between);
            }
        }
    }

    private static LinearWeight weight(Device device, int rows, int columns, SplittableRandom random) {
        float[] numbers = KernelCases.numbers(rows * columns, KernelCases.Fill.RANDOM, random);
        return device.upload(KernelCases.matrix(numbers, rows, columns), layout(device));
    }

    private static WeightLayout layout(Device device) {
        return device.activations() == ActivationType.INT8_ROW
                ? WeightLayout.int8(WeightLayout.ROW)
                : WeightLayout.int4(32).withMinimum();
    }

    private static float[] read(Buffer buffer) {
        float[] values = new float[(int) (buffer.bytes() / 4)];
        buffer.read(0, MemorySegment.ofArray(values));
        return values;
    }

    private static void close(AutoCloseable resource) {
        try {
            resource.close();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }
}
