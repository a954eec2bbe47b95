package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.Devices;
import dev.demitasse.Linear;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Gate;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Pass;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Rope;
import dev.demitasse.device.ScanShape;
import dev.demitasse.device.ScanWeights;
import dev.demitasse.device.TokenBuffer;
import dev.demitasse.device.TokenIds;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * What no application can do to a device: lead it out of its memory, mix up threads, or crash it by closing in some
 * order.
 */
public abstract class DoorContractTest {
    private final String backend;

    final long seed = Long.getLong("demitasse.seed", 20261124L);

    /** For one backend. */
    protected DoorContractTest(String backend) {
        this.backend = backend;
    }

    /** How the device is opened. */
    protected DeviceOptions options(ActivationType activations) {
        return DeviceOptions.defaults().withActivations(activations);
    }

    final Device open(ActivationType activations) {
        return Devices.open(backend, options(activations));
    }

    static float[] read(Buffer buffer, int count) {
        float[] values = new float[count];
        buffer.read(0, MemorySegment.ofArray(values));
        return values;
    }

    /** Things to misuse: a matrix of 4 × 32, a cache of one layer with two pages, buffers of 64 numbers. */
    private record Things(
            Device device,
            LinearWeight weight,
            LinearWeight closedWeight,
            LinearWeight foreignWeight,
            KvStore kv,
            KvStore closedKv,
            Buffer x,
            Buffer y,
            Buffer small,
            Buffer closed,
            Buffer foreign,
            TokenBuffer tokens,
            TokenBuffer closedTokens) {
        BatchRows rows(int position, int... pages) {
            return new BatchRows(1, new int[] {position}, new int[][] {pages});
        }

        /** Doubles x[0]. */
        Pass pass() {
            return new PassOf(weight, kv, rows -> device.add(x, x, 1));
        }

        void attention(int layer, AttentionShape shape, BatchRows rows) {
            device.attention(x, kv, layer, shape, rows, y);
        }
    }

    private static final AttentionShape SHAPE = new AttentionShape(2, 1, 32, 0.2f, 0, 0);

