package dev.demitasse.quantize.encode;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.UsageException;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.testkit.Golden;
import dev.demitasse.testkit.Seeds;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Base64;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.FieldSource;

class RowEncoderTest {
    /** Root of the relative squared error of normally distributed numbers: 5 % above the most of 100 rounds. */
    private static final Map<TensorType, Double> BOUNDS = Map.ofEntries(
            Map.entry(TensorType.F32, 0.0),
            Map.entry(TensorType.F16, 2.21e-04),
            Map.entry(TensorType.BF16, 0.0018),
            Map.entry(TensorType.Q8_0, 0.0055),
            Map.entry(TensorType.Q6_K, 0.0184),
            Map.entry(TensorType.Q5_K, 0.0368),
            Map.entry(TensorType.Q5_0, 0.0430),
            Map.entry(TensorType.Q5_1, 0.0356),
            Map.entry(TensorType.Q4_K, 0.0743),
            Map.entry(TensorType.Q4_0, 0.0864),
            Map.entry(TensorType.Q4_1, 0.0740),
            Map.entry(TensorType.IQ4_NL, 0.0789),
            Map.entry(TensorType.IQ4_XS, 0.0795),
            Map.entry(TensorType.MXFP4, 0.1187),
            Map.entry(TensorType.Q3_K, 0.1526),
            Map.entry(TensorType.Q2_K, 0.2780));

    /** The types that have an encoder. */
    static final List<TensorType> WRITTEN = BOUNDS.keySet().stream().sorted().toList();

    @Test
    void typesWithoutABoundAreNotWritten() {
        for (TensorType type : EnumSet.complementOf(EnumSet.copyOf(WRITTEN))) {
            assertThatThrownBy(() -> RowEncoder.of(type))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining(type.name());
        }
    }

    private static double bound(TensorType type) {
        return BOUNDS.getOrDefault(type, Double.NaN);
    }

    @ParameterizedTest
    @FieldSource("WRITTEN")
    void normalNumbersAreEncodedWithinTheBoundOfTheType(TensorType type) {
        Seeds.forEach(3, random -> {
            float[] x = normal(random, 70 * 256);
            double error = relativeError(x, decode(type, encode(type, x, ones(x.length)), x.length));
            assertThat(error).isLessThanOrEqualTo(bound(type));
            assertThat(error).isGreaterThanOrEqualTo(bound(type) / 1.3); // a bound that means something
        });
    }

    @ParameterizedTest
    @FieldSource("WRITTEN")
    void whatATypeHoldsIsEncodedAgainWithHardlyAnError(TensorType type) {
        Golden.lines("blocks.jsonl").stream()
                .filter(row -> row.get("type").asText().equals(type.name()))
                .forEach(row -> {
                    byte[] bytes = Base64.getDecoder().decode(row.get("bytes").asText());
                    int count = bytes.length / type.blockBytes() * type.blockElements();
                    float[] x = decode(type, bytes, count);
                    float[] again = decode(type, encode(type, x, ones(count)), count);
                    // Of K types only groups that use their whole range lie on the grid that is found.
                    assertThat(relativeError(x, again)).isLessThan(bound(type) / 2 + 1e-6);
                });
    }

    @ParameterizedTest
    @FieldSource("WRITTEN")
    void edgesStayFiniteAndZerosStayZeros(TensorType type) {
        float[][] edges = {
            filled(0),
            filled(1),
            filled(-1),
            filled(Float.MIN_VALUE),
            filled(-1e-30f),
            filled(-0f),
            single(3, 0),
            single(-5, 255),
            single(1e-41f, 7),
            alternating(2),
            ramp()
        };
        for (float[] x : edges) {
            float[] actual = decode(type, encode(type, x, ones(x.length)), x.length);
            float largest = 0;
            for (float v : x) {
                largest = Math.max(largest, Math.abs(v));
            }
            for (int i = 0; i < x.length; i++) {
                assertThat(actual[i]).isFinite();
                assertThat(Math.abs(actual[i] - x[i])).isLessThanOrEqualTo(largest * 0.75f + 1e-7f);
            }
        }
    }

    @ParameterizedTest
    @FieldSource("WRITTEN")
    void weightsMoveTheErrorToWhereItCostsLess(TensorType type) {
        Seeds.forEach(3, random -> {
            float[] x = normal(random, 64 * 256);
            float[] w = new float[x.length];
            for (int i = 0; i < w.length; i++) {
                w[i] = i % 4 == 0 ? 100 : 1;
            }
            float[] plain = decode(type, encode(type, x, ones(x.length)), x.length);
            float[] weighted = decode(type, encode(type, x, w), x.length);
            assertThat(error(x, weighted, w)).isLessThanOrEqualTo(error(x, plain, w));
        });
    }

    @ParameterizedTest
    @FieldSource("WRITTEN")
    void weightsOfZeroAreNoDivisionByZero(TensorType type) {
        float[] x = normal(new SplittableRandom(1), 256);
        for (float v : decode(type, encode(type, x, new float[x.length]), x.length)) {
            assertThat(v).isFinite();
        }
    }

