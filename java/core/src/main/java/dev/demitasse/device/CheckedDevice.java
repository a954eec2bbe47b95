package dev.demitasse.device;

import static dev.demitasse.device.Arguments.require;
import static dev.demitasse.device.Arguments.requireAccess;
import static dev.demitasse.device.Arguments.requireIndices;
import static dev.demitasse.device.Arguments.requireRows;

import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The one door to a device: checks every argument, so that no device checks for itself and none can be led out of its
 * memory.
 *
 * <p>Operations of several threads run one after another. Closing waits for the one that runs; afterwards every
 * operation, and every look into a buffer, ends in {@link UsageException}, while buffers, weights and caches can still
 * be closed, in any order.
 *
 * <p>Whatever is wrong with an argument ends in {@link UsageException}, a missing one in {@link NullPointerException};
 * what was recorded before is then as it was. Where the device itself fails (memory, hardware), all that was recorded
 * and not run is dropped.
 */
public final class CheckedDevice implements Device {
    private static final int ACTIVATION_GROUP = 32;
    private static final int MOST_PASSES = 16;
    private static final int MOST_KERNEL = 16;
    private static final int MOST_CHANNELS = 1 << 23;
    private static final int MOST_TOKENS = 1 << 24;

    private final Device device;
    private boolean closed;
    private final Recorders recorders = new Recorders();
    private final IdentityHashMap<Pass, CheckedPass> passes = new IdentityHashMap<>();
    private final CheckedOperands operands = new CheckedOperands(this);
    private final CheckedGroups groups;

    private CheckedDevice(Device device) {
        this.device = device;
        this.groups = new CheckedGroups(device, operands);
    }

    /**
     * {@return a device whose arguments are checked before {@code device}, which is from now on used through it alone,
     * sees them}
     *
     * @param device is closed with this one
     */
    public static CheckedDevice of(Device device) {
        return new CheckedDevice(device);
    }

    /**
     * Runs {@code body} without operations of other threads in between.
     *
     * @param body may call operations of the device
     */
    public synchronized void exclusively(Runnable body) {
        body.run();
    }

    private void requireOpen() {
        if (closed) {
            throw new UsageException("The device is closed.");
        }
    }

    /**
     * Does an operation that may run later. What was recorded before stays after a wrong argument, and is dropped where
     * the device has failed half-way. Other threads that may have recorded some of it hear so at their next operation.
     */
    synchronized void recorded(Runnable operation) {
        requireOpen();
        recorders.add();
        try {
            operation.run();
        } catch (UsageException | NullPointerException e) {
            throw e;
        } catch (RuntimeException | Error e) {
            discard();
            throw e;
        }
    }

    /** Does an operation after which all that was recorded is under way, or has run. */
    synchronized void started(Runnable operation) {
        recorded(operation);
        recorders.clear();
    }

    /** Something is closed that a pass may use: none is replayed any more. */
    void forgetPasses() {
        passes.clear();
    }

    UsageException foreign(String what) {
        return new UsageException("A " + what + " of another device was given to \"" + name() + "\".");
    }

    @Override
    public String name() {
        return device.name();
    }

    @Override
    public String description() {
        return device.description();
    }

    @Override
    public int threads() {
        return device.threads();
    }

    @Override
    public long freeBytes() {
        return device.freeBytes();
    }

    @Override
    public ActivationType activations() {
        return device.activations();
    }

    @Override
    public synchronized Buffer allocate(long bytes) {
        requireOpen();
        require(bytes >= 0, () -> "A buffer cannot have " + bytes + " bytes.");
        return new CheckedHandle.Memory(this, device.allocate(bytes));
    }

    @Override
    public synchronized LinearWeight upload(MatrixSource source, WeightLayout layout) {
        requireOpen();
        requireAccess(source.data());
        return new CheckedHandle.Matrix(this, device.upload(source, Objects.requireNonNull(layout, "layout")));
    }

    @Override
    public synchronized WeightGroup uploadGroup(List<MatrixSource> sources, WeightLayout layout, List<float[]> biases) {
        requireOpen();
        return groups.upload(sources, Objects.requireNonNull(layout, "layout"), biases);
    }

    @Override
    public synchronized KvStore allocateKv(KvShape shape) {
        requireOpen();
        return new CheckedHandle.Cache(this, device.allocateKv(Objects.requireNonNull(shape, "shape")));
    }

    @Override
    public synchronized TokenBuffer allocateTokens(int capacity) {
        requireOpen();
        require(
                capacity >= 1 && capacity <= MOST_TOKENS,
                () -> "A buffer of tokens has room for 1 to " + MOST_TOKENS + ", not " + capacity + ".");
        return new CheckedHandle.Tokens(this, device.allocateTokens(capacity));
    }

