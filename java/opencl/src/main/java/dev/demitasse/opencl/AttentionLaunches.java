package dev.demitasse.opencl;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.gpu.AttentionPlan;
import dev.demitasse.gpu.GpuMemory;
import dev.demitasse.gpu.PagedKvStore;
import dev.demitasse.gpu.Step;
import dev.demitasse.gpu.Workspace;
import dev.demitasse.kv.KvType;
import java.util.List;

/** {@link Step.KvAppend} and {@link Step.Attention} as launches. */
final class AttentionLaunches implements AutoCloseable {
    /** Bytes of states that a launch may take; more rows are taken in slices. */
    private static final long STATE_BYTES = 64L << 20;

    /** Work-groups for each compute unit, where there are enough segments. */
    private static final int GROUPS_OF_UNIT = 16;

    private static final int MOST_ROWS = 65535;

    private final int units;
    private final Workspace states;
    private final LinearLaunches linear;

    AttentionLaunches(GpuMemory memory, int units, LinearLaunches linear) {
        this.units = units;
        this.states = new Workspace(memory);
        this.linear = linear;
    }

    /** What the kernels take. */
    static AttentionPlan.Limits limits() {
        return new AttentionPlan.Limits(
                Boundary.SEGMENT, Boundary.PREFILL_QUERIES, Boundary.LEAST_PREFILL_ROWS, MOST_ROWS, STATE_BYTES);
    }

    /** Makes the workspace large enough for a step; whether it has moved. */
    boolean reserve(Step.Attention step) {
        return states.reserve(
                step.plan().mostSingles() * step.plan().segments() * AttentionPlan.stateBytes(step.shape()));
    }

    private static String macro(KvType type) {
        return "-DKV_TYPE=" + Boundary.KvType.of(type);
    }

    private static Programs.Key kernel(String name, Step.Attention step, int queries) {
        return new Programs.Key(
                name,
                macro(step.store().shape().type()) + " -DELEMENTS="
                        + Boundary.item_elements(step.shape().headDim()) + " -DQUERIES=" + queries);
    }

    static Launch append(Step.KvAppend step) {
        PagedKvStore store = ((PagedKvStore) step.store()).of(step.layer());
        Step.Rope keys = step.keyRope();
        Step.Rope queries = step.queryRope();
        Arguments arguments = new Arguments(Boundary.KvAppendArgs.WORDS)
                .buffer(store.keys())
                .buffer(Boundary.KvAppendArgs.KEYS, step.keys())
                .buffer(Boundary.KvAppendArgs.VALUES, step.values())
                .buffer(step.rows().positions())
                .buffer(keys == null ? 0 : keys.angles())
                .buffer(Boundary.KvAppendArgs.QUERIES, queries == null ? 0 : queries.x())
                .set(Boundary.KvAppendArgs.KV, store)
                .set(Boundary.KvAppendArgs.LAYER, step.layer() - store.firstLayer())
                .set(Boundary.KvAppendArgs.ROWS, step.rows(), 0);
        if (keys == null) {
            arguments.offset(Boundary.KvAppendArgs.ANGLES + Boundary.RopeAngles.ANGLES, 0);
        } else {
            arguments.set(Boundary.KvAppendArgs.ANGLES, keys);
        }
        int heads = 2 * store.shape().kvHeads();
        if (queries != null) {
            arguments.set(Boundary.KvAppendArgs.QUERY_HEADS, queries.heads());
            heads += queries.heads();
        }
        return arguments.launch(
                new Programs.Key("kv_append", macro(store.shape().type()) + " -DROTATES=" + (step.rotates() ? 1 : 0)),
                new Launch.Grid(heads, step.rows().count(), 1, Boundary.APPEND_ITEMS));
    }

    void lower(Step.Attention step, List<Launch> out) {
        if (step.plan().blocks() > 0) {
            out.add(prefill(step));
        }
        for (AttentionPlan.Range range : step.plan().singles()) {
            int slice = step.plan().slice();
            for (int at = 0; at < range.count(); at += slice) { // one after the other on the same states
                decode(step, range.first() + at, Math.min(slice, range.count() - at), out);
            }
        }
    }