    /** By name, what must be refused. */
    private static Map<String, Runnable> misuse(Things t) {
        Device d = t.device;
        Map<String, Runnable> all = new LinkedHashMap<>();
        all.put("allocate -1", () -> d.allocate(-1).close());
        all.put("write beyond the end", () -> t.small.write(8, MemorySegment.ofArray(new float[3])));
        all.put("write before the beginning", () -> t.small.write(-4, MemorySegment.ofArray(new float[1])));
        all.put("read beyond the end", () -> t.small.read(16, MemorySegment.ofArray(new float[1])));
        all.put("read far beyond", () -> t.small.read(Long.MAX_VALUE, MemorySegment.ofArray(new float[1])));
        all.put(
                "read to read-only memory",
                () -> t.small.read(0, MemorySegment.ofArray(new float[1]).asReadOnly()));
        all.put("read of a closed buffer", () -> read(t.closed, 1));
        all.put("write from closed memory", () -> {
            Arena arena = Arena.ofConfined();
            MemorySegment memory = arena.allocate(4);
            arena.close();
            t.small.write(0, memory);
        });
        all.put("embed a token too large", () -> d.embed(t.weight, new int[] {4}, 1, 1, t.x));
        all.put("embed a negative token", () -> d.embed(t.weight, new int[] {-1}, 1, 1, t.x));
        all.put("embed more rows than ids", () -> d.embed(t.weight, new int[] {0}, 2, 1, t.x));
        all.put("embed to a short buffer", () -> d.embed(t.weight, new int[] {0}, 1, 1, t.small));
        all.put("embed by a closed table", () -> d.embed(t.closedWeight, new int[] {0}, 1, 1, t.x));
        all.put("gather a row too large", () -> d.gatherRows(t.x, 32, new int[] {2}, t.y));
        all.put("gather a negative row", () -> d.gatherRows(t.x, 32, new int[] {-1}, t.y));
        all.put("gather rows of nothing", () -> d.gatherRows(t.x, 0, new int[] {0}, t.y));
        all.put("rmsNorm of -1 rows", () -> d.rmsNorm(t.x, t.y, -1, 4, 1e-5f, t.x));
        all.put("rmsNorm of no columns", () -> d.rmsNorm(t.x, t.y, 1, 0, 1e-5f, t.x));
        all.put("rmsNorm beyond the end", () -> d.rmsNorm(t.x, t.y, 3, 32, 1e-5f, t.x));
        all.put("rmsNorm by a short weight", () -> d.rmsNorm(t.x, t.small, 1, 32, 1e-5f, t.x));
        all.put("rmsNorm of most rows", () -> d.rmsNorm(t.x, t.y, Integer.MAX_VALUE, Integer.MAX_VALUE, 0, t.x));
        all.put("quantizeRows of 33", () -> d.quantizeRows(t.x, 1, 33, t.y, t.y));
        all.put("quantizeRows beyond the end", () -> d.quantizeRows(t.x, 3, 32, t.y, t.y));
        all.put("quantizeRows to a short buffer", () -> d.quantizeRows(t.x, 1, 32, t.small, t.y));
        all.put("linear of nothing", () -> d.linear(t.x, 1));
        all.put("linear of -1 rows", () -> d.linear(t.x, -1, new Projection(t.weight, null, t.y)));
        all.put("linear beyond the end", () -> d.linear(t.x, 3, new Projection(t.weight, null, t.y)));
        all.put("linear to a short buffer", () -> d.linear(t.x, 2, new Projection(t.weight, null, t.small)));
        all.put("linear with a short bias", () -> d.linear(t.x, 1, new Projection(t.weight, d.allocate(12), t.y)));
        all.put("linear by a closed weight", () -> d.linear(t.x, 1, new Projection(t.closedWeight, null, t.y)));
        all.put("linear by a foreign weight", () -> d.linear(t.x, 1, new Projection(t.foreignWeight, null, t.y)));
        all.put("linear of a foreign buffer", () -> d.linear(t.foreign, 1, new Projection(t.weight, null, t.y)));
        GroupMisuse.put(all, d, t.x, t.y, t.small);
        all.put("rope of odd elements", () -> d.rope(t.x, 1, 1, 32, 3, Rope.NEOX, t.y));
        all.put("rope of more than a head", () -> d.rope(t.x, 1, 1, 32, 34, Rope.NEOX, t.y));
        all.put("rope of -1 heads", () -> d.rope(t.x, 1, -1, 32, 32, Rope.NEOX, t.y));
        all.put("rope beyond the end", () -> d.rope(t.x, 3, 1, 32, 32, Rope.NEOX, t.y));
        all.put("rope of most heads", () -> d.rope(t.x, 1 << 30, 1 << 30, 1 << 30, 2, Rope.NEOX, t.y));
        all.put("rope by few angles", () -> d.rope(t.x, 1, 1, 32, 32, Rope.NEOX, t.small));
        all.put("rotate -1 heads", () -> d.rotate(t.x, 1, -1, 32));
        all.put("rotate heads of 0 elements", () -> d.rotate(t.x, 1, 1, 0));
        all.put("rotate beyond the end", () -> d.rotate(t.x, 3, 1, 32));
        all.put("rotate most heads", () -> d.rotate(t.x, 1 << 30, 1 << 30, 1 << 30));
        all.put("kvAppend to layer 1 of 1", () -> d.kvAppend(t.kv, 1, t.x, t.x, t.rows(0, 0)));
        all.put("kvAppend to layer -1", () -> d.kvAppend(t.kv, -1, t.x, t.x, t.rows(0, 0)));
        all.put("kvAppend to a closed cache", () -> d.kvAppend(t.closedKv, 0, t.x, t.x, t.rows(0, 0)));
        all.put("kvAppend to a wrong page", () -> d.kvAppend(t.kv, 0, t.x, t.x, t.rows(0, 2)));
        all.put("kvAppend to a negative page", () -> d.kvAppend(t.kv, 0, t.x, t.x, t.rows(0, -7)));
        all.put("kvAppend beyond the table", () -> d.kvAppend(t.kv, 0, t.x, t.x, t.rows(32, 0)));
        all.put("kvAppend to position -1", () -> d.kvAppend(t.kv, 0, t.x, t.x, t.rows(-1, 0)));
        all.put("kvAppend of short keys", () -> d.kvAppend(t.kv, 0, t.small, t.x, t.rows(0, 0)));
        int[] table = {0};
        all.put(
                "kvAppend in descending positions",
                () -> d.kvAppend(t.kv, 0, t.x, t.x, new BatchRows(2, new int[] {1, 0}, new int[][] {table, table})));
        all.put(
                "kvAppend of more rows than positions",
                () -> d.kvAppend(t.kv, 0, t.x, t.x, new BatchRows(2, new int[] {0}, new int[][] {table, table})));
        all.put("attention in layer 1 of 1", () -> t.attention(1, SHAPE, t.rows(0, 0)));
        all.put("attention over a wrong page", () -> t.attention(0, SHAPE, t.rows(40, 0, 9)));
        all.put("attention of other heads", () -> t.attention(0, new AttentionShape(2, 2, 16, 1, 0, 0), t.rows(0, 0)));
        all.put("attention of no heads", () -> t.attention(0, new AttentionShape(0, 1, 32, 1, 0, 0), t.rows(0, 0)));
        all.put("attention, a run of 48", () -> t.attention(0, new AttentionShape(2, 1, 32, 1, 0, -48), t.rows(0, 0)));
        all.put(
                "attention, a centered run",
                () -> t.attention(0, new AttentionShape(2, 1, 32, 1, 0, -1, 1), t.rows(0, 0)));
        all.put("attention with closed sinks", () -> d.attention(t.x, t.kv, 0, SHAPE, t.closed, t.rows(0, 0), t.y));
        all.put("attention with foreign sinks", () -> d.attention(t.x, t.kv, 0, SHAPE, t.foreign, t.rows(0, 0), t.y));
        all.put("attention of many heads", () -> t.attention(0, new AttentionShape(4, 1, 32, 1, 0, 0), t.rows(0, 0)));
        putStates(all, d, t);
        all.put("gatedActivation beyond", () -> d.gatedActivation(Gate.SILU, t.x, t.y, 65, t.x));
        all.put("gatedActivation of -1", () -> d.gatedActivation(Gate.SILU, t.x, t.y, -1, t.x));
        all.put("add of a short buffer", () -> d.add(t.small, t.x, 16));
        all.put("add of -1", () -> d.add(t.x, t.x, -1));
        all.put("add of most", () -> d.add(t.x, t.x, Long.MAX_VALUE));
        all.put("add of a closed buffer", () -> d.add(t.x, t.closed, 4));
        all.put("add of a foreign buffer", () -> d.add(t.x, t.foreign, 4));
        all.put("scale beyond", () -> d.scale(t.x, 65, 2));
        all.put("layerNorm of a short weight", () -> d.layerNorm(t.x, t.small, null, 1, 64, 1, t.y));
        all.put("layerNorm of a short bias", () -> d.layerNorm(t.x, t.x, t.small, 1, 64, 1, t.y));
        all.put("layerNorm beyond", () -> d.layerNorm(t.x, t.y, null, 2, 64, 1, t.y));
        all.put("layerNorm of no columns", () -> d.layerNorm(t.x, t.y, null, 1, 0, 1, t.y));
        all.put("softCap beyond", () -> d.softCap(t.x, 65, 1));
        all.put("sample of nothing", () -> d.sample(t.x, 64, List.of(), new int[1]));
        all.put("sample beyond", () -> d.sample(t.x, 33, List.of(Draw.GREEDY, Draw.GREEDY), new int[2]));
        all.put("sample to a short array", () -> d.sample(t.x, 32, List.of(Draw.GREEDY, Draw.GREEDY), new int[1]));
        all.put("sample of no columns", () -> d.sample(t.x, 0, List.of(Draw.GREEDY), new int[1]));
        List<Draw> draws = List.of(Draw.GREEDY, Draw.GREEDY);
        all.put("a buffer of no tokens", () -> d.allocateTokens(0).close());
        all.put("sample beyond the tokens", () -> d.sample(t.x, 32, draws, t.tokens, 1));
        all.put("sample to before the tokens", () -> d.sample(t.x, 32, draws, t.tokens, -1));
        all.put("sample to closed tokens", () -> d.sample(t.x, 32, draws, t.closedTokens, 0));
        all.put("read of more tokens than there are", () -> t.tokens.read(new int[3], 3));
        all.put("read of tokens to a short array", () -> t.tokens.read(new int[1], 2));
        all.put("embed of more rows than tokens", () -> d.embed(t.weight, t.tokens, 3, 1, t.x));
        all.put("embed of tokens that are beyond the table", () -> {
            d.sample(t.x, 32, List.of(Draw.GREEDY), t.tokens, 0);
            d.embed(t.weight, t.tokens, 1, 1, t.y);
        });
        all.put("embed by closed tokens", () -> d.embed(t.weight, t.closedTokens, 1, 1, t.x));
        all.put("gatherPositions beyond", () -> d.gatherPositions(t.x, 32, t.rows(2, 0, 1), t.y));
        all.put("gatherPositions to a short buffer", () -> d.gatherPositions(t.x, 32, t.rows(1, 0, 1), t.small));
        all.put(
                "gatherPositions of more rows than positions",
                () -> d.gatherPositions(t.x, 1, new BatchRows(2, new int[] {0}, new int[][] {table, table}), t.y));
        all.put("a pass over a wrong token", () -> d.run(t.pass(), new TokenIds.Given(new int[] {4}), t.rows(0, 0)));
        all.put("a pass over a wrong page", () -> d.run(t.pass(), new TokenIds.Given(new int[1]), t.rows(0, 9)));
        all.put("a pass over closed tokens", () -> d.run(t.pass(), new TokenIds.Chosen(t.closedTokens), t.rows(0, 0)));
        all.put(
                "a cache of no pages",
                () -> d.allocateKv(new KvShape(1, 1, 32, 0, KvType.F16)).close());
        all.put(
                "a cache beyond memory",
                () -> d.allocateKv(new KvShape(1 << 20, 1 << 20, 1 << 20, Integer.MAX_VALUE, KvType.F16))
                        .close());
        return all;
    }

