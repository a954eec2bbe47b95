package dev.demitasse.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class PackedMatrixTest {
    private static final List<TensorType> QUANTISED = List.of(
            TensorType.Q4_0,
            TensorType.Q4_1,
            TensorType.Q5_0,
            TensorType.Q5_1,
            TensorType.Q8_0,
            TensorType.Q2_K,
            TensorType.Q3_K,
            TensorType.Q4_K,
            TensorType.Q5_K,
            TensorType.Q6_K,
            TensorType.IQ4_NL,
            TensorType.IQ4_XS,
            TensorType.MXFP4,
            TensorType.NVFP4,
            TensorType.IQ3_S,
            TensorType.IQ2_XXS);

    /** Random blocks whose 16-bit scales are finite. */
    private static MatrixSource random(TensorType type, int rows, int columns, long seed) {
        byte[] bytes = new byte[(int) type.rowBytes(columns) * rows];
        new Random(seed).nextBytes(bytes);
        for (int i = 1; i < bytes.length; i += 2) {
            bytes[i] &= (byte) 0xBF; // an exponent below 16: neither infinity nor NaN, wherever the scale lies
        }
        for (int i = 0; i < bytes.length; i += 2) {
            bytes[i] &= (byte) 0xBF;
        }
        return new MatrixSource("random", type, rows, columns, MemorySegment.ofArray(bytes));
    }

    @Property(tries = 60)
    void everyTypeUnpacksToWhatTheFileSays(
            @ForAll @IntRange(min = 1, max = 40) int rows,
            @ForAll @IntRange(min = 1, max = 3) int blocks,
            @ForAll long seed,
            @ForAll @IntRange(min = 0, max = 15) int which,
            @ForAll @IntRange(min = 0, max = 2) int how) {
        TensorType type = QUANTISED.get(which);
        int columns = blocks * 256;
        MatrixSource source = random(type, rows, columns, seed);
        WeightLayout layout = type.layout();
        try (PackedMatrix packed = switch (how) {
            case 0 -> PackedMatrix.pack(source, layout);
            case 1 -> PackedMatrix.packNarrow(source, layout);
            default -> PackedMatrix.packLevels(source, layout);
        }) {
            float[] expected = new float[columns];
            float[] actual = new float[columns];
            int groups = packed.groups();
            byte[] q = new byte[columns];
            byte[] unpacked = new byte[packed.paddedColumns()];
            float[][] s = new float[4][groups];
            for (int row = 0; row < rows; row++) {
                source.dequantizeRow(row, expected);
                packed.unpackRow(row, actual);
                assertThat(withoutSignOfZero(actual))
                        .as("%s row %d seed %d", type, row, seed)
                        .isEqualTo(withoutSignOfZero(expected));
                source.reader(type.layout()).integers(row, q, s[0], s[1]);
                packed.unpackIntegers(row, unpacked, s[2], s[3]);
                assertThat(unpacked).isEqualTo(q);
                for (int g = 0; g < groups; g++) {
                    assertThat(s[2][g] == s[0][g] && s[3][g] == s[1][g])
                            .as("%s row %d group %d seed %d", type, row, g, seed)
                            .isTrue();
                }
            }
        }
    }

    private static float[] withoutSignOfZero(float[] values) {
        float[] result = values.clone();
        for (int i = 0; i < result.length; i++) {
            result[i] += 0f;
        }
        return result;
    }

    /** Bits of an element with its scales: nothing that a file says is said twice. */
    @Test
    void narrowMatricesTakeLittleMore() {
        Map<TensorType, Double> bits = Map.of(
                TensorType.Q2_K, 4 + 16 / 16.0 + 32 / 256.0,
                TensorType.Q3_K, 4 + 8 / 16.0 + 16 / 256.0,
                TensorType.Q4_K, 4 + 16 / 32.0 + 32 / 256.0,
                TensorType.Q5_K, 6 + 16 / 32.0 + 32 / 256.0,
                TensorType.Q6_K, 6 + 8 / 16.0 + 16 / 256.0,
                TensorType.Q5_0, 6 + 16 / 32.0,
                TensorType.Q5_1, 6 + 32 / 32.0,
                TensorType.IQ4_NL, 4 + 16 / 32.0,
                TensorType.IQ4_XS, 4 + 8 / 32.0 + 16 / 256.0);
        bits.forEach((type, expected) -> {
            try (PackedMatrix packed = PackedMatrix.packNarrow(random(type, 32, 512, 7), type.layout())) {
                assertThat(packed.bytes() * 8 / (32 * 512.0)).as(type.name()).isEqualTo(expected);
            }
        });
    }

    @Test
    void levelsAreFourBitsWhereScalesAreFp32() {
        Map<TensorType, Double> bits = Map.of(
                TensorType.IQ4_NL, 4 + 32 / 32.0,
                TensorType.MXFP4, 4 + 32 / 32.0,
                TensorType.NVFP4, 4 + 32 / 16.0,
                TensorType.Q6_K, 8 + 32 / 16.0);
        bits.forEach((type, expected) -> {
            try (PackedMatrix packed = PackedMatrix.packLevels(random(type, 32, 512, 7), type.layout())) {
                assertThat(packed.bytes() * 8 / (32 * 512.0)).as(type.name()).isEqualTo(expected);
            }
        });
    }

    /** A matrix whose later rows need more is packed as wide as those. */
    @Test
    void whatNarrowFormsDoNotHoldIsPackedWide() {
        MatrixSource good = random(TensorType.MXFP4, 48, 512, 11);
        byte[] bytes = good.data().toArray(ValueLayout.JAVA_BYTE);
        bytes[bytes.length - 17] = (byte) 200; // a scale beyond FP16
        MatrixSource wide = new MatrixSource("wide", TensorType.MXFP4, 48, 512, MemorySegment.ofArray(bytes));
        try (PackedMatrix packed = PackedMatrix.packNarrow(wide, TensorType.MXFP4.layout())) {
            assertThat(packed.scaleType()).isEqualTo(ScaleType.FP32);
            assertThat(packed.element()).isEqualTo(PackedElement.FP4);
            float[] expected = new float[512];
            float[] actual = new float[512];
            wide.dequantizeRow(47, expected);
            packed.unpackRow(47, actual);
            assertThat(actual).isEqualTo(expected);
        }
    }

    @Test
    void refusesScalesThatAreNotFiniteAndLeavesNoMemory() {
        long before = HostMemory.allocatedBytes();
        byte[] bytes = new byte[34 * 2];
        bytes[34] = 0;
        bytes[35] = 0x7C; // infinity as the second row's scale
        MatrixSource source = new MatrixSource("bad", TensorType.Q8_0, 2, 32, MemorySegment.ofArray(bytes));
        assertThatThrownBy(
                        () -> PackedMatrix.pack(source, source.type().layout()).close())
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("row 1");
        assertThat(HostMemory.allocatedBytes()).isEqualTo(before);
    }
}
