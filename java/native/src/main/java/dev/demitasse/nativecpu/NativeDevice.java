package dev.demitasse.nativecpu;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Gate;
import dev.demitasse.device.GroupedProjection;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.MatrixGroup;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Rope;
import dev.demitasse.device.ScanShape;
import dev.demitasse.device.ScanWeights;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The operations of {@link Device} as commands for the C++ kernels: one is recorded when it is called, and runs, with
 * all that were called before, when a buffer is read or {@link #start} is called.
 */
final class NativeDevice implements Device {
    /** Commands of groups that stand in the list together. */
    private static final int MOST_GROUP_COMMANDS = 1024;

    private static final int[] WITHOUT_MERGE = {Boundary.Op.ATTENTION};
    private static final int[] WITH_MERGE = {Boundary.Op.ATTENTION, Boundary.Op.ATTENTION_MERGE};

    private final ActivationType activations;
    private final InstructionSet instructionSet;
    private final int threads;
    private final CommandList commands;
    private final AttentionPlan plan;
    private HostMemory quantized = HostMemory.allocate(0);
    private HostMemory states = HostMemory.allocate(0);

    NativeDevice(DeviceOptions options, InstructionSet instructionSet, int threads) {
        ActivationType wanted = options.activations();
        this.activations = wanted == null ? ActivationType.INT8 : wanted;
        this.instructionSet = instructionSet;
        this.threads = threads;
        long handle = Kernels.openDevice(instructionSet.number(), threads);
        if (handle == 0) {
            throw new BackendUnavailableException(
                    "native: the operating system gives no " + threads + " threads; ask for fewer.");
        }
        commands = new CommandList(handle);
        plan = new AttentionPlan(commands);
    }

    @Override
    public String name() {
        return "native";
    }

    @Override
    public String description() {
        return "C++ kernels, " + instructionSet.label() + ", " + threads + " threads";
    }

    @Override
    public int threads() {
        return threads;
    }

    @Override
    public ActivationType activations() {
        return activations;
    }

    @Override
    public Buffer allocate(long bytes) {
        return new NativeBuffer(bytes, commands);
    }

    @Override
    public LinearWeight upload(MatrixSource source, WeightLayout layout) {
        return NativeWeight.of(source, layout, commands);
    }

    @Override
    public KvStore allocateKv(KvShape shape) {
        return new NativeKvStore(shape, commands);
    }

    /** Begins an operation that starts when all before it are complete. */
    private CommandList begin(int operation) {
        commands.reserve(1);
        return commands.begin(operation, commands.last());
    }

    private static long address(Buffer buffer) {
        return ((NativeBuffer) buffer).address();
    }

    @Override
    public void embed(LinearWeight table, int[] ids, int rows, float scale, Buffer out) {
        NativeWeight weight = (NativeWeight) table;
        long target = address(out);
        commands.reserve(1);
        long copy = commands.copy(ids, rows);
        begin(Boundary.Op.EMBED)
                .set(Boundary.EmbedArgs.TABLE, weight.address())
                .set(Boundary.EmbedArgs.IDS, copy)
                .set(Boundary.EmbedArgs.ROWS, rows)
                .setFloat(Boundary.EmbedArgs.SCALE, scale)
                .set(Boundary.EmbedArgs.OUT, target);
    }

    @Override
    public void gatherRows(Buffer x, int columns, int[] rows, Buffer out, int first) {
        long source = address(x);
        long target = address(out) + (long) first * columns * Float.BYTES;
        commands.reserve(1);
        long ids = commands.copy(rows, rows.length);
        begin(Boundary.Op.GATHER_ROWS)
                .set(Boundary.GatherRowsArgs.X, source)
                .set(Boundary.GatherRowsArgs.COLUMNS, columns)
                .set(Boundary.GatherRowsArgs.IDS, ids)
                .set(Boundary.GatherRowsArgs.ROWS, rows.length)
                .set(Boundary.GatherRowsArgs.OUT, target);
    }

    @Override
    public void rmsNorm(Buffer x, Buffer weight, int groups, int rows, int columns, float epsilon, Buffer out) {
        begin(Boundary.Op.RMS_NORM)
                .set(Boundary.RmsNormArgs.X, address(x))
                .set(Boundary.RmsNormArgs.WEIGHT, address(weight))
                .set(Boundary.RmsNormArgs.GROUPS, groups)
                .set(Boundary.RmsNormArgs.ROWS, rows)
                .set(Boundary.RmsNormArgs.COLUMNS, columns)
                .setFloat(Boundary.RmsNormArgs.EPSILON, epsilon)
                .set(Boundary.RmsNormArgs.OUT, address(out));
    }

    @Override
    public void layerNorm(
            Buffer x, Buffer weight, @Nullable Buffer bias, int rows, int columns, float epsilon, Buffer out) {
        begin(Boundary.Op.LAYER_NORM)
                .set(Boundary.LayerNormArgs.X, address(x))
                .set(Boundary.LayerNormArgs.WEIGHT, address(weight))
                .set(Boundary.LayerNormArgs.BIAS, bias == null ? 0 : address(bias))
                .set(Boundary.LayerNormArgs.ROWS, rows)
                .set(Boundary.LayerNormArgs.COLUMNS, columns)
                .setFloat(Boundary.LayerNormArgs.EPSILON, epsilon)
                .set(Boundary.LayerNormArgs.OUT, address(out));
    }

    @Override
    public void quantizeRows(Buffer x, int rows, int columns, Buffer q, Buffer scales) {
        begin(Boundary.Op.QUANTIZE_ROWS)
                .set(Boundary.QuantizeRowsArgs.X, address(x))
                .set(Boundary.QuantizeRowsArgs.ROWS, rows)
                .set(Boundary.QuantizeRowsArgs.COLUMNS, columns)
                .set(Boundary.QuantizeRowsArgs.Q, address(q))
                .set(Boundary.QuantizeRowsArgs.SCALES, address(scales));
    }

    @Override
    public void linear(Buffer x, int rows, Projection... projections) {
        multiply(address(x), List.of(new Rows(0, rows, projections)));
    }

    /** All groups side by side: a few rows of each are too little for all cores. */
    @Override
    public void groupedLinear(Buffer x, int[] starts, GroupedProjection... projections) {
        List<Rows> groups = new ArrayList<>();
        for (int g = 0; g + 1 < starts.length; g++) {
            if (starts[g] < starts[g + 1]) {
                Projection[] own = MatrixGroup.projections(g, projections);
                groups.add(new Rows(starts[g], starts[g + 1] - starts[g], own));
            }
            if ((groups.size() + 1L) * (1 + projections.length) > MOST_GROUP_COMMANDS) {
                multiply(address(x), groups);
                groups.clear();
            }
        }
        multiply(address(x), groups);
    }

    /** Rows from {@code first} on, and what they meet; results are FP32 where {@code first} is not 0. */
    private record Rows(int first, int count, Projection[] projections) {}

    /** First all rows are quantized, where a matrix wants that, and then all products run side by side. */
    private void multiply(long in, List<Rows> groups) {
        if (groups.isEmpty()) {
            return;
        }
        int columns = groups.getFirst().projections[0].weight().columns();
        long width = (columns + Boundary.GROUP - 1L) / Boundary.GROUP * Boundary.GROUP;
        boolean quantize = false;
        int steps = 0;
        long rows = 0;
        for (Rows group : groups) {
            for (Projection projection : group.projections) {
                quantize |= quantized(projection);
            }
            steps += 1 + group.projections.length;
            rows = group.first + (long) group.count;
        }
        long integers = (rows * width + 63) / 64 * 64;
        if (quantize) {
            quantized = grown(quantized, integers + rows * width / Boundary.GROUP * Boundary.GROUP_ACTIVATION_BYTES);
        }
        commands.reserve(steps);
        int before = commands.last();
        for (Rows group : groups) {
            if (quantize) {
                quantize(in, group, columns, width, integers, before);
            }
        }
        int after = commands.last();
        for (Rows group : groups) {
            for (Projection projection : group.projections) {
                multiply(in, group, projection, width, integers, after);
            }
        }
    }

    private void quantize(long in, Rows group, int columns, long width, long integers, int after) {
        commands.begin(Boundary.Op.QUANTIZE_PANELS, after)
                .set(Boundary.QuantizePanelsArgs.X, in + (long) group.first * columns * Float.BYTES)
                .set(Boundary.QuantizePanelsArgs.ROWS, group.count)
                .set(Boundary.QuantizePanelsArgs.COLUMNS, columns)
                .set(Boundary.QuantizePanelsArgs.PER_ROW, perRow())
                .set(Boundary.QuantizePanelsArgs.OUT_Q, quantized.address() + group.first * width)
                .set(Boundary.QuantizePanelsArgs.OUT_GROUPS, groupActivations(group, width, integers));
    }

    private void multiply(long in, Rows group, Projection projection, long width, long integers, int after) {
        NativeWeight weight = (NativeWeight) projection.weight();
        Buffer bias = projection.bias();
        long skipped = (long) group.first * weight.rows() * Float.BYTES;
        commands.begin(Boundary.Op.LINEAR, after)
                .set(Boundary.LinearArgs.MATRIX, weight.address())
                .set(Boundary.LinearArgs.X, in + (long) group.first * weight.columns() * Float.BYTES)
                .set(
                        Boundary.LinearArgs.ACTIVATIONS_Q,
                        quantized(projection) ? quantized.address() + group.first * width : 0)
                .set(Boundary.LinearArgs.ACTIVATIONS_GROUPS, groupActivations(group, width, integers))
                .set(Boundary.LinearArgs.BIAS, bias == null ? 0 : address(bias))
                .set(Boundary.LinearArgs.OUT, address(projection.out()) + skipped)
                .set(Boundary.LinearArgs.ROWS, group.count)
                .set(Boundary.LinearArgs.PER_ROW, perRow())
                .set(Boundary.LinearArgs.TYPE, Boundary.OutputType.of(projection.type()));
    }

    private long groupActivations(Rows group, long width, long integers) {
        return quantized.address() + integers + group.first * width / Boundary.GROUP * Boundary.GROUP_ACTIVATION_BYTES;
    }

    private long perRow() {
        return activations == ActivationType.INT8_ROW ? 1 : 0;
    }

    private boolean quantized(Projection projection) {
        return activations.integers() && projection.weight().layout().element().quantized();
    }

    /** At least {@code bytes}; what waits is run before its memory goes. */
    private HostMemory grown(HostMemory memory, long bytes) {
        if (memory.bytes() >= bytes) {
            return memory;
        }
        commands.run();
        return HostMemory.grown(memory, bytes);
    }

    @Override
    public void rope(Buffer x, int rows, int heads, int headDim, int ropeDim, Rope kind, Buffer angles) {
        begin(Boundary.Op.ROPE)
                .set(Boundary.RopeArgs.X, address(x))
                .set(Boundary.RopeArgs.ROWS, rows)
                .set(Boundary.RopeArgs.HEADS, heads)
                .set(Boundary.RopeArgs.HEAD_DIM, headDim)
                .set(Boundary.RopeArgs.ROPE_DIM, ropeDim)
                .set(Boundary.RopeArgs.INTERLEAVED, kind == Rope.INTERLEAVED ? 1 : 0)
                .set(Boundary.RopeArgs.ANGLES, address(angles));
    }

    @Override
    public void rotate(Buffer x, int rows, int heads, int headDim) {
        begin(Boundary.Op.ROTATE)
                .set(Boundary.RotateArgs.X, address(x))
                .set(Boundary.RotateArgs.ROWS, rows)
                .set(Boundary.RotateArgs.HEADS, heads)
                .set(Boundary.RotateArgs.HEAD_DIM, headDim);
    }

    @Override
    public void kvAppend(KvStore kv, int layer, Buffer keys, Buffer values, BatchRows rows) {
        NativeKvStore store = (NativeKvStore) kv;
        commands.reserve(1);
        long description = plan.address(rows);
        begin(Boundary.Op.KV_APPEND)
                .set(Boundary.KvAppendArgs.KV, store.address())
                .set(Boundary.KvAppendArgs.LAYER, layer)
                .set(Boundary.KvAppendArgs.KEYS, address(keys))
                .set(Boundary.KvAppendArgs.VALUES, address(values))
                .set(Boundary.KvAppendArgs.ROWS, description);
    }

    @Override
    public void attention(
            Buffer q, KvStore kv, int layer, AttentionShape shape, @Nullable Buffer sinks, BatchRows rows, Buffer out) {
        NativeKvStore store = (NativeKvStore) kv;
        long queries = address(q);
        long target = address(out);
        commands.reserve(2);
        plan.address(rows);
        AttentionPlan.Blocks blocks = plan.blocks(rows, shape);
        long stateBytes =
                (long) blocks.states() * shape.heads() * (Boundary.STATE_HEADER + store.paddedDim()) * Float.BYTES;
        if (stateBytes > states.bytes()) {
            states = grown(states, stateBytes); // what the plan had copied is gone with the run
        }
        long description = plan.address(rows);
        blocks = plan.blocks(rows, shape);
        for (int operation : blocks.states() > 0 ? WITH_MERGE : WITHOUT_MERGE) {
            begin(operation)
                    .set(Boundary.AttentionArgs.Q, queries)
                    .set(Boundary.AttentionArgs.KV, store.address())
                    .set(Boundary.AttentionArgs.LAYER, layer)
                    .set(Boundary.AttentionArgs.HEADS, shape.heads())
                    .setFloat(Boundary.AttentionArgs.SCALE, shape.scale())
                    .setFloat(Boundary.AttentionArgs.SOFT_CAP, shape.softCap())
                    .set(Boundary.AttentionArgs.WINDOW, shape.window())
                    .set(Boundary.AttentionArgs.AHEAD, shape.ahead())
                    .set(Boundary.AttentionArgs.SINKS, sinks == null ? 0 : address(sinks))
                    .set(Boundary.AttentionArgs.ROWS, description)
                    .set(Boundary.AttentionArgs.OUT, target)
                    .set(Boundary.AttentionArgs.BLOCKS, blocks.address())
                    .set(Boundary.AttentionArgs.BLOCK_COUNT, blocks.count())
                    .set(Boundary.AttentionArgs.STATES, states.address());
        }
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
        commands.reserve(1);
        long description = plan.address(rows);
        begin(Boundary.Op.CONVOLVE)
                .set(Boundary.ConvolveArgs.X, address(x))
                .set(Boundary.ConvolveArgs.WEIGHT, address(weight))
                .set(Boundary.ConvolveArgs.BIAS, bias == null ? 0 : address(bias))
                .set(Boundary.ConvolveArgs.CHANNELS, channels)
                .set(Boundary.ConvolveArgs.KERNEL, kernel)
                .set(Boundary.ConvolveArgs.SILU, silu ? 1 : 0)
                .set(Boundary.ConvolveArgs.STATE, address(state))
                .set(Boundary.ConvolveArgs.ROWS, description)
                .set(Boundary.ConvolveArgs.OUT, address(out));
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
        commands.reserve(1);
        long description = plan.address(rows);
        begin(Boundary.Op.DELTA_RULE)
                .set(Boundary.DeltaRuleArgs.X, address(x))
                .set(Boundary.DeltaRuleArgs.B, address(b))
                .set(Boundary.DeltaRuleArgs.A, address(a))
                .set(Boundary.DeltaRuleArgs.BIAS, address(bias))
                .set(Boundary.DeltaRuleArgs.RATE, address(rate))
                .set(Boundary.DeltaRuleArgs.KEY_HEADS, shape.keyHeads())
                .set(Boundary.DeltaRuleArgs.HEADS, shape.heads())
                .set(Boundary.DeltaRuleArgs.HEAD_DIM, shape.headDim())
                .set(Boundary.DeltaRuleArgs.GROUPED, shape.grouped() ? 1 : 0)
                .setFloat(Boundary.DeltaRuleArgs.EPSILON, shape.epsilon())
                .set(Boundary.DeltaRuleArgs.STATE, address(state))
                .set(Boundary.DeltaRuleArgs.ROWS, description)
                .set(Boundary.DeltaRuleArgs.OUT, address(out));
    }

    @Override
    public void selectiveScan(
            Buffer x, Buffer steps, ScanWeights weights, ScanShape shape, Buffer state, BatchRows rows, Buffer out) {
        commands.reserve(1);
        long description = plan.address(rows);
        begin(Boundary.Op.SELECTIVE_SCAN)
                .set(Boundary.SelectiveScanArgs.X, address(x))
                .set(Boundary.SelectiveScanArgs.STEPS, address(steps))
                .set(Boundary.SelectiveScanArgs.BIAS, address(weights.bias()))
                .set(Boundary.SelectiveScanArgs.RATE, address(weights.rate()))
                .set(Boundary.SelectiveScanArgs.SKIP, address(weights.skip()))
                .set(Boundary.SelectiveScanArgs.GROUPS, shape.groups())
                .set(Boundary.SelectiveScanArgs.HEADS, shape.heads())
                .set(Boundary.SelectiveScanArgs.HEAD_DIM, shape.headDim())
                .set(Boundary.SelectiveScanArgs.STATE_DIM, shape.stateDim())
                .set(Boundary.SelectiveScanArgs.STATE, address(state))
                .set(Boundary.SelectiveScanArgs.ROWS, description)
                .set(Boundary.SelectiveScanArgs.OUT, address(out));
    }

    @Override
    public void gatedActivation(Gate gate, Buffer g, Buffer up, long count, Buffer out) {
        begin(Boundary.Op.GATED_ACTIVATION)
                .set(Boundary.GatedActivationArgs.FUNCTION, Boundary.Gate.of(gate))
                .set(Boundary.GatedActivationArgs.GATE, address(g))
                .set(Boundary.GatedActivationArgs.UP, address(up))
                .set(Boundary.GatedActivationArgs.COUNT, count)
                .set(Boundary.GatedActivationArgs.OUT, address(out));
    }

    @Override
    public void add(Buffer x, Buffer y, long count) {
        begin(Boundary.Op.ADD)
                .set(Boundary.AddArgs.X, address(x))
                .set(Boundary.AddArgs.Y, address(y))
                .set(Boundary.AddArgs.COUNT, count);
    }

    @Override
    public void scale(Buffer x, long count, float factor) {
        begin(Boundary.Op.SCALE)
                .set(Boundary.ScaleArgs.X, address(x))
                .set(Boundary.ScaleArgs.COUNT, count)
                .setFloat(Boundary.ScaleArgs.FACTOR, factor);
    }

    @Override
    public void softCap(Buffer x, long count, float cap) {
        begin(Boundary.Op.SOFT_CAP)
                .set(Boundary.SoftCapArgs.X, address(x))
                .set(Boundary.SoftCapArgs.COUNT, count)
                .setFloat(Boundary.SoftCapArgs.CAP, cap);
    }

    /** Runs what waits: what another thread does may drop it otherwise. */
    @Override
    public void start() {
        commands.run();
    }

    @Override
    public void discard() {
        commands.discard();
    }

    @Override
    public void close() {
        commands.close();
        quantized.close();
        states.close();
    }
}