    /** Buffers have 64 numbers: two states of a convolution of 16 channels by 3, or one of a head of 8. */
    private static void putStates(Map<String, Runnable> all, Device d, Things t) {
        BatchRows first = t.rows(0, 0);
        int[] table = {1};
        BatchRows twice = new BatchRows(2, new int[] {0, 0}, new int[][] {{1}, {1}});
        BatchRows gap = new BatchRows(2, new int[] {0, 2}, new int[][] {table, table});
        DeltaShape shape = new DeltaShape(1, 1, 8, false, 0);
        all.put("convolve by a kernel of 1", () -> d.convolve(t.x, t.x, null, 16, 1, false, t.x, first, t.y));
        all.put("convolve by a kernel of 17", () -> d.convolve(t.x, t.x, null, 1, 17, false, t.x, first, t.y));
        all.put("convolve no channels", () -> d.convolve(t.x, t.x, null, 0, 3, false, t.x, first, t.y));
        all.put("convolve in place", () -> d.convolve(t.x, t.x, null, 16, 3, false, t.y, first, t.x));
        all.put("convolve with state 2 of 2", () -> d.convolve(t.x, t.x, null, 16, 3, false, t.x, t.rows(0, 2), t.y));
        all.put("convolve with state -1", () -> d.convolve(t.x, t.x, null, 16, 3, false, t.x, t.rows(0, -1), t.y));
        all.put("convolve without a page", () -> d.convolve(t.x, t.x, null, 16, 3, false, t.x, t.rows(0), t.y));
        all.put("convolve two sequences of one state", () -> d.convolve(t.x, t.x, null, 16, 3, false, t.x, twice, t.y));
        all.put("convolve with a gap", () -> d.convolve(t.x, t.x, null, 16, 3, false, t.x, gap, t.y));
        all.put("convolve to a short buffer", () -> d.convolve(t.x, t.x, null, 16, 3, false, t.x, first, t.small));
        all.put("convolve with a foreign state", () -> d.convolve(t.x, t.x, null, 16, 3, false, t.foreign, first, t.y));
        all.put("no heads", () -> new DeltaShape(0, 1, 8, false, 0));
        all.put("heads that share unevenly", () -> new DeltaShape(2, 3, 8, false, 0));
        all.put("large heads", () -> new DeltaShape(1, 1, 257, false, 0));
        all.put("deltaRule in place", () -> d.deltaRule(t.x, t.x, t.x, t.x, t.x, shape, t.y, first, t.x));
        all.put(
                "deltaRule with state 1 of 1",
                () -> d.deltaRule(t.x, t.x, t.x, t.x, t.x, shape, t.x, t.rows(0, 1), t.y));
        all.put("deltaRule with a short state", () -> d.deltaRule(t.x, t.x, t.x, t.x, t.x, shape, t.small, first, t.y));
        all.put("deltaRule to a short buffer", () -> d.deltaRule(t.x, t.x, t.x, t.x, t.x, shape, t.x, first, t.small));
        all.put(
                "deltaRule by a closed buffer",
                () -> d.deltaRule(t.x, t.closed, t.x, t.x, t.x, shape, t.x, first, t.y));
        all.put("convolve with a short bias", () -> d.convolve(t.x, t.x, t.small, 16, 3, false, t.x, first, t.y));
        all.put("a scan of no groups", () -> new ScanShape(0, 1, 8, 8));
        all.put("a scan of groups that share unevenly", () -> new ScanShape(2, 3, 8, 8));
        all.put("a scan of large states", () -> new ScanShape(1, 1, 8, 257));
        ScanShape scan = new ScanShape(1, 1, 8, 8);
        ScanWeights weights = new ScanWeights(t.x, t.x, t.x);
        ScanWeights closed = new ScanWeights(t.x, t.x, t.closed);
        all.put("scan in place", () -> d.selectiveScan(t.x, t.x, weights, scan, t.y, first, t.x));
        all.put("scan to its steps", () -> d.selectiveScan(t.x, t.y, weights, scan, t.x, first, t.y));
        all.put("scan with state 1 of 1", () -> d.selectiveScan(t.x, t.x, weights, scan, t.x, t.rows(0, 1), t.y));
        all.put("scan with a short state", () -> d.selectiveScan(t.x, t.x, weights, scan, t.small, first, t.y));
        all.put("scan to a short buffer", () -> d.selectiveScan(t.x, t.x, weights, scan, t.x, first, t.small));
        all.put("scan by a closed buffer", () -> d.selectiveScan(t.x, t.x, closed, scan, t.x, first, t.y));
        all.put("rmsNorm of no groups", () -> d.rmsNorm(t.x, t.x, 0, 1, 16, 1, t.y));
        all.put("rmsNorm of many groups", () -> d.rmsNorm(t.x, t.x, 5, 1, 16, 1, t.y));
    }

