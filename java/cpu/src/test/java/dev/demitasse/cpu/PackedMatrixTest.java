package dev.demitasse.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;
import java.util.List;
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
            TensorType.IQ4_XS);

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
            @ForAll @IntRange(min = 0, max = 11) int which) {
        TensorType type = QUANTISED.get(which);
        int columns = blocks * 256;
        MatrixSource source = random(type, rows, columns, seed);
        try (PackedMatrix packed = PackedMatrix.pack(source, source.type().layout())) {
            float[] expected = new float[columns];
            float[] actual = new float[columns];
            int groups = packed.groups();
            byte[] q = new byte[columns];
            byte[] unpacked = new byte[packed.paddedColumns()];
            float[][] s = new float[4][groups];
            for (int row = 0; row < rows; row++) {
                source.dequantizeRow(row, expected);
                packed.unpackRow(row, actual);
                assertThat(actual).as("%s row %d seed %d", type, row, seed).isEqualTo(expected);
                source.reader(type.layout()).integers(row, q, s[0], s[1]);
                packed.unpackIntegers(row, unpacked, s[2], s[3]);
                assertThat(unpacked).isEqualTo(q);
                assertThat(s[2]).isEqualTo(s[0]);
            }
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
