package dev.demitasse.cuda;

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
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.KernelCases;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Dense matrices by JCublas: on the emulator with its stand-in for cuBLAS, whose folder the build gives to this class
 * alone.
 */
@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaCublasTest {
    private static final long SEED = Long.getLong("demitasse.seed", 20261125L);

    @Test
    void theLibraryIsThere() {
        jcuda.jcublas.JCublas2.initialize();
    }

    /** FP16 operands: activations lose 13 bits, 2^-11 each way; every step is run twice. */
    @ParameterizedTest
    @CsvSource({"F16, 20, 33, 70, 1e-6", "F16, 100, 64, 257, 1e-6", "F32, 64, 31, 130, 1e-10", "BF16, 70, 20, 40, 1e-10"
    })
    void multipliesAsTheReference(WeightLayout.Element element, int rows, int outputs, int columns, double bound) {
        WeightLayout layout = switch (element) {
            case F16 -> WeightLayout.F16;
            case BF16 -> WeightLayout.BF16;
            default -> WeightLayout.F32;
        };
        float[] actual = new float[rows * outputs];
        float[] expected = new float[rows * outputs];
        linear("cuda", layout, columns, rows, OutputType.F32, MemorySegment.ofArray(actual));
        linear("reference", layout, columns, rows, OutputType.F32, MemorySegment.ofArray(expected));
        double error = 0;
        double power = 0;
        for (int i = 0; i < expected.length; i++) {
            error += ((double) actual[i] - expected[i]) * ((double) actual[i] - expected[i]);
            power += (double) expected[i] * expected[i];
        }
        assertThat(error / power).as("seed " + SEED).isLessThan(bound);
        if (element == WeightLayout.Element.F16) {
            assertThat(error)
                    .as("activations were rounded, so cuBLAS was asked")
                    .isGreaterThan(1e-10 * power);
        }
        for (OutputType type : new OutputType[] {OutputType.F16, OutputType.BF16}) {
            short[] narrow = new short[actual.length];
            linear("cuda", layout, columns, rows, type, MemorySegment.ofArray(narrow));
            for (int i = 0; i < narrow.length; i++) {
                assertThat(narrow[i]).as("%s, seed %d", type, SEED).isEqualTo(type.narrow(actual[i]));
            }
        }
    }

    private static void linear(
            String backend, WeightLayout layout, int columns, int rows, OutputType type, MemorySegment results) {
        int outputs = (int) (results.byteSize() / type.bytes() / rows);
        SplittableRandom random = new SplittableRandom(SEED);
        float[] w = KernelCases.numbers(outputs * columns, KernelCases.Fill.RANDOM, random);
        float[] b = KernelCases.numbers(outputs, KernelCases.Fill.RANDOM, random);
        float[] x = KernelCases.numbers(rows * columns, KernelCases.Fill.RANDOM, random);
        MatrixSource matrix = KernelCases.matrix(w, outputs, columns);
        try (Device device = Devices.open(backend, DeviceOptions.defaults().withActivations(ActivationType.INT8));
                LinearWeight weight = device.upload(matrix, layout);
                Buffer in = device.upload(x);
                Buffer bias = device.upload(b);
                Buffer out = device.allocate(results.byteSize())) {
            // On a thread that has no context yet.
            CompletableFuture.runAsync(
                            () -> {
                                for (int turn = 0; turn < 2; turn++) {
                                    device.linear(in, rows, new Projection(weight, bias, out, type));
                                    out.read(0, results);
                                }
                            },
                            task -> new Thread(task).start())
                    .join();
        }
    }
}