    private static LinearWeight matrix(Device device) {
        return device.upload(KernelCases.matrix(new float[4 * 32], 4, 32), WeightLayout.int8(32));
    }

    /** A pass that comes again is held to the smallest of its caches, whether its operations are called or not. */
    @Test
    public void aPassStaysWithinTheSmallestOfItsCaches() {
        try (Device device = open(ActivationType.INT8);
                LinearWeight table = matrix(device);
                KvStore large = device.allocateKv(new KvShape(1, 1, 32, 10, KvType.F16));
                KvStore small = device.allocateKv(new KvShape(1, 1, 32, 2, KvType.F16));
                Buffer x = device.allocate(32 * Float.BYTES)) {
            Pass pass = new PassOf(table, large, rows -> {
                device.kvAppend(large, 0, x, x, rows);
                device.kvAppend(small, 0, x, x, rows);
            });
            for (int i = 0; i < 4; i++) {
                device.run(pass, new TokenIds.Given(new int[1]), page(0));
                device.start();
            }
            assertThatThrownBy(() -> device.run(pass, new TokenIds.Given(new int[1]), page(5)))
                    .isInstanceOf(UsageException.class);
        }
    }

    private static BatchRows page(int page) {
        return new BatchRows(1, new int[] {0}, new int[][] {{page}});
    }

