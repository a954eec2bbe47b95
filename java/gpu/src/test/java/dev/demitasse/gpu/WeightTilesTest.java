package dev.demitasse.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.quant.LevelTable;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.RowReader;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.KernelCases;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class WeightTilesTest {
    private static final long SEED = Long.getLong("demitasse.seed", 20261125L);

    /** Tiling is reversible: every element has the value of its row's integer and scale, in every layout. */
    @Test
    void everyElementKeepsItsValue() {
        for (WeightLayout layout : List.of(
                WeightLayout.int8(32),
                WeightLayout.int8(16),
                WeightLayout.int8(64),
                WeightLayout.int8(WeightLayout.ROW),
                WeightLayout.int4(32),
                WeightLayout.int4(16),
                WeightLayout.int4(128),
                WeightLayout.int4(WeightLayout.ROW),
                WeightLayout.int4(32).withMinimum(),
                WeightLayout.int8(16).withMinimum())) {
            for (int[] size : new int[][] {{1, 1}, {8, 64}, {9, 130}, {33, 257}}) {
                SplittableRandom random = new SplittableRandom(SEED);
                float[] w = KernelCases.numbers(size[0] * size[1], KernelCases.Fill.RANDOM, random);
                MatrixSource source = KernelCases.matrix(w, size[0], size[1]);
                assertSame(source, layout, true);
                assertSame(source, layout, false);
            }
        }
    }

    /** Blocks of a file, some of which are taken over by words. */
    @ParameterizedTest
    @EnumSource(
            value = TensorType.class,
            names = {"Q4_0", "Q4_1", "Q8_0", "Q5_1", "Q6_K", "Q2_K", "IQ4_NL", "IQ4_XS", "MXFP4", "NVFP4"})
    void blocksOfAFileKeepTheirValues(TensorType type) {
        int rows = 11;
        int columns = 5 * 256;
        byte[] bytes = new byte[(int) type.rowBytes(columns) * rows];
        new Random(SEED).nextBytes(bytes);
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] &= (byte) 0xBF; // wherever a scale lies, it is finite
        }
        assertSame(new MatrixSource("random", type, rows, columns, MemorySegment.ofArray(bytes)), type.layout(), false);
    }

    private static void assertSame(MatrixSource source, WeightLayout layout, boolean perRow) {
        assertSame(source, layout, perRow, false);
        assertSame(source, layout, perRow, true);
    }

    private static void assertSame(MatrixSource source, WeightLayout layout, boolean perRow, boolean wide) {
        RowReader reader = source.reader(layout);
        byte[] q = new byte[source.columns()];
        float[] scales = new float[layout.groups(source.columns())];
        float[] mins = new float[scales.length];
        int group = layout.group() == WeightLayout.ROW ? source.columns() : layout.group();
        for (WeightOrder order : WeightOrder.values()) {
            int shared = WeightTiles.groupOf(layout, perRow);
            LevelTable levels = GpuElement.levelsOf(source, layout);
            try (WeightTiles tiles = new WeightTiles(source, layout, order, shared, wide, levels)) {
                assertThat(tiles.fp16Scales() && wide).isFalse();
                for (int r = 0; r < source.rows(); r++) {
                    reader.integers(r, q, scales, mins);
                    for (int k = 0; k < source.columns(); k++) {
                        float value = scales[k / group] * (q[k] - layout.zero());
                        assertThat(tiles.value(r, k))
                                .as("%s, %s, row %d column %d, seed %d", layout, order, r, k, SEED)
                                .isEqualTo(layout.minimum() ? value + mins[k / group] : value);
                    }
                }
            }
        }
    }
}
