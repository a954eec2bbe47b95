package dev.demitasse.opencl;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.Devices;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import dev.demitasse.testkit.KernelCases;
import dev.demitasse.testkit.KernelCases.Fill;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The kernels of prompts, tokens and tables on shapes so small that a simulator of a device, which looks at every
 * access, runs them within minutes ({@code ci/oclgrind.sh}); {@link OpenClFusionTest} has those of a layer.
 */
@EnabledIf(value = "dev.demitasse.opencl.OpenClBackendTest#usable", disabledReason = OpenClBackendTest.WHY_NOT)
class SmallShapesTest {
    private static final long SEED = Long.getLong("demitasse.seed", 20261127L);
    private static final int ROWS = 35; // more than gemv takes
    private static final int COLUMNS = 40;
    private static final int OUTPUTS = 21;

    static List<WeightLayout> layouts() {
        return List.of(
                WeightLayout.int4(32).withMinimum(),
                WeightLayout.int8(16),
                WeightLayout.int8(WeightLayout.ROW),
                WeightLayout.F16);
    }

    @ParameterizedTest
    @ValueSource(strings = {"opencl", GpuKernelsBackend.NAME})
    void linearOfManyRows(String backend) {
        for (WeightLayout layout : layouts()) {
            compare(backend, layout.toString(), device -> {
                SplittableRandom random = new SplittableRandom(SEED);
                float[] x = KernelCases.numbers(ROWS * COLUMNS, Fill.RANDOM, random);
                float[] w = KernelCases.numbers(OUTPUTS * COLUMNS, Fill.RANDOM, random);
                Buffer out = device.allocate(ROWS * OUTPUTS * 4);
                try (Buffer in = device.upload(x);
                        LinearWeight weight = device.upload(KernelCases.matrix(w, OUTPUTS, COLUMNS), layout)) {
                    device.linear(in, ROWS, new Projection(weight, null, out));
                }
                return out;
            });
        }
    }

    @ParameterizedTest
    @EnumSource(KvType.class)
    void attentionOfAPrompt(KvType type) {
        int rows = 18; // more than a work-group takes
        int heads = 2;
        int dim = 32;
        compare("opencl", type.toString(), device -> {
            SplittableRandom random = new SplittableRandom(SEED);
            int[] positions = new int[rows];
            int[][] pages = new int[rows][];
            int[] table = {0};
            for (int row = 0; row < rows; row++) {
                positions[row] = row;
                pages[row] = table;
            }
            BatchRows batch = new BatchRows(rows, positions, pages);
            Buffer out = device.allocate(rows * heads * dim * 4);
            try (KvStore store = device.allocateKv(new KvShape(1, 1, dim, 1, type));
                    Buffer keys = device.upload(KernelCases.numbers(rows * dim, Fill.RANDOM, random));
                    Buffer values = device.upload(KernelCases.numbers(rows * dim, Fill.RANDOM, random));
                    Buffer q = device.upload(KernelCases.numbers(rows * heads * dim, Fill.RANDOM, random))) {
                device.kvAppend(store, 0, keys, values, batch);
                device.attention(q, store, 0, new AttentionShape(heads, 1, dim, 0.2f, 0, 9), batch, out);
            }
            return out;
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"INT4", "INT8", "F16"})
    void rowsOfATable(String element) {
        WeightLayout layout = element.equals("INT4")
                ? WeightLayout.int4(32).withMinimum()
                : element.equals("INT8") ? WeightLayout.int8(32) : WeightLayout.F16;
        compare("opencl", element, device -> {
            float[] w = KernelCases.numbers(OUTPUTS * COLUMNS, Fill.RANDOM, new SplittableRandom(SEED));
            Buffer out = device.allocate(3 * COLUMNS * 4);
            try (LinearWeight table = device.upload(KernelCases.matrix(w, OUTPUTS, COLUMNS), layout)) {
                device.embed(table, new int[] {20, 0, 7}, 3, 2, out);
            }
            return out;
        });
    }

    @Test
    void tokens() {
        int columns = 300;
        float[][] rows = KernelCases.logits(columns, new SplittableRandom(20261125));
        try (Device device = Devices.open("opencl", DeviceOptions.defaults());
                Buffer x = device.upload(rows[0])) {
            for (Draw draw : KernelCases.draws(1)) {
                int[] token = new int[1];
                device.sample(x, columns, List.of(draw), token);
                assertThat(token[0]).as(draw.toString()).isEqualTo(draw.choose(rows[0]));
            }
        }
    }

    private static void compare(String backend, String what, Function<Device, Buffer> operation) {
        float[] expected = run("reference", operation);
        float[] results = run(backend, operation);
        double error = 0;
        double square = 0;
        for (int i = 0; i < expected.length; i++) {
            error += Math.pow((double) results[i] - expected[i], 2);
            square += Math.pow(expected[i], 2);
        }
        assertThat(error / square).as("%s, seed %d", what, SEED).isLessThan(1e-10);
    }

    private static float[] run(String backend, Function<Device, Buffer> operation) {
        try (Device device = Devices.open(backend, DeviceOptions.defaults().withActivations(ActivationType.INT8));
                Buffer out = operation.apply(device)) {
            float[] values = new float[(int) (out.bytes() / 4)];
            out.read(0, MemorySegment.ofArray(values));
            return values;
        }
    }
}