    @Override
    public synchronized Routes allocateRoutes(int maximumRows, Routing routing) {
        requireOpen();
        return groups.allocateRoutes(maximumRows, routing);
    }

    @Override
    public void embed(LinearWeight table, int[] ids, int rows, float scale, Buffer out) {
        recorded(() -> {
            LinearWeight own = operands.weight(table);
            requireIndices(ids, rows, own.rows());
            device.embed(own, ids, rows, scale, operands.floats(out, rows, own.columns()));
            noteTable(own);
        });
    }

    @Override
    public void embed(LinearWeight table, TokenBuffer ids, int rows, float scale, Buffer out) {
        recorded(() -> {
            LinearWeight own = operands.weight(table);
            TokenBuffer tokens = operands.indices(ids, rows, own.rows());
            device.embed(own, tokens, rows, scale, operands.floats(out, rows, own.columns()));
            noteTable(own);
        });
    }

    /** The tokens of the pass that runs, if any, index a table. */
    private void noteTable(LinearWeight table) {
        if (operands.running != null) {
            operands.running.limitIds(table.rows());
        }
    }

    @Override
    public void gatherPositions(Buffer table, int columns, BatchRows rows, Buffer out) {
        recorded(() -> {
            requireRows(rows.count(), columns);
            Buffer from = operands.floats(table, columns);
            rows.requireArrays();
            long positions = from.bytes() / ((long) columns * Float.BYTES);
            requireIndices(rows.positions(), rows.count(), positions);
            BatchRows own = operands.known(rows);
            device.gatherPositions(from, columns, own, operands.floats(out, own.count(), columns));
            if (operands.running != null) {
                operands.running.limitPositions(positions);
            }
        });
    }

    @Override
    public void gatherRows(Buffer x, int columns, int[] rows, Buffer out, int first) {
        recorded(() -> {
            requireRows(rows.length, columns);
            Buffer from = operands.floats(x, columns);
            requireIndices(rows, rows.length, from.bytes() / ((long) columns * Float.BYTES));
            require(
                    first >= 0 && first <= Integer.MAX_VALUE - rows.length,
                    () -> "gatherRows writes from row 0 on or from a later one, not from " + first + ".");
            require(x != out, () -> "gatherRows writes to another buffer than it reads.");
            device.gatherRows(from, columns, rows, operands.floats(out, first + rows.length, columns), first);
        });
    }

    @Override
    public void rmsNorm(Buffer x, Buffer weight, int groups, int rows, int columns, float epsilon, Buffer out) {
        recorded(() -> {
            requireRows(rows, columns);
            require(groups >= 1, () -> "rmsNorm takes the weights of at least one group, not " + groups + ".");
            device.rmsNorm(
                    operands.floats(x, rows, columns),
                    operands.floats(weight, groups, columns),
                    groups,
                    rows,
                    columns,
                    epsilon,
                    operands.floats(out, rows, columns));
        });
    }

    @Override
    public void layerNorm(
            Buffer x, Buffer weight, @Nullable Buffer bias, int rows, int columns, float epsilon, Buffer out) {
        recorded(() -> {
            requireRows(rows, columns);
            device.layerNorm(
                    operands.floats(x, rows, columns),
                    operands.floats(weight, columns),
                    bias == null ? null : operands.floats(bias, columns),
                    rows,
                    columns,
                    epsilon,
                    operands.floats(out, rows, columns));
        });
    }

    @Override
    public void quantizeRows(Buffer x, int rows, int columns, Buffer q, Buffer scales) {
        recorded(() -> {
            requireRows(rows, columns);
            require(
                    columns % ACTIVATION_GROUP == 0,
                    () -> "quantizeRows takes rows of a multiple of " + ACTIVATION_GROUP + " elements, not " + columns
                            + ".");
            long count = (long) rows * columns;
            device.quantizeRows(
                    operands.floats(x, count),
                    rows,
                    columns,
                    operands.bytes(q, count),
                    operands.floats(scales, count / ACTIVATION_GROUP));
        });
    }

    @Override
    public void linear(Buffer x, int rows, Projection... projections) {
        recorded(() -> {
            require(projections.length > 0, () -> "linear takes at least one projection.");
            Projection[] own = new Projection[projections.length];
            int columns = projections[0].weight().columns();
            for (int i = 0; i < own.length; i++) {
                own[i] = checked(projections[i], rows, columns);
            }
            device.linear(operands.floats(x, rows, columns), rows, own);
        });
    }

    private Projection checked(Projection projection, int rows, int columns) {
        LinearWeight weight = operands.weight(projection.weight());
        if (weight.columns() != columns) {
            throw new UsageException(
                    "Weights of one linear have " + columns + " and " + weight.columns() + " columns.");
        }
        Buffer bias = projection.bias();
        return new Projection(
                weight,
                bias == null ? null : operands.floats(bias, weight.rows()),
                operands.bytes(projection.out(), projection.outBytes(rows)),
                Objects.requireNonNull(projection.type(), "type"));
    }

