package dev.demitasse.quant;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

class RoundToNearestTest {
    @Property(tries = 100)
    void roundingIsWithinHalfAStep(@ForAll @IntRange(min = 1, max = 100) int columns, @ForAll long seed) {
        Random random = new Random(seed);
        float[] values = new float[columns];
        for (int i = 0; i < columns; i++) {
            values[i] = (float) random.nextGaussian();
        }
        for (WeightLayout layout : List.of(
                WeightLayout.int8(32),
                WeightLayout.int4(16),
                WeightLayout.int8(WeightLayout.ROW),
                WeightLayout.int4(32).withMinimum(),
                WeightLayout.int8(64).withMinimum())) {
            byte[] q = new byte[columns];
            int groups = layout.groups(columns);
            float[] scales = new float[groups];
            float[] mins = new float[groups];
            RoundToNearest.quantize(values, layout, q, scales, mins);
            int group = layout.group() == WeightLayout.ROW ? columns : layout.group();
            for (int i = 0; i < columns; i++) {
                int g = i / group;
                float value = scales[g] * (q[i] - layout.zero()) + (layout.minimum() ? mins[g] : 0);
                assertThat(Math.abs(value - values[i]))
                        .as("%s element %d seed %d", layout, i, seed)
                        .isLessThanOrEqualTo(scales[g] * 0.5001f + 1e-6f);
            }
        }
    }
}
