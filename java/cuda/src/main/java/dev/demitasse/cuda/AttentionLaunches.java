package dev.demitasse.cuda;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.gpu.AttentionPlan;
import dev.demitasse.gpu.PagedKvStore;
import dev.demitasse.gpu.Step;
import dev.demitasse.gpu.Workspace;
import dev.demitasse.kv.KvShape;
import java.util.List;

/** {@link Step.KvAppend} and {@link Step.Attention} as launches. */
final class AttentionLaunches implements AutoCloseable {
    /** Rows of a sequence from which on tensor cores are worth their setting up. */
    private static final int LEAST_PREFILL_ROWS = 8;

    /** Bytes of states that a launch may take; more rows are taken in slices. */
    private static final long STATE_BYTES = 64L << 20;

    /** How often blocks fill the GPU, where there are enough segments: they end at different times. */
    private static final int WAVES = 3;

    private final KernelModules kernels;
    private final int multiprocessors;
    private final Workspace states;
    private final Workspace counters; // zeros between launches
    private final LinearLaunches linear;

    AttentionLaunches(CudaContext context, KernelModules kernels, int multiprocessors, LinearLaunches linear) {
        this.kernels = kernels;
        this.multiprocessors = multiprocessors;
        this.states = new Workspace(context);
        this.counters = new Workspace(context);
        this.linear = linear;
    }

    /** What the kernels take; with {@code batchInvariant} every row goes to the kernel of decode. */
    static AttentionPlan.Limits limits(boolean batchInvariant) {
        return new AttentionPlan.Limits(
                Boundary.SEGMENT,
                Boundary.PREFILL_ROWS,
                batchInvariant ? Integer.MAX_VALUE : LEAST_PREFILL_ROWS,
                Boundary.MOST_GRID_ROWS,
                STATE_BYTES);
    }

    /** Makes the workspace large enough for a step; whether it has moved. */
    boolean reserve(Step.Attention step) {
        AttentionPlan plan = step.plan();
        boolean moved = states.reserve(plan.mostSingles() * plan.segments() * AttentionPlan.stateBytes(step.shape()));
        long blocks = (long) plan.mostSingles() * blocks(step);
        moved |= counters.reserve(blocks * Integer.BYTES);
        return moved;
    }

    void lower(Step.KvAppend step, List<Launch> out) {
        PagedKvStore store = (PagedKvStore) step.store();
        Words words = new Words(Boundary.KvAppendArgs.WORDS)
                .set(Boundary.KvAppendArgs.KV, store)
                .set(Boundary.KvAppendArgs.LAYER, step.layer())
                .set(Boundary.KvAppendArgs.KEYS, step.keys())
                .set(Boundary.KvAppendArgs.VALUES, step.values())
                .set(Boundary.KvAppendArgs.ROWS, step.rows(), 0);
        int heads = store.shape().kvHeads();
        if (step.keyRope() != null) {
            words.set(Boundary.KvAppendArgs.ANGLES, step.keyRope());
        }
        Step.Rope queries = step.queryRope();
        if (queries != null) {
            words.set(Boundary.KvAppendArgs.QUERIES, queries.x())
                    .set(Boundary.KvAppendArgs.QUERY_HEADS, queries.heads());
            heads += queries.heads();
        }
        if (step.rotates()) {
            words.set(
                    Boundary.KvAppendArgs.ROTATION,
                    Integer.lowestOneBit(store.shape().headDim()));
        }
        Launch.Grid grid = new Launch.Grid(step.rows().count(), heads, 1, Boundary.APPEND_THREADS, 0);
        out.add(new Launch.Kernel(KernelTable.append(store.shape().type()), grid, words.done()));
    }

    void lower(Step.Attention step, List<Launch> out) {
        for (AttentionPlan.Range range : step.plan().singles()) {
            int slice = step.plan().slice();
            for (int at = 0; at < range.count(); at += slice) { // one after the other on the same states
                decode(step, range.first() + at, Math.min(slice, range.count() - at), out);
            }
        }
        if (step.plan().blocks() > 0) {
            prefill(step, out);
        }
    }

