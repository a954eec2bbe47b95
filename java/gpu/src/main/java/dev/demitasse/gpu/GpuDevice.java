package dev.demitasse.gpu;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.Device;
import dev.demitasse.device.Gate;
import dev.demitasse.device.GroupedProjection;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Pass;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Rope;
import dev.demitasse.device.Routes;
import dev.demitasse.device.Routing;
import dev.demitasse.device.ScanShape;
import dev.demitasse.device.ScanWeights;
import dev.demitasse.device.TokenBuffer;
import dev.demitasse.device.TokenIds;
import dev.demitasse.device.WeightGroup;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The operations of {@link Device} as steps: one is recorded when it is called, and is launched, with all that were
 * called before, by {@link #start} or when a buffer or tokens are read.
 */
public abstract class GpuDevice implements Device {
    /** Numbers of rows that a step brings at most: those of the longest lists do not fit its data at once. */
    private static final int GATHERED_ROWS = 1 << 20;

    /** Columns of a row of logits, at most: weights are multiples of 2^-40, and their sums have 64 bits. */
    public static final int MOST_SAMPLE_COLUMNS = 1 << 18;

    /** Rows by which an expert's places may be padded. */
    private static final int TILE_ROWS = 8;

    private final ActivationType activations;
    private final GpuMemory memory;
    private final ListRunner<?, ?> runner;
    private final StepList steps;
    private final LinearSteps linear;
    private final Limits limits;

    /**
     * What the kernels of a device take.
     *
     * @param linearRows rows of a {@code linear}, at most
     * @param order how weights lie
     * @param attention of attention
     */
    public record Limits(int linearRows, WeightOrder order, AttentionPlan.Limits attention) {}

    /** A device of {@code memory}, whose lists {@code runner} runs. */
    protected GpuDevice(ActivationType activations, GpuMemory memory, ListRunner<?, ?> runner, Limits limits) {
        this.activations = activations;
        this.memory = memory;
        this.runner = runner;
        this.steps = runner.steps();
        this.limits = limits;
        this.linear = new LinearSteps(activations, steps);
    }

    /** Whether rows are quantized before they meet a matrix. */
    protected abstract boolean quantizes(GpuWeight weight, int rows);

    /**
     * How {@code rows} rows of {@code groups} groups are shared out, of which none has more than {@code most}; as many
     * rows as groups begin anywhere.
     */
    protected abstract GroupTiles groupTiles(int rows, int groups, int most);

    /** Gives back all but {@code memory}, which is usable or not. */
    protected abstract void closeKernels();

    /** Gives back the device's memory. */
    protected abstract void closeMemory();

    /** Has all that is recorded from now on be looked at again, since kernels are chosen in another way. */
    public void forgetLaunches() {
        steps.forget();
        runner.forgetRecorded();
    }

    /** Microseconds on the GPU of operations that were run before, replayed from the second call on. */
    public double microseconds(Runnable operations) {
        runner.synchronize();
        operations.run();
        return runner.microseconds();
    }

    /** How many lists were replayed, for tests. */
    public int replays() {
        return runner.replays();
    }

    /** How many passes were not recorded again, for tests. */
    public int replayedPasses() {
        return steps.replayedPasses();
    }

    /** How many kernels were started, for tests. */
    public int started() {
        return runner.started();
    }

    /** What was recorded and not run yet, for tests. */
    public List<Step> waiting() {
        return steps.waiting();
    }

    @Override
    public String name() {
        return memory.device();
    }

    @Override
    public int threads() {
        return 1;
    }

    @Override
    public long freeBytes() {
        return memory.freeBytes();
    }

    @Override
    public ActivationType activations() {
        return activations;
    }

    @Override
    public Buffer allocate(long bytes) {
        return new GpuBuffer(new MemoryBlock(bytes, memory, runner, MemoryLedger.Purpose.BUFFERS), steps);
    }

    @Override
    public LinearWeight upload(MatrixSource source, WeightLayout layout) {
        return GpuWeight.upload(source, layout, target());
    }

    private GpuWeight.Target target() {
        return new GpuWeight.Target(limits.order, activations == ActivationType.INT8_ROW, memory, runner);
    }

    @Override
    public KvStore allocateKv(KvShape shape) {
        return new PagedKvStore(shape, name(), memory, runner);
    }

    private static long address(Buffer buffer) {
        return ((GpuBuffer) buffer).address();
    }

    private void record(Step step) {
        memory.requireUsable();
        steps.add(step);
    }

    @Override
    public TokenBuffer allocateTokens(int capacity) {
        return new GpuTokens(capacity, memory, runner);
    }

    @Override
    public void embed(LinearWeight table, int[] ids, int rows, float scale, Buffer out) {
        memory.requireUsable();
        record(new Step.Embed(table, steps.putIds(ids, rows), rows, scale, address(out)));
    }

    @Override
    public void embed(LinearWeight table, TokenBuffer ids, int rows, float scale, Buffer out) {
        record(new Step.Embed(table, ((GpuTokens) ids).address(0), rows, scale, address(out)));
    }

    @Override
    public void gatherPositions(Buffer table, int columns, BatchRows rows, Buffer out) {
        memory.requireUsable();
        int count = rows.count();
        record(new Step.GatherRows(address(table), columns, steps.positions(rows), count, address(out)));
    }

    @Override
    public void gatherRows(Buffer x, int columns, int[] rows, Buffer out, int first) {
        long source = address(x);
        for (int from = 0; from < rows.length; from += GATHERED_ROWS) {
            int[] some = from == 0 && rows.length <= GATHERED_ROWS
                    ? rows
                    : Arrays.copyOfRange(rows, from, Math.min(rows.length, from + GATHERED_ROWS));
            long target = address(out) + (long) (first + from) * columns * Float.BYTES;
            long ids = steps.put(some, some.length);
            record(new Step.GatherRows(source, columns, ids, some.length, target));
        }
    }

    @Override
    public void rmsNorm(Buffer x, Buffer weight, int groups, int rows, int columns, float epsilon, Buffer out) {
        record(new Step.RmsNorm(address(x), address(weight), groups, rows, columns, epsilon, address(out), 0, null));
    }

    @Override
    public void layerNorm(
            Buffer x, Buffer weight, @Nullable Buffer bias, int rows, int columns, float epsilon, Buffer out) {
        long shift = bias == null ? 0 : address(bias);
        record(new Step.LayerNorm(address(x), address(weight), shift, rows, columns, epsilon, address(out)));
    }

    @Override
    public void quantizeRows(Buffer x, int rows, int columns, Buffer q, Buffer scales) {
        record(new Step.QuantizeRows(address(x), rows, columns, address(q), address(scales)));
    }

    @Override
    public void linear(Buffer x, int rows, Projection... projections) {
        List<Step.Product> products = new ArrayList<>(projections.length);
        for (Projection each : projections) {
            Buffer bias = each.bias();
            products.add(new Step.Product(
                    each.weight(), bias == null ? 0 : address(bias), address(each.out()), each.type()));
        }
        memory.requireUsable();
        requireRows("linear", rows);
        linear.linear(address(x), rows, products, this::quantizes);
    }

    private void requireRows(String operation, int rows) {
        if (rows > limits.linearRows) {
            throw new UsageException(name() + ": " + operation + " takes at most " + limits.linearRows
                    + " rows at once, not " + rows + ".");
        }
    }

    @Override
    public WeightGroup uploadGroup(List<MatrixSource> sources, WeightLayout layout, List<float[]> biases) {
        return GpuWeightGroup.upload(sources, layout, biases, target());
    }

    @Override
    public Routes allocateRoutes(int maximumRows, Routing routing) {
        requireRows("route", Math.multiplyExact(maximumRows, routing.used()) + TILE_ROWS * routing.experts());
        return new GpuRoutes(routing, maximumRows, this::groupTiles, memory, runner);
    }

    @Override
    public void groupedLinear(Buffer x, int[] starts, GroupedProjection... projections) {
        memory.requireUsable();
        int most = 0;
        for (int g = 0; g + 1 < starts.length; g++) {
            most = Math.max(most, starts[g + 1] - starts[g]);
        }
        requireRows("groupedLinear", starts[starts.length - 1]);
        linear.grouped(address(x), starts, most, grouped(projections), this::groupTiles, this::quantizes);
    }

    private static List<Step.GroupedProduct> grouped(GroupedProjection... projections) {
        List<Step.GroupedProduct> products = new ArrayList<>(projections.length);
        for (GroupedProjection each : projections) {
            products.add(new Step.GroupedProduct(each.weights(), address(each.out())));
        }
        return products;
    }

    @Override
    public void route(Buffer logits, int rows, @Nullable Buffer bias, @Nullable Buffer scales, Routes out) {
        GpuRoutes routes = (GpuRoutes) out;
        routes.routed(rows);
        if (rows > 0) {
            record(new Step.Route(
                    address(logits),
                    bias == null ? 0 : address(bias),
                    scales == null ? 0 : address(scales),
                    routes.choice()));
        }
    }

    @Override
    public void dispatch(Buffer x, int columns, Routes routes, Buffer out) {
        record(new Step.Dispatch(address(x), columns, ((GpuRoutes) routes).choice(), address(out), null));
    }

    @Override
    public void groupedLinear(Buffer x, Routes routes, GroupedProjection... projections) {
        memory.requireUsable();
        linear.grouped(address(x), ((GpuRoutes) routes).list(), grouped(projections));
    }

    @Override
    public void combine(Buffer x, int columns, Routes routes, Buffer out) {
        record(new Step.Combine(address(x), columns, ((GpuRoutes) routes).choice(), address(out), 0, 0));
    }

    @Override
    public void gateRows(Buffer x, int rows, int columns, Buffer logits) {
        requireRows("gateRows", rows);
        record(new Step.GateRows(address(x), rows, columns, address(logits)));
    }

    @Override
    public void rope(Buffer x, int rows, int heads, int headDim, int ropeDim, Rope kind, Buffer angles) {
        boolean interleaved = kind == Rope.INTERLEAVED;
        record(new Step.Rope(address(x), rows, heads, headDim, ropeDim, interleaved, address(angles)));
    }

    @Override
    public void rotate(Buffer x, int rows, int heads, int headDim) {
        if (headDim > PagedKvStore.MOST_HEAD_DIM) {
            throw new UsageException(name() + ": rotate takes heads of at most " + PagedKvStore.MOST_HEAD_DIM
                    + " elements, not " + headDim + ".");
        }
        record(new Step.Rotate(address(x), rows, heads, headDim, null));
    }

    @Override
    public void kvAppend(KvStore kv, int layer, Buffer keys, Buffer values, BatchRows rows) {
        memory.requireUsable();
        steps.append(kv, layer, address(keys), address(values), rows);
    }

    @Override
    public void attention(
            Buffer q, KvStore kv, int layer, AttentionShape shape, @Nullable Buffer sinks, BatchRows rows, Buffer out) {
        memory.requireUsable();
        long stateBytes = AttentionPlan.stateBytes(shape);
        long logits = sinks == null ? 0 : address(sinks);
        AttentionPlan.Limits own =
                shape.headDim() > AttentionPlan.MOST_PREFILL_DIM ? limits.attention.withoutPrefill() : limits.attention;
        steps.attend(kv, layer, shape, logits, address(q), address(out), rows, own, stateBytes);
    }

    @Override
    public void convolve(
            Buffer x,
            Buffer weight,
            @Nullable Buffer bias,
            int channels,
            int kernel,
            boolean silu,
            Buffer state,
            BatchRows rows,
            Buffer out) {
        memory.requireUsable();
        long shift = bias == null ? 0 : address(bias);
        steps.add(
                rows,
                own -> new Step.Convolve(
                        address(x), address(weight), shift, channels, kernel, silu, address(state), own, address(out)));
    }

    @Override
    public void deltaRule(
            Buffer x,
            Buffer b,
            Buffer a,
            Buffer bias,
            Buffer rate,
            DeltaShape shape,
            Buffer state,
            BatchRows rows,
            Buffer out) {
        memory.requireUsable();
        steps.add(
                rows,
                own -> new Step.DeltaRule(
                        address(x),
                        address(b),
                        address(a),
                        address(bias),
                        address(rate),
                        shape,
                        address(state),
                        own,
                        address(out)));
    }

    @Override
    public void selectiveScan(
            Buffer x, Buffer steps, ScanWeights weights, ScanShape shape, Buffer state, BatchRows rows, Buffer out) {
        memory.requireUsable();
        this.steps.add(
                rows,
                own -> new Step.SelectiveScan(
                        address(x),
                        address(steps),
                        address(weights.bias()),
                        address(weights.rate()),
                        address(weights.skip()),
                        shape,
                        address(state),
                        own,
                        address(out)));
    }

    @Override
    public void gatedActivation(Gate gate, Buffer g, Buffer up, long count, Buffer out) {
        record(new Step.GatedActivation(gate, address(g), address(up), count, address(out), null));
    }

    @Override
    public void add(Buffer x, Buffer y, long count) {
        record(new Step.Add(address(x), address(y), count));
    }

    @Override
    public void scale(Buffer x, long count, float factor) {
        record(new Step.Scale(address(x), count, factor));
    }

    @Override
    public void softCap(Buffer x, long count, float cap) {
        record(new Step.SoftCap(address(x), count, cap));
    }

    @Override
    public void sample(Buffer logits, int columns, List<Draw> draws, TokenBuffer out, int first) {
        int rows = draws.size();
        if (columns > MOST_SAMPLE_COLUMNS) {
            throw new UsageException(
                    name() + ": sample takes rows of 1 to " + MOST_SAMPLE_COLUMNS + " columns, not " + columns + ".");
        }
        memory.requireUsable();
        int[] ints = SampleRows.of(draws);
        GpuTokens tokens = (GpuTokens) out;
        long parameters = steps.put(ints, ints.length);
        record(new Step.Sample(
                address(logits), columns, rows, parameters, tokens.address(first), tokens.hostAddress(first)));
        runner.sampled(tokens);
    }

    @Override
    public void run(Pass pass, TokenIds ids, BatchRows rows) {
        memory.requireUsable();
        steps.run(pass, ids, rows);
    }

    @Override
    public boolean runsAhead() {
        return true;
    }

    @Override
    public void start() {
        memory.requireUsable();
        steps.run();
    }

    @Override
    public void discard() {
        steps.discard();
    }

    @Override
    public void close() {
        try {
            steps.discard();
            closeKernels();
        } finally {
            closeMemory(); // also where waiting for the last kernels reports their failure
        }
    }
}
