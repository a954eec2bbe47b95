package dev.demitasse.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.Devices;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.KernelCases;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * W8A8 by {@code gemm_int8.sm90a.cu}, and weights with scales of groups by {@code gemm_float.sm90a.cu}: compute
 * capability 9.0, which the build sets for this class on the emulator.
 */
@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaWgmmaTest {
    private static final long SEED = Long.getLong("demitasse.seed", 20261125L);

    /** Rows have the same bits as by mma, and in any number of them. */
    @ParameterizedTest
    @CsvSource({"65, 40, 64", "130, 129, 190", "257, 300, 1024", "700, 72, 320"})
    void givesTheBitsOfMma(int rows, int outputs, int columns) {
        float[] expected = linear("mma", WeightLayout.int8(WeightLayout.ROW), rows, outputs, columns);
        float[] actual = linear("wgmma", WeightLayout.int8(WeightLayout.ROW), rows, outputs, columns);
        assertThat(actual).as("seed " + SEED).isEqualTo(expected);
        float[] few = linear("wgmma", WeightLayout.int8(WeightLayout.ROW), 3, outputs, columns);
        assertThat(few).as("seed " + SEED).isEqualTo(Arrays.copyOf(actual, few.length));
    }

    /** Groups where activations have whole rows go to mma, as before. */
    @ParameterizedTest
    @CsvSource({"INT8, 32", "INT4, 32"})
    void leavesGroupsToMma(WeightLayout.Element element, int group) {
        WeightLayout layout = layout(element, group, false);
        assertThat(linear("wgmma", layout, 100, 70, 256)).isEqualTo(linear("mma", layout, 100, 70, 256));
    }

    /** Many rows by groups, as FP16: near FP32 activations, which nothing quantizes; each row alike in any number. */
    @ParameterizedTest
    @CsvSource({
        "INT4, 32, false, 129, 40, 64",
        "INT4, 32, true, 130, 130, 190",
        "INT4, 16, false, 257, 66, 340",
        "INT4, 16, true, 131, 100, 1088",
        "INT4, 128, false, 135, 8, 33",
        "INT8, 32, false, 300, 140, 1024",
        "INT8, 32, true, 129, 40, 1",
        "INT8, 16, false, 130, 72, 257",
        "INT8, -1, false, 140, 70, 320"
    })
    void multipliesGroupsAsFp16(
            WeightLayout.Element element, int group, boolean minimum, int rows, int outputs, int columns) {
        WeightLayout layout = layout(element, group, minimum);
        DeviceOptions options = DeviceOptions.defaults().withActivations(ActivationType.INT8);
        float[] actual = linear("cuda", options, layout, rows, outputs, columns);
        float[] expected =
                linear("reference", options.withActivations(ActivationType.F32), layout, rows, outputs, columns);
        double error = 0;
        double power = 0;
        for (int i = 0; i < expected.length; i++) {
            error += ((double) actual[i] - expected[i]) * ((double) actual[i] - expected[i]);
            power += (double) expected[i] * expected[i];
        }
        assertThat(error / power).as("seed " + SEED).isLessThan(1e-6);
        float[] fewest = linear("cuda", options, layout, 129, outputs, columns);
        assertThat(fewest).as("seed " + SEED).isEqualTo(Arrays.copyOf(actual, fewest.length));
        float[] invariant = linear("cuda", options.withBatchInvariant(true), layout, rows, outputs, columns);
        float[] mma = linear("cuda", options.withInstructionSet("mma"), layout, rows, outputs, columns);
        assertThat(invariant).as("seed " + SEED).isEqualTo(mma).isNotEqualTo(actual);
    }

    /** Matrices of different sizes share the activations of a call, and the memory of their copies. */
    @Test
    void matricesOfACallDoNotDependOnEachOther() {
        SplittableRandom random = new SplittableRandom(SEED);
        int rows = 133;
        int columns = 96;
        List<WeightLayout> layouts = List.of(WeightLayout.int8(32), WeightLayout.F32, WeightLayout.int4(16));
        List<LinearWeight> weights = new ArrayList<>();
        List<Buffer> results = new ArrayList<>();
        try (Device device = Devices.open("cuda", DeviceOptions.defaults());
                Buffer in = device.upload(KernelCases.numbers(rows * columns, KernelCases.Fill.RANDOM, random))) {
            Projection[] together = new Projection[layouts.size()];
            for (int i = 0; i < together.length; i++) {
                int outputs = 40 + 26 * i;
                float[] w = KernelCases.numbers(outputs * columns, KernelCases.Fill.RANDOM, random);
                weights.add(device.upload(KernelCases.matrix(w, outputs, columns), layouts.get(i)));
                results.add(device.allocate((long) Float.BYTES * rows * outputs));
                together[i] = new Projection(weights.get(i), null, results.get(i));
            }
            device.linear(in, rows, together);
            for (int i = 0; i < together.length; i++) {
                float[] actual = read(results.get(i), rows * weights.get(i).rows());
                device.linear(in, rows, together[i]);
                assertThat(actual).as("matrix %d, seed %d", i, SEED).isEqualTo(read(results.get(i), actual.length));
            }
            weights.forEach(LinearWeight::close);
            results.forEach(Buffer::close);
        }
    }

    private static WeightLayout layout(WeightLayout.Element element, int group, boolean minimum) {
        return new WeightLayout(element, group < 0 ? WeightLayout.ROW : group, minimum);
    }

    private static float[] linear(String instructions, WeightLayout layout, int rows, int outputs, int columns) {
        DeviceOptions options = DeviceOptions.defaults()
                .withActivations(ActivationType.INT8_ROW)
                .withInstructionSet(instructions);
        return linear("cuda", options, layout, rows, outputs, columns);
    }

    private static float[] linear(
            String backend, DeviceOptions options, WeightLayout layout, int rows, int outputs, int columns) {
        SplittableRandom random = new SplittableRandom(SEED);
        float[] w = KernelCases.numbers(outputs * columns, KernelCases.Fill.RANDOM, random);
        float[] b = KernelCases.numbers(outputs, KernelCases.Fill.RANDOM, random);
        float[] x = KernelCases.numbers(rows * columns, KernelCases.Fill.RANDOM, random);
        MatrixSource matrix = KernelCases.matrix(w, outputs, columns);
        try (Device device = Devices.open(backend, options);
                LinearWeight weight = device.upload(matrix, layout);
                Buffer in = device.upload(x);
                Buffer bias = device.upload(b);
                Buffer out = device.allocate((long) rows * outputs * Float.BYTES)) {
            device.linear(in, rows, new Projection(weight, bias, out));
            return read(out, rows * outputs);
        }
    }

    private static float[] read(Buffer buffer, int count) {
        float[] values = new float[count];
        buffer.read(0, MemorySegment.ofArray(values));
        return values;
    }
}