    @ParameterizedTest
    @FieldSource("WRITTEN")
    void blocksDoNotDependOnTheirNeighbors(TensorType type) {
        float[] x = normal(new SplittableRandom(2), 20 * 256);
        byte[] together = encode(type, x, ones(x.length));
        int bytes = 256 / type.blockElements() * type.blockBytes();
        for (int b = 0; b < 20; b++) {
            byte[] alone = encode(type, Arrays.copyOfRange(x, b * 256, (b + 1) * 256), ones(256));
            assertThat(alone).isEqualTo(Arrays.copyOfRange(together, b * bytes, (b + 1) * bytes));
        }
    }

    /** Block scales that FP16 would make zero are its smallest number, times a factor of a group. */
    @ParameterizedTest
    @EnumSource(names = {"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"})
    void smallNumbersOfSuperblocksDoNotVanish(TensorType type) {
        float[] x = normal(new SplittableRandom(3), 1024);
        for (int i = 0; i < x.length; i++) {
            x[i] *= 3e-5f;
        }
        assertThat(relativeError(x, decode(type, encode(type, x, ones(x.length)), x.length)))
                .isLessThan(0.5);
    }

    @Test
    void aWeightBeyondTheScalesOfATypeIsRefused() {
        float[] x = filled(1e9f);
        assertThatThrownBy(() -> encode(TensorType.Q4_0, x, ones(x.length)))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("65504");
        assertThatThrownBy(() -> encode(TensorType.F16, x, ones(x.length))).isInstanceOf(UsageException.class);
    }

    @Test
    void vectorsSumAsSingleNumbersDo() {
        Seeds.forEach(5, random -> {
            GroupTile tile = new GroupTile(32);
            tile.load(normal(random, tile.end), normal(random, tile.end), 0, 1 + random.nextInt(GroupTile.GROUPS));
            float[][] arguments = new float[3][];
            Arrays.setAll(arguments, i -> normal(random, GroupTile.GROUPS));
            assertThat(sums(new VectorGroupSums(), tile, arguments))
                    .isDeepEqualTo(sums(new ScalarGroupSums(), tile, arguments));
            assertThat(codes(new VectorGroupSums(), tile, arguments))
                    .isEqualTo(codes(new ScalarGroupSums(), tile, arguments));
        });
    }

    private static byte[] codes(GroupSums sums, GroupTile tile, float[][] a) {
        byte[] codes = new byte[tile.end];
        sums.codes(tile, -8, 7, a[0], a[1], 8, codes);
        return codes;
    }

    private static float[][] sums(GroupSums sums, GroupTile tile, float[][] a) {
        float[][] out = new float[10][GroupTile.GROUPS];
        sums.nearest(tile, -8, 7, a[0], out[0], out[1]);
        sums.nearestErrors(tile, -8, 7, a[0], a[1], out[2]);
        sums.range(tile, 15, a[0], a[1], a[2], out[3], out[4], out[5]);
        sums.rangeErrors(tile, 15, a[0], a[1], a[2], out[6]);
        sums.keepBetter(tile.groups, out[0], out[1], out[7], out[8]);
        sums.extremes(tile, out[9]);
        for (float[] row : out) {
            Arrays.fill(row, tile.groups, row.length, 0); // what lies behind the groups is nobody's
        }
        return out;
    }

    static float[] normal(SplittableRandom random, int count) {
        float[] x = new float[count];
        for (int i = 0; i < count; i++) {
            x[i] = (float) random.nextGaussian();
        }
        return x;
    }

    private static float[] ones(int count) {
        float[] w = new float[count];
        Arrays.fill(w, 1);
        return w;
    }

    private static float[] filled(float value) {
        float[] x = new float[256];
        Arrays.fill(x, value);
        return x;
    }

    private static float[] single(float value, int at) {
        float[] x = new float[256];
        x[at] = value;
        return x;
    }

    private static float[] alternating(float value) {
        float[] x = filled(value);
        for (int i = 0; i < x.length; i += 2) {
            x[i] = -value;
        }
        return x;
    }

    private static float[] ramp() {
        float[] x = new float[256];
        for (int i = 0; i < x.length; i++) {
            x[i] = (i - 128) / 100f;
        }
        return x;
    }

    private static byte[] encode(TensorType type, float[] x, float[] w) {
        byte[] out = new byte[(int) type.rowBytes(x.length)];
        RowEncoder.of(type).encode(x, w, x.length, MemorySegment.ofArray(out), 0);
        return out;
    }

    private static float[] decode(TensorType type, byte[] bytes, int count) {
        float[] out = new float[count];
        new MatrixSource("test", type, 1, count, MemorySegment.ofArray(bytes)).dequantizeRow(0, out);
        return out;
    }

    private static double error(float[] x, float[] y, float[] w) {
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
            sum += w[i] * ((double) x[i] - y[i]) * ((double) x[i] - y[i]);
        }
        return sum;
    }

    private static double relativeError(float[] x, float[] y) {
        double square = error(x, new float[x.length], ones(x.length));
        return square == 0 ? 0 : Math.sqrt(error(x, y, ones(x.length)) / square);
    }
}
