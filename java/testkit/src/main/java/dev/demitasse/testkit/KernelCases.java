package dev.demitasse.testkit;

import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.function.Function;

/**
 * The one list of cases of each operation, {@code cases.txt}: contract tests run them on every device, and benchmarks
 * time them.
 */
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
            int heads, int kvHeads, int headDim, int window, int ahead, float softCap, int[] past, int[] rows) {
        @Override
        public String toString() {
            return "heads " + heads + "/" + kvHeads + "×" + headDim + " window " + window + " ahead " + ahead + " cap "
                    + softCap + " past " + Arrays.toString(past) + " rows " + Arrays.toString(rows);
        }
    }

    /**
     * What a set of benchmarks times: {@code sizes} as {@code cases.txt} lists them, with each of {@code rows} rows or
     * sequences.
     */
    public record BenchmarkCase(String set, String operation, int[] sizes, int[] rows) {}

    private static final List<WeightLayout> LAYOUTS = new ArrayList<>();
    private static final List<Function<WeightLayout, LinearCase>> LINEAR = new ArrayList<>();
    private static final List<AttentionCase> ATTENTION = new ArrayList<>();
    private static final List<Integer> LENGTHS = new ArrayList<>();
    private static final List<BenchmarkCase> BENCHMARKS = new ArrayList<>();

    static {
        try (InputStream in = Objects.requireNonNull(KernelCases.class.getResourceAsStream("cases.txt"))) {
            List<String> lines = new String(in.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .toList();
            for (int i = 0; i < lines.size(); i++) {
                read(lines.get(i), i + 1);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private KernelCases() {}

    private static void read(String line, int number) {
        String text = line.replaceFirst("#.*", "").strip();
        if (text.isEmpty()) {
            return;
        }
        String[] words = text.split(" +", -1);
        try {
            switch (words[0]) {
                case "layout" -> LAYOUTS.add(layout(words));
                case "linear" -> LINEAR.add(linear(words));
                case "attention" -> {
                    require(words, 9, 9);
                    int[] past = numbers(words[7]);
                    int[] rows = numbers(words[8]);
                    if (past.length != rows.length) {
                        throw new IllegalArgumentException(
                                "expected as many numbers of new rows as of positions before");
                    }
                    ATTENTION.add(new AttentionCase(
                            number(words[1]),
                            number(words[2]),
                            number(words[3]),
                            number(words[4]),
                            number(words[5]),
                            Float.parseFloat(words[6]),
                            past,
                            rows));
                }
                case "length" -> {
                    require(words, 2, 2);
                    LENGTHS.add(number(words[1]));
                }
                case "benchmark" -> BENCHMARKS.add(benchmark(words));
                default -> throw new IllegalArgumentException("expected a kind that is described at the top");
            }
        } catch (RuntimeException e) {
            throw new IllegalStateException("cases.txt, line " + number + ": \"" + line + "\": " + e.getMessage(), e);
        }
    }

    private static void require(String[] words, int least, int most) {
        if (words.length < least || words.length > most) {
            throw new IllegalArgumentException(
                    "expected " + least + (least == most ? "" : " to " + most) + " words, not " + words.length);
        }
    }

    private static int number(String word) {
        return Integer.parseInt(word);
    }

    private static int[] numbers(String word) {
        return Arrays.stream(word.split(",", -1)).mapToInt(KernelCases::number).toArray();
    }

    /** Whether the word at {@code index} is there; where it is, it must be {@code word}. */
    private static boolean option(String[] words, int index, String word) {
        if (words.length > index && !words[index].equals(word)) {
            throw new IllegalArgumentException("expected " + word + ", not " + words[index]);
        }
        return words.length > index;
    }

    private static WeightLayout layout(String[] words) {
        require(words, 2, 4);
        int group = words.length == 2 ? 0 : words[2].equals("row") ? WeightLayout.ROW : number(words[2]);
        return new WeightLayout(WeightLayout.Element.valueOf(words[1]), group, option(words, 3, "minimum"));
    }

    private static Function<WeightLayout, LinearCase> linear(String[] words) {
        require(words, 5, 6);
        int rows = number(words[1]);
        int outputs = number(words[2]);
        int columns = number(words[3]);
        Fill fill = Fill.valueOf(words[4]);
        boolean bias = option(words, 5, "bias");
        return layout -> new LinearCase(layout, outputs, columns, rows, fill, bias);
    }

    private static BenchmarkCase benchmark(String[] words) {
        require(words, 3, 8);
        int sizes = switch (words[2]) {
            case "linear" -> 2;
            case "attention" -> 4;
            case "sample" -> 1;
            default -> throw new IllegalArgumentException("expected an operation that is described at the top");
        };
        require(words, 4 + sizes, 4 + sizes);
        int[] numbers = new int[sizes];
        for (int i = 0; i < sizes; i++) {
            numbers[i] = number(words[3 + i]);
        }
        return new BenchmarkCase(words[1], words[2], numbers, numbers(words[3 + sizes]));
    }

    /** Every layout that has a kernel of its own. */
    public static List<WeightLayout> layouts() {
        return List.copyOf(LAYOUTS);
    }

    /** Every layout, with sizes around panels (16), groups (32), tiles (4) and blocks, and extreme values. */
    public static List<LinearCase> linear() {
        List<LinearCase> cases = new ArrayList<>();
        for (WeightLayout layout : LAYOUTS) {
            LINEAR.forEach(c -> cases.add(c.apply(layout)));
        }
        return cases;
    }

    /**
     * Lengths around a vector, a page (32) and a segment (512), query heads that share KV heads, windows and soft caps.
     */
    public static List<AttentionCase> attention() {
        return List.copyOf(ATTENTION);
    }

    /** Element counts around vector widths and block sizes. */
    public static List<Integer> lengths() {
        return List.copyOf(LENGTHS);
    }

    /** What the benchmarks of a set time of an operation: {@code linear}, {@code attention} or {@code sample}. */
    public static List<BenchmarkCase> benchmarks(String set, String operation) {
        return BENCHMARKS.stream()
                .filter(c -> c.set().equals(set) && c.operation().equals(operation))
                .toList();
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

    /** A matrix of random blocks of a file's type, whose scales are FP16, or powers of two, of moderate size. */
    public static MatrixSource blocks(TensorType type, int rows, int columns, SplittableRandom random) {
        byte[] bytes = new byte[(int) type.rowBytes(columns) * rows];
        random.nextBytes(bytes);
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] &= (byte) 0xBF; // wherever a scale lies, it is below 2
            if (type == TensorType.MXFP4 && i % type.blockBytes() == 0) {
                bytes[i] = (byte) (118 + random.nextInt(12)); // its exponent
            }
        }
        return new MatrixSource("blocks", type, rows, columns, MemorySegment.ofArray(bytes));
    }

    /**
     * Rows of logits: as of a model, with ties, all equal, some infinite, one that outweighs the others, some NaN, and
     * all NaN.
     */
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