    /** Every operation, misused, ends in {@link UsageException} and leaves the device as it was. */
    @Test
    public void misuseOfEveryOperationIsRefused() {
        List<AutoCloseable> owned = new ArrayList<>();
        try (Device device = open(ActivationType.INT8);
                Device other = open(ActivationType.INT8)) {
            Things things = new Things(
                    device,
                    matrix(device),
                    matrix(device),
                    matrix(other),
                    device.allocateKv(new KvShape(1, 1, 32, 2, KvType.F16)),
                    device.allocateKv(new KvShape(1, 1, 32, 2, KvType.F16)),
                    device.upload(new float[64]),
                    device.upload(new float[64]),
                    device.allocate(16),
                    device.allocate(256),
                    other.allocate(256),
                    device.allocateTokens(2),
                    device.allocateTokens(2));
            owned.addAll(List.of(
                    things.weight,
                    things.foreignWeight,
                    things.kv,
                    things.x,
                    things.y,
                    things.small,
                    things.foreign,
                    things.tokens));
            things.closedTokens.close();
            things.closedWeight.close();
            things.closedKv.close();
            things.closed.close();
            misuse(things).forEach((name, call) -> {
                things.x.write(0, MemorySegment.ofArray(new float[] {1}));
                device.add(things.x, things.x, 1);
                assertThatThrownBy(call::run).as(name).isInstanceOf(UsageException.class);
                assertThat(read(things.x, 1)[0])
                        .as("what was recorded before: " + name)
                        .isEqualTo(2);
            });
            Rope noKind = (new Rope[1])[0]; // null, which the compiler does not see
            Buffer noBuffer = (new Buffer[1])[0];
            assertThatThrownBy(() -> device.rope(things.x, 1, 1, 32, 32, noKind, things.y))
                    .isInstanceOf(NullPointerException.class);
            assertThatThrownBy(() -> device.add(things.x, noBuffer, 1)).isInstanceOf(NullPointerException.class);
        } finally {
            owned.forEach(DoorContractTest::close);
        }
    }

