package dev.demitasse.testkit;

import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** The one list of cases of each operation: contract tests run them on every device, and benchmarks time them. */
public final class KernelCases {
    /** How numbers are filled in. */
    public enum Fill {
        /** Normal-like numbers of about unit size, with a few outliers. */
        RANDOM,
        /** All the same large positive number, so that every integer is the largest. */
        MAXIMUM,
        /** All the same large negative number, so that every integer is the smallest. */
        MINIMUM,
        /** All zero, so that scales are zero. */
        ZERO
    }

    /** {@code rows} rows of {@code columns} inputs by a matrix of {@code outputs}. */
    public record LinearCase(WeightLayout layout, int outputs, int columns, int rows, Fill fill, boolean bias) {}

    /** Attention of a batch: prompts that begin at {@code past} positions, each of {@code rows} new rows. */
    public record AttentionCase(
            int heads, int kvHeads, int headDim, int window, float softCap, int[] past, int[] rows) {
        @Override
        public String toString() {
            return "heads " + heads + "/" + kvHeads + "×" + headDim + " window " + window + " cap " + softCap + " past "
                    + java.util.Arrays.toString(past) + " rows " + java.util.Arrays.toString(rows);
        }
    }

    private KernelCases() {}

    /** Every layout that has a kernel of its own. */
    public static List<WeightLayout> layouts() {
        return List.of(
                WeightLayout.F32,
                WeightLayout.F16,
                WeightLayout.BF16,
                WeightLayout.int8(16),
                WeightLayout.int8(32),
                WeightLayout.int8(64),
                WeightLayout.int8(WeightLayout.ROW),
                WeightLayout.int8(32).withMinimum(),
                WeightLayout.int4(16),
                WeightLayout.int4(32),
                WeightLayout.int4(128),
                WeightLayout.int4(WeightLayout.ROW),
                WeightLayout.int4(16).withMinimum(),
                WeightLayout.int4(32).withMinimum());
    }

    /** Every layout, with sizes around panels (16), groups (32), tiles (4) and blocks, and extreme values. */
    public static List<LinearCase> linear() {
        List<LinearCase> cases = new ArrayList<>();
        for (WeightLayout layout : layouts()) {
            int[][] sizes = {
                {1, 32, 1},
                {15, 32, 1},
                {16, 64, 3},
                {17, 96, 4},
                {33, 31, 2},
                {48, 33, 5},
                {64, 256, 7},
                {80, 257, 8},
                {130, 1, 1},
                {70, 200, 21},
                {31, 544, 65},
                {100, 1088, 66}
            };
            for (int[] size : sizes) {
                cases.add(new LinearCase(layout, size[0], size[1], size[2], Fill.RANDOM, size[2] % 2 == 1));
            }
            for (Fill fill : List.of(Fill.MAXIMUM, Fill.MINIMUM, Fill.ZERO)) {
                cases.add(new LinearCase(layout, 17, 160, 5, fill, false));
            }
        }
        return cases;
    }

    /** Lengths around a vector, a page (32) and a segment (512), grouped heads, windows and soft caps. */
    public static List<AttentionCase> attention() {
        return List.of(
                new AttentionCase(1, 1, 8, 0, 0, new int[] {0}, new int[] {1}),
                new AttentionCase(2, 2, 10, 0, 0, new int[] {0}, new int[] {33}),
                new AttentionCase(9, 3, 64, 0, 0, new int[] {31, 0, 600}, new int[] {1, 7, 1}),
                new AttentionCase(4, 1, 16, 0, 50, new int[] {100}, new int[] {17}),
                new AttentionCase(4, 2, 40, 16, 0, new int[] {0, 530}, new int[] {40, 2}),
                new AttentionCase(8, 8, 128, 0, 0, new int[] {511}, new int[] {2}),
                new AttentionCase(4, 4, 256, 512, 0, new int[] {1030}, new int[] {1}),
                new AttentionCase(6, 2, 24, 20, 30, new int[] {1020}, new int[] {9}),
                new AttentionCase(3, 1, 72, 0, 0, new int[] {1023, 1024}, new int[] {1, 1}));
    }

    /** Element counts around vector widths and block sizes. */
    public static List<Integer> lengths() {
        return List.of(1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 255, 257, 576, 1000, 4097, 20_000);
    }

    /** Numbers filled as {@code fill} says. */
    public static float[] numbers(int count, Fill fill, SplittableRandom random) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = switch (fill) {
                case MAXIMUM -> 3.5f;
                case MINIMUM -> -3.5f;
                case ZERO -> 0;
                case RANDOM -> {
                    double sum = random.nextDouble() + random.nextDouble() + random.nextDouble() - 1.5;
                    yield (float) (random.nextInt(50) == 0 ? sum * 8 : sum);
                }
            };
        }
        return values;
    }

    /** A matrix of FP32 numbers. */
    public static MatrixSource matrix(float[] values, int rows, int columns) {
        MemorySegment data = MemorySegment.ofArray(new byte[values.length * Float.BYTES]);
        MemorySegment.copy(
                values, 0, data, ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0, values.length);
        return new MatrixSource("case", TensorType.F32, rows, columns, data);
    }

    /** Rows of logits: as of a model, with ties, all equal, some infinite, one that outweighs the others, some NaN, and all NaN. */
    public static float[][] logits(int columns, SplittableRandom random) {
        float[][] rows = new float[7][columns];
        for (int c = 0; c < columns; c++) {
            rows[0][c] = (float) (3 * random.nextGaussian());
            rows[1][c] = Math.round(2 * random.nextGaussian());
            rows[2][c] = 1.5f;
            rows[3][c] = c % 3 == 1 ? Float.NEGATIVE_INFINITY : (float) random.nextGaussian();
            rows[4][c] = c == columns / 2 ? 60 : (float) random.nextGaussian();
            rows[5][c] = c % 4 == 0 ? Float.NaN : (float) random.nextGaussian();
            rows[6][c] = Float.NaN;
        }
        return rows;
    }

    /** Ways of drawing a token: each step alone, all together, and limits that keep all or one. */
    public static List<Draw> draws(long number) {
        return List.of(
                Draw.GREEDY,
                new Draw(1, 0, 1, 0, 7, number),
                new Draw(0.7f, 40, 0.95f, 0.05f, -3, number),
                new Draw(5, 2, 1, 0, 1, number),
                new Draw(1.3f, 7, 1, 0, 5, number),
                new Draw(1, 0, 0.5f, 0, Long.MIN_VALUE, number),
                new Draw(2, 0, 0.9f, 0, 2, number),
                new Draw(1, 0, 1e-6f, 0, 3, number),
                new Draw(0.2f, 0, 1, 0.3f, 4, number),
                new Draw(1, 100_000, 1, 1, 6, number));
    }
}