    /** What has the step's layer. */
    private static PagedKvStore store(Step.Attention step) {
        return ((PagedKvStore) step.store()).of(step.layer());
    }

    /** The structure {@code AttentionArgs} of rows from {@code first} on. */
    private Arguments arguments(Step.Attention step, int first) {
        AttentionShape shape = step.shape();
        PagedKvStore store = store(step);
        long offset = (long) Float.BYTES * first * shape.heads() * shape.headDim();
        return new Arguments(Boundary.AttentionArgs.WORDS)
                .offset(Boundary.AttentionArgs.Q, step.q() + offset)
                .set(Boundary.AttentionArgs.KV, store)
                .set(Boundary.AttentionArgs.LAYER, step.layer() - store.firstLayer())
                .set(Boundary.AttentionArgs.HEADS, shape.heads())
                .setFloat(Boundary.AttentionArgs.SCALE, shape.scale())
                .setFloat(Boundary.AttentionArgs.SOFT_CAP, shape.softCap())
                .set(Boundary.AttentionArgs.WINDOW, shape.window())
                .set(Boundary.AttentionArgs.AHEAD, shape.ahead())
                .offset(Boundary.AttentionArgs.SINKS, step.sinks())
                .set(Boundary.AttentionArgs.ROWS, step.rows(), first)
                .offset(Boundary.AttentionArgs.ENDS, step.rows().ends() + (long) Integer.BYTES * first)
                .offset(Boundary.AttentionArgs.OUT, step.out() + offset);
    }

    private void decode(Step.Attention step, int first, int count, List<Launch> out) {
        AttentionShape shape = step.shape();
        PagedKvStore store = store(step);
        int queryHeads = shape.heads() / shape.kvHeads();
        long[] words = arguments(step, first)
                .offset(Boundary.AttentionArgs.STATES, states.address())
                .set(Boundary.AttentionArgs.SEGMENTS, step.plan().segments())
                .set(Boundary.AttentionArgs.QUANTIZED, linear.quantizedRows(step.quantize()))
                .words();
        long blocks = (long) shape.kvHeads() * Boundary.decode_passes(queryHeads);
        int splits = Math.clamp(
                (long) GROUPS_OF_UNIT * units / (blocks * count), 1, step.plan().segments());
        out.add(new Arguments(Boundary.AttentionArgs.WORDS)
                .buffer(step.q())
                .buffer(store.keys())
                .buffer(step.rows().positions())
                .buffer(states.address())
                .set(0, words)
                .launch(
                        kernel("attention_decode", step, Boundary.decode_queries(queryHeads)),
                        new Launch.Grid(blocks, count, splits, Boundary.ATTENTION_ITEMS)));
        out.add(new Arguments(Boundary.AttentionArgs.WORDS)
                .buffer(step.rows().positions())
                .buffer(states.address())
                .buffer(step.out())
                .buffer(linear.activations().integers(step.quantize()))
                .buffer(step.sinks())
                .set(0, words)
                .launch(
                        new Programs.Key("attention_merge", StepLaunches.quantizes(step.quantize())),
                        new Launch.Grid(shape.heads(), count, 1, Boundary.ATTENTION_ITEMS)));
    }

    private Launch prefill(Step.Attention step) {
        long[] words = arguments(step, 0)
                .offset(Boundary.AttentionArgs.BLOCKS, step.plan().blockAddress())
                .words();
        return new Arguments(Boundary.AttentionArgs.WORDS)
                .buffer(step.q())
                .buffer(store(step).keys())
                .buffer(step.rows().positions())
                .buffer(step.out())
                .buffer(step.sinks())
                .set(0, words)
                .launch(
                        kernel("attention_prefill", step, Boundary.PREFILL_QUERIES),
                        new Launch.Grid(step.shape().heads(), step.plan().blocks(), 1, Boundary.ATTENTION_ITEMS));
    }

    @Override
    public void close() {
        states.close();
    }
}