    /** What a pass looks up is checked every time, also where its operations are not called again. */
    @Test
    public void aPassIsCheckedEveryTime() {
        try (Device device = open(ActivationType.F32);
                LinearWeight table = matrix(device);
                KvStore cache = device.allocateKv(new KvShape(1, 1, 32, 2, KvType.F16));
                Buffer out = device.allocate(64)) {
            Buffer angles = device.upload(new float[] {0, 1, 2, 3});
            Pass pass = new PassOf(table, cache, rows -> {
                device.gatherPositions(angles, 1, rows, out);
            });
            TokenIds ids = new TokenIds.Given(new int[1]);
            for (int position : new int[] {0, 3, 1, 2}) {
                device.run(pass, ids, new BatchRows(1, new int[] {position}, new int[][] {{0, 1}}));
                assertThat(read(out, 1)[0]).isEqualTo(position);
            }
            assertThatThrownBy(() -> device.run(pass, ids, new BatchRows(1, new int[] {4}, new int[][] {{0, 1}})))
                    .isInstanceOf(UsageException.class);
            assertThat(read(out, 1)[0]).isEqualTo(2);
            BatchRows two = new BatchRows(2, new int[] {3, 2}, new int[][] {{0}, {1}});
            device.run(pass, new TokenIds.Given(new int[2]), two);
            assertThat(read(out, 2)).containsExactly(3, 2);
            angles.close();
            assertThatThrownBy(() -> device.run(pass, ids, new BatchRows(1, new int[1], new int[][] {{0}})))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("closed");
        }
    }

    private static void close(AutoCloseable resource) {
        try {
            resource.close();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    /** Closing in any order is harmless, and what is closed says so. */
    @Test
    public void whatIsClosedIsRefusedInAnyOrder() {
        for (int order = 0; order < 2; order++) {
            Device device = open(ActivationType.INT8);
            Linear linear = Linear.quantize(device, new float[64 * 64], 64, 64, WeightLayout.int8(32));
            Buffer buffer = device.allocate(64);
            KvStore store = device.allocateKv(new KvShape(1, 1, 32, 2, KvType.F16));
            linear.multiply(new float[64], 1);
            if (order == 0) {
                device.close();
                device.close();
                assertThatThrownBy(() -> read(buffer, 1)).isInstanceOf(UsageException.class);
                assertThatThrownBy(() -> device.allocate(4)).isInstanceOf(UsageException.class);
            } else {
                linear.close();
            }
            assertThatThrownBy(() -> linear.multiply(new float[64], 1))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("closed");
            store.close();
            buffer.close();
            buffer.close();
            linear.close();
            linear.close();
            device.close();
        }
    }

    /**
     * Two matrices on one device, a thread each: every product is right; a third closes the device, and both end with a
     * refusal.
     */
    @Test
    @Timeout(180)
    public void threadsShareADeviceUntilItIsClosed() throws InterruptedException {
        Device device = open(ActivationType.INT8);
        AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
        CountDownLatch warm = new CountDownLatch(2 * rounds());
        List<Thread> threads = new ArrayList<>();
        List<Linear> matrices = new ArrayList<>();
        for (int t = 1; t <= 2; t++) {
            Linear linear = Linear.quantize(device, new float[] {t, t, t, t}, 1, 4, WeightLayout.int8(32));
            matrices.add(linear);
            int factor = 4 * t;
            threads.add(Thread.ofPlatform().start(() -> {
                try {
                    for (int i = 0; ; i++) {
                        float v = i % 100 + 1;
                        float y = linear.multiply(new float[] {v, v, v, v}, 1)[0];
                        if (!(Math.abs(y - factor * v) < 0.02 * factor * v)) {
                            throw new AssertionError(y + " is not " + factor * v);
                        }
                        warm.countDown();
                    }
                } catch (Throwable e) {
                    if (!(e instanceof UsageException)) {
                        failure.set(e);
                        while (warm.getCount() > 0) {
                            warm.countDown();
                        }
                    }
                }
            }));
        }
        warm.await();
        device.close();
        for (Thread thread : threads) {
            thread.join();
        }
        matrices.forEach(Linear::close);
        assertThat(failure.get()).isNull();
    }

    /** How many products each of two threads makes before the device is closed; fewer where one takes long. */
    protected int rounds() {
        return 3000;
    }
}
