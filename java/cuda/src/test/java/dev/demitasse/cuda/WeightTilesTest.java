package dev.demitasse.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.quant.PackedMatrix;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.KernelCases;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class WeightTilesTest {
    /** Tiling is reversible: every element has the value of the packed matrix, in every layout. */
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
                SplittableRandom random = new SplittableRandom(20261125);
                float[] w = KernelCases.numbers(size[0] * size[1], KernelCases.Fill.RANDOM, random);
                try (PackedMatrix packed = PackedMatrix.pack(KernelCases.matrix(w, size[0], size[1]), layout)) {
                    assertSame(packed, size, true);
                    assertSame(packed, size, false);
                }
            }
        }
    }

    private static void assertSame(PackedMatrix packed, int[] size, boolean wholeRows) {
        float[] row = new float[size[1]];
        try (WeightTiles tiles = new WeightTiles(packed, WeightTiles.partOf(packed.layout(), wholeRows))) {
            for (int r = 0; r < size[0]; r++) {
                packed.unpackRow(r, row);
                for (int k = 0; k < size[1]; k++) {
                    assertThat(tiles.value(r, k))
                            .as("%s %d x %d, row %d column %d", packed.layout(), size[0], size[1], r, k)
                            .isEqualTo(row[k]);
                }
            }
        }
    }
}