    @Override
    public void groupedLinear(Buffer x, int[] starts, GroupedProjection... projections) {
        recorded(() -> groups.groupedLinear(x, starts, projections));
    }

    @Override
    public void route(Buffer logits, int rows, @Nullable Buffer bias, @Nullable Buffer scales, Routes out) {
        recorded(() -> groups.route(logits, rows, bias, scales, out));
    }

    @Override
    public void dispatch(Buffer x, int columns, Routes routes, Buffer out) {
        recorded(() -> groups.dispatch(x, columns, routes, out));
    }

    @Override
    public void groupedLinear(Buffer x, Routes routes, GroupedProjection... projections) {
        recorded(() -> groups.groupedLinear(x, routes, projections));
    }

    @Override
    public void combine(Buffer x, int columns, Routes routes, Buffer out) {
        recorded(() -> groups.combine(x, columns, routes, out));
    }

    @Override
    public void gateRows(Buffer x, int rows, int columns, Buffer logits) {
        recorded(() -> groups.gateRows(x, rows, columns, logits));
    }

    @Override
    public void rope(Buffer x, int rows, int heads, int headDim, int ropeDim, Rope kind, Buffer angles) {
        recorded(() -> {
            long elements = headElements("rope", rows, heads, headDim);
            require(
                    ropeDim >= 2 && ropeDim % 2 == 0 && ropeDim <= headDim,
                    () -> "rope rotates pairs: " + ropeDim + " elements of heads of " + headDim + " are none.");
            Objects.requireNonNull(kind, "kind");
            device.rope(
                    operands.floats(x, elements),
                    rows,
                    heads,
                    headDim,
                    ropeDim,
                    kind,
                    operands.floats(angles, rows, ropeDim));
        });
    }

    @Override
    public void rotate(Buffer x, int rows, int heads, int headDim) {
        recorded(() ->
                device.rotate(operands.floats(x, headElements("rotate", rows, heads, headDim)), rows, heads, headDim));
    }

    /** Elements of rows of heads. */
    private static long headElements(String operation, int rows, int heads, int headDim) {
        requireRows(rows, headDim);
        require(heads >= 0, () -> operation + " takes 0 heads or more, not " + heads + ".");
        require(
                (long) rows * heads <= Long.MAX_VALUE / headDim,
                () -> operation + ": " + rows + " rows of " + heads + " heads are more than memory holds.");
        return (long) rows * heads * headDim;
    }

    @Override
    public void kvAppend(KvStore kv, int layer, Buffer keys, Buffer values, BatchRows rows) {
        recorded(() -> {
            KvStore own = operands.store(kv, layer);
            KvShape shape = own.shape();
            BatchRows checked = operands.rows(rows, shape);
            long width = (long) shape.kvHeads() * shape.headDim();
            device.kvAppend(
                    own,
                    layer,
                    operands.floats(keys, checked.count(), width),
                    operands.floats(values, checked.count(), width),
                    checked);
        });
    }

    @Override
    public void attention(
            Buffer q, KvStore kv, int layer, AttentionShape shape, @Nullable Buffer sinks, BatchRows rows, Buffer out) {
        recorded(() -> {
            KvStore own = operands.store(kv, layer);
            shape.requireFits(own.shape());
            BatchRows checked = operands.rows(rows, own.shape());
            long width = (long) shape.heads() * shape.headDim();
            device.attention(
                    operands.floats(q, checked.count(), width),
                    own,
                    layer,
                    shape,
                    sinks == null ? null : operands.floats(sinks, shape.heads()),
                    checked,
                    operands.floats(out, checked.count(), width));
        });
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
        recorded(() -> {
            require(
                    channels >= 1 && channels <= MOST_CHANNELS && kernel >= 2 && kernel <= MOST_KERNEL,
                    () -> "convolve takes kernels of 2 to " + MOST_KERNEL + " positions and 1 to " + MOST_CHANNELS
                            + " channels, not " + kernel + " and " + channels + ".");
            require(x != out && state != out, () -> "convolve writes to another buffer than it reads.");
            long elements = (kernel - 1L) * channels;
            Buffer own = operands.floats(state, elements);
            BatchRows checked = operands.rows(rows, own, elements);
            device.convolve(
                    operands.floats(x, checked.count(), channels),
                    operands.floats(weight, kernel, channels),
                    bias == null ? null : operands.floats(bias, channels),
                    channels,
                    kernel,
                    silu,
                    own,
                    checked,
                    operands.floats(out, checked.count(), channels));
        });
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
        recorded(() -> {
            boolean apart = x != out && b != out && a != out && state != out;
            require(apart, () -> "deltaRule writes to another buffer than it reads.");
            Buffer own = operands.floats(state, shape.stateElements());
            BatchRows checked = operands.rows(rows, own, shape.stateElements());
            int count = checked.count();
            device.deltaRule(
                    operands.floats(x, count, shape.columns()),
                    operands.floats(b, count, shape.heads()),
                    operands.floats(a, count, shape.heads()),
                    operands.floats(bias, shape.heads()),
                    operands.floats(rate, shape.heads()),
                    shape,
                    own,
                    checked,
                    operands.floats(out, count, shape.values()));
        });
    }

