package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.Gate;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Rope;
import dev.demitasse.device.TokenBuffer;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import dev.demitasse.testkit.KernelCases.AttentionCase;
import dev.demitasse.testkit.KernelCases.Fill;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What every device must hold: each operation against the reference device on every case. */
public abstract class DeviceContractTest extends StateContractTest {
    private final double attentionBound;

    /** For one backend. */
    protected DeviceContractTest(String backend) {
        this(backend, NMSE);
    }

    /** For one backend whose attention works with FP16 operands: {@code attentionBound} is what its kernel states. */
    protected DeviceContractTest(String backend, double attentionBound) {
        super(backend);
        this.attentionBound = attentionBound;
    }

    /** The reference's integers, exactly. */
    @Test
    public void quantizeRows() {
        SplittableRandom random = new SplittableRandom(seed);
        float[] x = KernelCases.numbers(5 * 96, Fill.RANDOM, random);
        Arrays.fill(x, 0, 32, 0);
        byte[][] q = new byte[2][5 * 96];
        float[][] scales = new float[2][];
        int i = 0;
        for (Device device : List.of(open(ActivationType.INT8), reference(ActivationType.INT8))) {
            try (device;
                    Buffer in = device.upload(x);
                    Buffer out = device.allocate(5 * 96);
                    Buffer groupScales = device.allocate(5 * 3 * 4)) {
                device.quantizeRows(in, 5, 96, out, groupScales);
                out.read(0, MemorySegment.ofArray(q[i]));
                scales[i++] = read(groupScales, 15);
            }
        }
        assertThat(q[0]).isEqualTo(q[1]);
        assertThat(scales[0]).isEqualTo(scales[1]);
    }

    /** Attention over pages in any order, appended in one batch and in several. */
    @ParameterizedTest
    @EnumSource(KvType.class)
    public void attention(KvType type) {
        for (AttentionCase c : KernelCases.attention()) {
            int width = c.heads() * c.headDim();
            int rows = Arrays.stream(c.rows()).sum();
            compare(c + " " + type, rows * width, attentionBound, device -> attention(device, c, type, false));
            compare(
                    c + " " + type + ", sinks",
                    rows * width,
                    attentionBound,
                    device -> attention(device, c, type, true));
        }
    }

    private Buffer attention(Device device, AttentionCase c, KvType type, boolean sinks) {
        SplittableRandom random = new SplittableRandom(seed);
        int pagesEach = (2048 + KvShape.PAGE) / KvShape.PAGE;
        KvShape shape = new KvShape(2, c.kvHeads(), c.headDim(), pagesEach * c.past().length, type);
        int total = Arrays.stream(c.rows()).sum();
        int[] positions = new int[total];
        int[][] pages = new int[total][];
        Buffer out = device.allocate((long) total * c.heads() * c.headDim() * 4);
        try (KvStore store = device.allocateKv(shape)) {
            int row = 0;
            for (int s = 0; s < c.past().length; s++) {
                int[] table = new int[pagesEach];
                for (int p = 0; p < pagesEach; p++) {
                    table[p] = (pagesEach - 1 - p) * c.past().length + s;
                }
                fill(device, store, c, table, c.past()[s] + c.rows()[s], random);
                for (int i = 0; i < c.rows()[s]; i++) {
                    positions[row] = c.past()[s] + i;
                    pages[row++] = table;
                }
            }
            float[] queries = KernelCases.numbers(total * c.heads() * c.headDim(), Fill.RANDOM, random);
            AttentionShape attention = new AttentionShape(
                    c.heads(),
                    c.kvHeads(),
                    c.headDim(),
                    (float) (1 / Math.sqrt(c.headDim())),
                    c.softCap(),
                    c.window(),
                    c.ahead());
            float[] scores = new float[c.heads()];
            for (int head = 0; head < scores.length; head++) {
                scores[head] = (float) random.nextDouble(-5, 10); // above and below what keys give
            }
            try (Buffer q = device.upload(queries);
                    Buffer ofHeads = device.upload(scores)) {
                BatchRows batch = new BatchRows(total, positions, pages);
                device.attention(q, store, 1, attention, sinks ? ofHeads : null, batch, out);
            }
        }
        return out;
    }

    private static void fill(
            Device device, KvStore store, AttentionCase c, int[] table, int count, SplittableRandom random) {
        int[] positions = new int[count];
        int[][] pages = new int[count][];
        for (int i = 0; i < count; i++) {
            positions[i] = i;
            pages[i] = table;
        }
        float[] k = KernelCases.numbers(count * c.kvHeads() * c.headDim(), Fill.RANDOM, random);
        float[] v = KernelCases.numbers(count * c.kvHeads() * c.headDim(), Fill.RANDOM, random);
        try (Buffer keys = device.upload(k);
                Buffer values = device.upload(v)) {
            device.kvAppend(store, 1, keys, values, new BatchRows(count, positions, pages));
        }
    }

