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
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** W8A8 by {@code gemm_int8.sm90a.cu}: compute capability 9.0, which the build sets for this class on the emulator. */
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

    /** What wgmma is not for goes to mma, as before. */
    @ParameterizedTest
    @CsvSource({"INT8, 32", "INT4, 32"})
    void leavesGroupsToMma(WeightLayout.Element element, int group) {
        WeightLayout layout =
                element == WeightLayout.Element.INT8 ? WeightLayout.int8(group) : WeightLayout.int4(group);
        assertThat(linear("wgmma", layout, 100, 70, 256)).isEqualTo(linear("mma", layout, 100, 70, 256));
    }

    private static float[] linear(String instructions, WeightLayout layout, int rows, int outputs, int columns) {
        SplittableRandom random = new SplittableRandom(SEED);
        float[] w = KernelCases.numbers(outputs * columns, KernelCases.Fill.RANDOM, random);
        float[] b = KernelCases.numbers(outputs, KernelCases.Fill.RANDOM, random);
        float[] x = KernelCases.numbers(rows * columns, KernelCases.Fill.RANDOM, random);
        DeviceOptions options = DeviceOptions.defaults()
                .withActivations(ActivationType.INT8_ROW)
                .withInstructionSet(instructions);
        MatrixSource matrix = KernelCases.matrix(w, outputs, columns);
        try (Device device = Devices.open("cuda", options);
                LinearWeight weight = device.upload(matrix, layout);
                Buffer in = device.upload(x);
                Buffer bias = device.upload(b);
                Buffer out = device.allocate((long) rows * outputs * Float.BYTES)) {
            device.linear(in, rows, new Projection(weight, bias, out));
            float[] y = new float[rows * outputs];
            out.read(0, MemorySegment.ofArray(y));
            return y;
        }
    }
}