    @Override
    public void selectiveScan(
            Buffer x, Buffer steps, ScanWeights weights, ScanShape shape, Buffer state, BatchRows rows, Buffer out) {
        recorded(() -> {
            boolean apart = x != out && steps != out && state != out;
            require(apart, () -> "selectiveScan writes to another buffer than it reads.");
            Buffer own = operands.floats(state, shape.stateElements());
            BatchRows checked = operands.rows(rows, own, shape.stateElements());
            int count = checked.count();
            device.selectiveScan(
                    operands.floats(x, count, shape.columns()),
                    operands.floats(steps, count, shape.heads()),
                    new ScanWeights(
                            operands.floats(weights.bias(), shape.heads()),
                            operands.floats(weights.rate(), shape.heads()),
                            operands.floats(weights.skip(), shape.heads())),
                    shape,
                    own,
                    checked,
                    operands.floats(out, count, shape.values()));
        });
    }

    @Override
    public void gatedActivation(Gate gate, Buffer g, Buffer up, long count, Buffer out) {
        recorded(() -> {
            device.gatedActivation(
                    Objects.requireNonNull(gate, "gate"),
                    operands.floats(g, count),
                    operands.floats(up, count),
                    count,
                    operands.floats(out, count));
        });
    }

    @Override
    public void add(Buffer x, Buffer y, long count) {
        recorded(() -> {
            device.add(operands.floats(x, count), operands.floats(y, count), count);
        });
    }

    @Override
    public void scale(Buffer x, long count, float factor) {
        recorded(() -> {
            device.scale(operands.floats(x, count), count, factor);
        });
    }

    @Override
    public void softCap(Buffer x, long count, float cap) {
        recorded(() -> {
            device.softCap(operands.floats(x, count), count, cap);
        });
    }

    @Override
    public void sample(Buffer logits, int columns, List<Draw> draws, TokenBuffer out, int first) {
        recorded(() -> {
            List<Draw> each = List.copyOf(draws);
            requireRows(each.size(), columns);
            require(!each.isEmpty(), () -> "sample chooses at least one token.");
            CheckedHandle.Tokens handle = operands.tokens(out);
            TokenBuffer own = handle.range(this, first, each.size());
            device.sample(operands.floats(logits, each.size(), columns), columns, each, own, first);
            handle.sampled(columns);
        });
    }

    @Override
    public void run(Pass pass, TokenIds ids, BatchRows rows) {
        recorded(() -> {
            if (passes.size() > MOST_PASSES) {
                passes.clear();
            }
            CheckedPass own = passes.computeIfAbsent(
                    pass, p -> new CheckedPass(p, operands.weight(p.table()), operands.store(p.kv(), 0)));
            BatchRows checked = operands.rows(rows, own.pages());
            requireIndices(checked.positions(), checked.count(), own.positions());
            if (own.slots() != Long.MAX_VALUE) {
                checked.requireSlots(own.slots());
            }
            own.give(ids);
            CheckedPass outer = operands.running;
            operands.running = own;
            own.forgetChoices();
            try {
                device.run(own, ids(ids, checked.count(), own.tableRows()), checked);
            } finally {
                operands.running = outer;
                own.forgetChoices();
            }
        });
    }

    /** The device's own ids, which are rows of a table. */
    private TokenIds ids(TokenIds ids, int count, int tableRows) {
        return switch (ids) {
            case TokenIds.Given given -> {
                requireIndices(given.ids(), count, tableRows);
                yield given;
            }
            case TokenIds.Chosen chosen -> new TokenIds.Chosen(operands.indices(chosen.tokens(), count, tableRows));
        };
    }

    @Override
    public boolean runsAhead() {
        return device.runsAhead();
    }

    @Override
    public void start() {
        started(device::start);
    }

    @Override
    public synchronized void discard() {
        groups.forget(); // what was routed and not run is no choice
        device.discard();
        recorders.drop();
    }

    /** Waits for the operation that runs, then closes the device. Closing twice does nothing. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            device.close();
        }
    }

    @Override
    public String toString() {
        return name() + " (" + description() + ")";
    }
}