    /** Every length, several rows. */
    @Test
    public void rmsNorm() {
        for (int columns : KernelCases.lengths()) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] x = KernelCases.numbers(3 * columns, Fill.RANDOM, random);
            for (int groups : new int[] {1, 2, 3}) {
                float[] w = KernelCases.numbers(groups * columns, Fill.RANDOM, random);
                compare("rmsNorm of " + columns + " in groups of " + groups, 3 * columns, device -> {
                    Buffer in = device.upload(x);
                    try (Buffer weight = device.upload(w)) {
                        device.rmsNorm(in, weight, groups, 3, columns, 1e-5f, in);
                    }
                    return in;
                });
            }
        }
    }

    /** Both pairings, with a part of the head that is not rotated. */
    @ParameterizedTest
    @EnumSource(Rope.class)
    public void rope(Rope kind) {
        for (int[] size : new int[][] {{1, 1, 2, 2}, {3, 2, 16, 16}, {5, 3, 80, 64}, {40, 4, 64, 64}}) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] x = KernelCases.numbers(size[0] * size[1] * size[2], Fill.RANDOM, random);
            float[] angles = new float[size[0] * size[3]];
            for (int i = 0; i < angles.length; i += 2) {
                double angle = random.nextDouble(100);
                angles[i] = (float) Math.cos(angle);
                angles[i + 1] = (float) Math.sin(angle);
            }
            compare("rope " + kind, x.length, device -> {
                Buffer values = device.upload(x);
                try (Buffer table = device.upload(angles)) {
                    device.rope(values, size[0], size[1], size[2], size[3], kind, table);
                }
                return values;
            });
        }
    }

    /** Heads that are a power of two, a multiple of one, and odd; twice is once and back. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 8, 15, 16, 32, 64, 80, 96, 128, 256, 320, 512})
    public void rotate(int headDim) {
        for (int[] size : new int[][] {{1, 1}, {3, 2}, {40, 3}}) {
            float[] x = KernelCases.numbers(size[0] * size[1] * headDim, Fill.RANDOM, new SplittableRandom(seed));
            compare("rotate heads of " + headDim, x.length, device -> {
                Buffer values = device.upload(x);
                device.rotate(values, size[0], size[1], headDim);
                return values;
            });
            try (Device device = open(ActivationType.F32);
                    Buffer values = device.upload(x)) {
                device.rotate(values, size[0], size[1], headDim);
                device.rotate(values, size[0], size[1], headDim);
                assertThat(read(values, x.length))
                        .usingComparatorWithPrecision(1e-5f)
                        .containsExactly(x);
            }
        }
    }

    /** Every length, also far from zero. */
    @ParameterizedTest
    @EnumSource(Gate.class)
    public void gatedActivation(Gate gate) {
        for (int count : KernelCases.lengths()) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] g = KernelCases.numbers(count, Fill.RANDOM, random);
            g[0] = -200;
            g[count - 1] = 200;
            float[] up = KernelCases.numbers(count, Fill.RANDOM, random);
            compare(gate + " of " + count, count, device -> {
                Buffer in = device.upload(g);
                try (Buffer factor = device.upload(up)) {
                    device.gatedActivation(gate, in, factor, count, in);
                }
                return in;
            });
        }
    }

    /** Rows of every length, with and without a bias, far from zero too. */
    @Test
    public void layerNorm() {
        for (int columns : KernelCases.lengths()) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] x = KernelCases.numbers(3 * columns, Fill.RANDOM, random);
            for (int i = 0; i < columns; i++) {
                x[columns + i] += 30;
            }
            float[] w = KernelCases.numbers(columns, Fill.RANDOM, random);
            for (boolean biased : new boolean[] {false, true}) {
                compare("layerNorm of " + columns + (biased ? " with a bias" : ""), 3 * columns, device -> {
                    Buffer rows = device.upload(x);
                    try (Buffer weight = device.upload(w);
                            Buffer bias = device.upload(w)) {
                        device.layerNorm(rows, weight, biased ? bias : null, 3, columns, 1e-3f, rows);
                    }
                    return rows;
                });
            }
        }
    }

    /** Every length. */
    @Test
    public void addScaleAndSoftCap() {
        for (int count : KernelCases.lengths()) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] x = KernelCases.numbers(count, Fill.RANDOM, random);
            float[] y = KernelCases.numbers(count, Fill.RANDOM, random);
            compare("add, scale and softCap of " + count, count, device -> {
                Buffer sum = device.upload(x);
                try (Buffer addend = device.upload(y)) {
                    device.add(sum, addend, count);
                    device.scale(sum, count, -1.5f);
                    device.softCap(sum, count, 3);
                }
                return sum;
            });
        }
    }

    /** Rows in any order, of every layout. */
    @Test
    public void embedAndGatherRows() {
        for (WeightLayout layout :
                List.of(WeightLayout.F32, WeightLayout.F16, WeightLayout.int8(32), WeightLayout.int4(32))) {
            SplittableRandom random = new SplittableRandom(seed);
            float[] w = KernelCases.numbers(37 * 64, Fill.RANDOM, random);
            int[] ids = {36, 0, 17, 17, 5};
            compare("embed " + layout, 3 * 64, device -> {
                Buffer picked = device.allocate(3 * 64 * 4);
                try (LinearWeight table = device.upload(KernelCases.matrix(w, 37, 64), layout);
                        Buffer rows = device.allocate(5 * 64 * 4)) {
                    device.embed(table, ids, 5, 8f, rows);
                    device.gatherRows(rows, 64, new int[] {4, 0, 2}, picked);
                }
                return picked;
            });
        }
    }

    /**
     * The tokens of {@link Draw#choose}, for few and many columns, ties and infinities included. The logits are of a
     * fixed seed, with which no point lies on the border of two tokens.
     */
    @ParameterizedTest
    @ValueSource(ints = {1, 4, 33, 1000, 2050})
    public void sample(int columns) {
        float[][] rows = KernelCases.logits(columns, new SplittableRandom(20261125));
        float[] logits = new float[rows.length * columns];
        for (int r = 0; r < rows.length; r++) {
            System.arraycopy(rows[r], 0, logits, r * columns, columns);
        }
        try (Device device = open(ActivationType.F32);
                Buffer x = device.upload(logits)) {
            for (int number = 0; number < 12; number++) {
                for (Draw kind : KernelCases.draws(number)) {
                    List<Draw> draws = Collections.nCopies(rows.length, kind);
                    int[] tokens = new int[rows.length];
                    device.sample(x, columns, draws, tokens);
                    for (int r = 0; r < rows.length; r++) {
                        assertThat(tokens[r])
                                .as("row %d of %d columns, %s", r, columns, kind)
                                .isEqualTo(kind.choose(rows[r]));
                    }
                }
            }
        }
    }

    /** Tokens go from one sampling to the next embedding without the host; where none was found the first is taken. */
    @Test
    public void tokensThatAreChosenAreEmbedded() {
        float[] w = KernelCases.numbers(8 * 32, Fill.RANDOM, new SplittableRandom(seed));
        float[] logits = {0, 0, 0, 9, Float.NaN, Float.NaN, Float.NaN, Float.NaN, 0, 7, 0, 0};
        try (Device device = open(ActivationType.F32);
                LinearWeight table = device.upload(KernelCases.matrix(w, 8, 32), WeightLayout.F32);
                Buffer x = device.upload(logits);
                TokenBuffer tokens = device.allocateTokens(4);
                Buffer rows = device.allocate(4 * 32 * 4)) {
            device.sample(x, 4, Collections.nCopies(3, Draw.GREEDY), tokens, 1);
            device.embed(table, tokens, 4, 1, rows);
            device.start();
            device.sample(x, 4, List.of(Draw.GREEDY), tokens, 0);
            int[] chosen = new int[4];
            tokens.read(chosen, 4);
            assertThat(chosen).containsExactly(3, 3, Draw.NONE, 1);
            int[] expected = {0, 3, 0, 1};
            float[] embedded = read(rows, 4 * 32);
            for (int row = 0; row < 4; row++) {
                assertThat(Arrays.copyOfRange(embedded, row * 32, row * 32 + 32))
                        .as("row " + row)
                        .isEqualTo(Arrays.copyOfRange(w, expected[row] * 32, expected[row] * 32 + 32));
            }
        }
    }

    /**
     * NaN in a query, a key or a value comes out as NaN, and does not look like a number; so it does through softCap
     * and the norm.
     */
    @ParameterizedTest
    @EnumSource(KvType.class)
    public void nanStaysNan(KvType type) {
        int dim = 32;
        float[] plain = KernelCases.numbers(2 * dim, Fill.RANDOM, new SplittableRandom(seed));
        float[] withNan = plain.clone();
        withNan[5] = Float.NaN;
        BatchRows rows = new BatchRows(2, new int[] {0, 1}, new int[][] {{0}, {0}});
        BatchRows both = new BatchRows(2, new int[] {0, 1}, new int[][] {rows.pages()[0], rows.pages()[0]});
        try (Device device = open(ActivationType.INT8);
                KvStore store = device.allocateKv(new KvShape(1, 1, dim, 1, type));
                Buffer good = device.upload(plain);
                Buffer bad = device.upload(withNan);
                Buffer weight = device.upload(new float[dim]);
                Buffer out = device.allocate(2 * dim * 4L)) {
            AttentionShape shape = new AttentionShape(1, 1, dim, 0.2f, 0, 0);
            for (int which = 0; which < 3; which++) {
                device.kvAppend(store, 0, which == 0 ? bad : good, which == 1 ? bad : good, both);
                device.attention(which == 2 ? bad : good, store, 0, shape, both, out);
                assertThat(read(out, 2 * dim)[5]).as("%s %d", type, which).isNaN();
            }
            device.rmsNorm(bad, weight, 2, dim, 1e-5f, out);
            assertThat(read(out, dim)).as("rmsNorm").containsOnly(Float.NaN);
            device.layerNorm(bad, weight, null, 2, dim, 1e-5f, out);
            assertThat(read(out, dim)).as("layerNorm").containsOnly(Float.NaN);
            device.gatedActivation(Gate.SILU, bad, good, dim, out);
            assertThat(read(out, dim)[5]).as("SILU").isNaN();
            device.gatedActivation(Gate.GELU, bad, good, dim, out);
            assertThat(read(out, dim)[5]).as("GELU").isNaN();
            device.softCap(bad, dim, 3);
            assertThat(read(bad, dim)[5]).as("softCap").isNaN();
        }
    }

    /**
     * A page that was read, and written to another store that has more of them, or copied within one, gives the same
     * attention.
     */
    @ParameterizedTest
    @EnumSource(KvType.class)
    public void pagesGoFromOnePlaceToAnother(KvType type) {
        SplittableRandom random = new SplittableRandom(seed);
        int count = KvShape.PAGE + 5;
        int dim = 40; // which devices pad
        float[] x = KernelCases.numbers(count * 2 * dim, Fill.RANDOM, random);
        int[] positions = IntStream.range(0, count).toArray();
        AttentionShape shape = new AttentionShape(4, 2, dim, 0.2f, 0, 0);
        try (Device device = open(ActivationType.INT8);
                KvStore first = device.allocateKv(new KvShape(3, 2, dim, 3, type));
                KvStore second = device.allocateKv(new KvShape(3, 2, dim, 7, type));
                Buffer keys = device.upload(x);
                Buffer queries = device.upload(KernelCases.numbers(4 * dim, Fill.RANDOM, random));
                Buffer out = device.allocate(4 * dim * 4L)) {
            for (int layer = 0; layer < 3; layer++) {
                device.kvAppend(first, layer, keys, keys, onPages(positions, 2, 0));
            }
            assertThat(first.layout()).isEqualTo(second.layout());
            MemorySegment page = MemorySegment.ofArray(new byte[(int) first.pageBytes()]);
            first.readPage(2, page);
            second.writePage(4, page);
            second.copyPage(4, 6);
            first.readPage(0, page);
            second.writePage(1, page);
            first.copyPage(0, 1);
            for (int layer = 0; layer < 3; layer++) {
                int[] last = {count - 1};
                device.attention(queries, first, layer, shape, onPages(last, 2, 0), out);
                float[] expected = read(out, 4 * dim);
                assertThat(expected).as("seed %d", seed).doesNotContain(Float.NaN);
                device.attention(queries, first, layer, shape, onPages(last, 2, 1), out);
                assertThat(read(out, 4 * dim)).as("%s %d", type, layer).isEqualTo(expected);
                device.attention(queries, second, layer, shape, onPages(last, 6, 1), out);
                assertThat(read(out, 4 * dim)).as("%s %d", type, layer).isEqualTo(expected);
            }
        }
    }

    private static BatchRows onPages(int[] positions, int... table) {
        int[][] pages = new int[positions.length][];
        Arrays.fill(pages, table);
        return new BatchRows(positions.length, positions, pages);
    }

    /** Groups of activations that cannot be rounded. */
    @Test
    public void quantizeRowsOfSpecialValues() {
        float[] x = new float[4 * 32];
        Arrays.fill(x, 1e-38f);
        Arrays.fill(x, 32, 96, 2);
        x[40] = Float.NaN;
        x[70] = Float.NEGATIVE_INFINITY;
        try (Device device = open(ActivationType.INT8);
                Buffer in = device.upload(x);
                Buffer q = device.allocate(4 * 32);
                Buffer scales = device.allocate(4 * 4)) {
            device.quantizeRows(in, 1, 4 * 32, q, scales);
            byte[] integers = new byte[4 * 32];
            q.read(0, MemorySegment.ofArray(integers));
            assertThat(integers).containsOnly(0);
            assertThat(read(scales, 4)).containsExactly(0, Float.NaN, Float.NaN, 0);
        }
    }
}
