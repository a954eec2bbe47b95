package dev.demitasse.nativecpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.Devices;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.testkit.Seeds;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What Java packs in as few bits as it can, C++ reads as the file says. */
@EnabledIf(
        value = "dev.demitasse.nativecpu.InstructionSetTest#built",
        disabledReason = "the native library is not built: CMake or a C++ compiler is missing")
class NarrowWeightTest {
    private static final int ROWS = 21;
    private static final int COLUMNS = 1024;

    @ParameterizedTest
    @EnumSource(
            value = TensorType.class,
            mode = EnumSource.Mode.EXCLUDE,
            names = {"F32", "F16", "BF16"})
    void rowsAreWhatTheFileSays(TensorType type) {
        try (Device device = Devices.open("native", DeviceOptions.defaults())) {
            Seeds.forEach(3, random -> {
                MatrixSource source = source(type, random);
                try (LinearWeight weight = device.upload(source, type.layout());
                        Buffer out = device.allocate((long) ROWS * COLUMNS * Float.BYTES)) {
                    device.embed(weight, IntStream.range(0, ROWS).toArray(), ROWS, 1, out);
                    float[] actual = new float[COLUMNS];
                    float[] expected = new float[COLUMNS];
                    for (int row = 0; row < ROWS; row++) {
                        out.read((long) row * COLUMNS * Float.BYTES, MemorySegment.ofArray(actual));
                        source.dequantizeRow(row, expected);
                        for (int k = 0; k < COLUMNS; k++) {
                            assertThat(actual[k] == expected[k])
                                    .as("%s row %d column %d: %s, not %s", type, row, k, actual[k], expected[k])
                                    .isTrue();
                        }
                    }
                }
            });
        }
    }

    /** Random blocks whose 16-bit scales are finite, wherever they lie; those of FP4 types are near 1. */
    private static MatrixSource source(TensorType type, SplittableRandom random) {
        byte[] bytes = new byte[(int) type.rowBytes(COLUMNS) * ROWS];
        random.nextBytes(bytes);
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] &= (byte) 0xBF;
        }
        for (int i = 0; type == TensorType.MXFP4 && i < bytes.length; i += type.blockBytes()) {
            bytes[i] = (byte) (118 + random.nextInt(8));
        }
        return new MatrixSource("random", type, ROWS, COLUMNS, MemorySegment.ofArray(bytes));
    }
}
