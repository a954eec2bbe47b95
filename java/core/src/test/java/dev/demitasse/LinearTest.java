package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.OutputType;
import dev.demitasse.exception.UsageException;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.KernelCases;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class LinearTest {
    @Test
    void aQuantizedMatrixMultipliesCloseToTheExactOne() {
        float[] w = KernelCases.numbers(64 * 96, KernelCases.Fill.RANDOM, new java.util.SplittableRandom(5));
        float[] x = KernelCases.numbers(3 * 96, KernelCases.Fill.RANDOM, new java.util.SplittableRandom(6));
        try (Device device = Devices.open("reference", DeviceOptions.defaults())) {
            for (WeightLayout layout : List.of(WeightLayout.int8(32), WeightLayout.int4(32))) {
                try (Linear linear = Linear.quantize(device, w, 64, 96, layout)) {
                    float[] y = linear.multiply(x, 3);
                    double error = 0;
                    double power = 0;
                    for (int i = 0; i < y.length; i++) {
                        double exact = 0;
                        for (int k = 0; k < 96; k++) {
                            exact += (double) w[i % 64 * 96 + k] * x[i / 64 * 96 + k];
                        }
                        error += (y[i] - exact) * (y[i] - exact);
                        power += exact * exact;
                    }
                    assertThat(error / power).isLessThan(layout.element().bits() == 8 ? 3e-4 : 0.05);
                }
            }
        }
    }

    @Test
    void resultsOf16BitsAreThoseOf32Rounded() {
        float[] w = KernelCases.numbers(40 * 96, KernelCases.Fill.RANDOM, new SplittableRandom(5));
        float[] x = KernelCases.numbers(3 * 96, KernelCases.Fill.RANDOM, new SplittableRandom(6));
        try (Arena arena = Arena.ofConfined();
                Device device = Devices.open("reference", DeviceOptions.defaults());
                Linear linear = Linear.quantize(device, w, 40, 96, WeightLayout.int8(32))) {
            MemorySegment in = arena.allocateFrom(ValueLayout.JAVA_FLOAT, x);
            MemorySegment out = arena.allocate(3 * 40 * 2);
            float[] wide = linear.multiply(x, 3);
            for (OutputType type : List.of(OutputType.F16, OutputType.BF16)) {
                linear.multiply(in, 3, type, out);
                for (int i = 0; i < wide.length; i++) {
                    assertThat(out.getAtIndex(ValueLayout.JAVA_SHORT, i)).isEqualTo(type.narrow(wide[i]));
                }
            }
        }
    }

    @Test
    void memoryOfAnotherSizeIsRefusedWithTheSizesThatFit() {
        try (Device device = Devices.open("reference", DeviceOptions.defaults());
                Linear linear = Linear.quantize(device, new float[40 * 96], 40, 96, WeightLayout.int8(32))) {
            MemorySegment in = MemorySegment.ofArray(new float[3 * 96]);
            assertThatThrownBy(() -> linear.multiply(in, 3, OutputType.F16, MemorySegment.ofArray(new float[3 * 40])))
                    .isInstanceOf(UsageException.class)
                    .hasMessage("3 rows have 1152 bytes of input and 240 of F16 results, not 1152 and 480.");
            assertThatThrownBy(() -> linear.multiply(in, 2, OutputType.F32, MemorySegment.ofArray(new float[2 * 40])))
                    .isInstanceOf(UsageException.class);
            assertThatThrownBy(() -> linear.multiply(in, -1, OutputType.F32, in))
                    .isInstanceOf(UsageException.class);
            assertThatThrownBy(() -> linear.multiply(new float[95], 1)).isInstanceOf(UsageException.class);
        }
    }
}