    /** The structure {@code AttentionArgs}, of the rows from {@code first} on. */
    private static Words arguments(Step.Attention step, int first) {
        AttentionShape shape = step.shape();
        long offset = (long) Float.BYTES * first * shape.heads() * shape.headDim();
        return new Words(Boundary.AttentionArgs.WORDS)
                .set(Boundary.AttentionArgs.Q, step.q() + offset)
                .set(Boundary.AttentionArgs.KV, (PagedKvStore) step.store())
                .set(Boundary.AttentionArgs.LAYER, step.layer())
                .set(Boundary.AttentionArgs.HEADS, shape.heads())
                .setFloat(Boundary.AttentionArgs.SCALE, shape.scale())
                .setFloat(Boundary.AttentionArgs.SOFT_CAP, shape.softCap())
                .set(Boundary.AttentionArgs.WINDOW, shape.window())
                .set(Boundary.AttentionArgs.AHEAD, shape.ahead())
                .set(Boundary.AttentionArgs.SINKS, step.sinks())
                .set(Boundary.AttentionArgs.ROWS, step.rows(), first)
                .set(Boundary.AttentionArgs.ENDS, step.rows().ends() + (long) Integer.BYTES * first)
                .set(Boundary.AttentionArgs.OUT, step.out() + offset);
    }

    /** Blocks of the kernel of decode that take the heads of a row. */
    private static int blocks(Step.Attention step) {
        AttentionShape shape = step.shape();
        int bits = step.store().shape().type().bits();
        return shape.kvHeads() * Boundary.decode_passes(bits, shape.heads() / shape.kvHeads());
    }

    private void decode(Step.Attention step, int first, int count, List<Launch> out) {
        AttentionShape shape = step.shape();
        KvShape cache = step.store().shape();
        long[] attention = arguments(step, first)
                .set(Boundary.AttentionArgs.STATES, states.address())
                .set(Boundary.AttentionArgs.SEGMENTS, step.plan().segments())
                .done();
        long[] words = new Words(Boundary.AttentionDecodeArgs.WORDS)
                .set(Boundary.AttentionDecodeArgs.ATTENTION, attention)
                .set(Boundary.AttentionDecodeArgs.COUNTERS, counters.address())
                .set(Boundary.AttentionDecodeArgs.QUANTIZED, linear.quantizedRows(step.quantize()))
                .done();
        String kernel = KernelTable.decode(cache.type(), shape.headDim(), shape.heads() / shape.kvHeads());
        Launch.Grid whole = new Launch.Grid(
                blocks(step), count, 1, Boundary.decode_threads(cache.type().bits()), 0);
        long resident = (long) multiprocessors * kernels.resident(kernel, whole);
        int splits = Math.clamp(
                WAVES * resident / ((long) whole.x() * count), 1, step.plan().segments());
        out.add(new Launch.Kernel(kernel, new Launch.Grid(whole.x(), count, splits, whole.threads(), 0), words));
    }

    private static void prefill(Step.Attention step, List<Launch> out) {
        PagedKvStore store = (PagedKvStore) step.store();
        int dim = Boundary.prefill_dim(step.shape().headDim());
        long[] words = arguments(step, 0)
                .set(Boundary.AttentionArgs.BLOCKS, step.plan().blockAddress())
                .done();
        Launch.Grid grid = new Launch.Grid(
                step.shape().heads(),
                step.plan().blocks(),
                1,
                Boundary.PREFILL_THREADS,
                Boundary.prefill_shared_bytes(dim));
        out.add(new Launch.Kernel(KernelTable.prefill(store.shape().type(), dim), grid, words));
    }

    @Override
    public void close() {
        states.close();
        counters.close();
    }
}
