package dev.demitasse.opencl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.OutputType;
import dev.demitasse.device.Projection;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.gpu.GpuWeight;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.KernelCases;
import dev.demitasse.testkit.KernelCases.Fill;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;

/** What is larger than an allocation may be lies in several, and gives the same bits. */
@EnabledIf(value = "dev.demitasse.opencl.OpenClBackendTest#usable", disabledReason = OpenClBackendTest.WHY_NOT)
class SplitTest {
    private static final long SEED = Long.getLong("demitasse.seed", 20261127L);
    private static final long MOST = 192 << 10;

    @Test
    void aMatrixInPartsMultipliesAsAWhole() {
        int outputs = 1030;
        int columns = 288;
        for (WeightLayout layout :
                List.of(WeightLayout.int4(32).withMinimum(), WeightLayout.int8(32), WeightLayout.F16)) {
            for (int rows : new int[] {1, 6, 34}) {
                for (OutputType type : List.of(OutputType.F32, OutputType.F16)) {
                    requireSame(layout + ", " + rows + " rows, " + type, device -> {
                        SplittableRandom random = new SplittableRandom(SEED);
                        float[] w = KernelCases.numbers(outputs * columns, Fill.RANDOM, random);
                        Buffer out = device.allocate((long) rows * outputs * type.bytes());
                        try (LinearWeight weight = device.upload(KernelCases.matrix(w, outputs, columns), layout);
                                Buffer x = device.upload(KernelCases.numbers(rows * columns, Fill.RANDOM, random));
                                Buffer bias = device.upload(KernelCases.numbers(outputs, Fill.RANDOM, random))) {
                            assertThat(((GpuWeight) weight).parts().size() > 1)
                                    .isEqualTo(device.context().mostBytes() == MOST);
                            device.linear(x, rows, new Projection(weight, bias, out, type));
                        }
                        return out;
                    });
                }
            }
        }
    }

    @Test
    void aTableInPartsHasAllItsRows() {
        int[] ids = {0, 511, 512, 1029, 700, 3};
        requireSame("rows of a table", device -> {
            float[] w = KernelCases.numbers(1030 * 288, Fill.RANDOM, new SplittableRandom(SEED));
            Buffer out = device.allocate((long) ids.length * 288 * 4);
            try (LinearWeight table = device.upload(KernelCases.matrix(w, 1030, 288), WeightLayout.int8(32))) {
                device.embed(table, ids, ids.length, 1, out);
            }
            return out;
        });
    }

    @Test
    void aCacheInPartsHasAllItsLayers() {
        int layers = 5;
        int dim = 64;
        for (int rows : new int[] {1, 7}) {
            requireSame(rows + " rows of attention", device -> {
                SplittableRandom random = new SplittableRandom(SEED);
                int[] positions = new int[rows];
                int[][] pages = new int[rows][];
                int[][] copies = new int[rows][];
                for (int row = 0; row < rows; row++) {
                    positions[row] = row;
                    pages[row] = new int[] {row % 2};
                    copies[row] = new int[] {row % 2 + 5};
                }
                BatchRows batch = new BatchRows(rows, positions, pages);
                Buffer out = device.allocate((long) rows * layers * 2 * dim * 4);
                try (KvStore store = device.allocateKv(new KvShape(layers, 1, dim, 8, KvType.F32));
                        Buffer q = device.upload(KernelCases.numbers(rows * 2 * dim, Fill.RANDOM, random));
                        Buffer result = device.allocate((long) rows * 2 * dim * 4)) {
                    for (int layer = 0; layer < layers; layer++) {
                        try (Buffer k = device.upload(KernelCases.numbers(rows * dim, Fill.RANDOM, random));
                                Buffer v = device.upload(KernelCases.numbers(rows * dim, Fill.RANDOM, random))) {
                            device.kvAppend(store, layer, k, v, batch);
                        }
                    }
                    store.copyPage(0, 5);
                    store.copyPage(1, 6);
                    BatchRows copied = new BatchRows(rows, positions, copies);
                    for (int layer = 0; layer < layers; layer++) {
                        device.attention(q, store, layer, new AttentionShape(2, 1, dim, 0.2f, 0, 0), copied, result);
                        float[] values = read(result);
                        out.write((long) layer * values.length * 4, MemorySegment.ofArray(values));
                    }
                }
                return out;
            });
        }
    }

    @Test
    void whatCannotBeSplitIsRefusedWithTheLimit() {
        try (OpenClDevice device = open(MOST)) {
            assertThatThrownBy(() -> device.allocateKv(new KvShape(2, 8, 64, 64, KvType.F32))
                            .close())
                    .isInstanceOf(OutOfDeviceMemoryException.class)
                    .hasMessageContaining("a layer of the cache takes 8 MiB");
        }
    }

    private static void requireSame(String what, Function<OpenClDevice, Buffer> operation) {
        assertThat(run(operation, MOST)).as("%s, seed %d", what, SEED).isEqualTo(run(operation, Long.MAX_VALUE));
    }

    private static float[] run(Function<OpenClDevice, Buffer> operation, long most) {
        try (OpenClDevice device = open(most);
                Buffer out = operation.apply(device)) {
            return read(out);
        }
    }

    private static OpenClDevice open(long most) {
        OpenClDevice device = (OpenClDevice) new OpenClBackend().open(DeviceOptions.defaults());
        device.context().splitAbove(most);
        return device;
    }

    private static float[] read(Buffer buffer) {
        float[] values = new float[(int) (buffer.bytes() / 4)];
        buffer.read(0, MemorySegment.ofArray(values));
        return values;
    }
}
