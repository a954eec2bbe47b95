package dev.demitasse.gpu;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Rewrites a list of steps so that fewer kernels do the same, with the same bits: what follows on the same rows is done
 * on the way.
 *
 * <ul>
 *   <li>{@code add} before {@code rmsNorm} of its sum;
 *   <li>rotary embedding of keys, and of queries before them, before {@code kvAppend} of those keys; and, after that,
 *       {@code rotate} of those queries, keys and values;
 *   <li>{@code add} to what {@code combine} has just written, and {@code gateRows} of what is added;
 *   <li>{@code quantize} of the rows that a norm, a gated activation, {@code rotate}, {@code dispatch} or the decode
 *       kernel of attention has just written.
 * </ul>
 */
public final class Fusions {
    /** Rows of a gated activation that quantizes: blocks along the second dimension of a grid. */
    private static final int MOST_ROWS = 65535;

    /** Elements of heads, at most, that are quantized where they are written. */
    private static final int MOST_QUANTIZED_DIM = 256;

    private Fusions() {}

    /** The rewritten list; the steps of {@code recorded} are not changed. */
    public static List<Step> apply(List<Step> recorded) {
        List<Step> steps = new ArrayList<>(recorded.size());
        for (Step step : recorded) {
            switch (step) {
                case Step.RmsNorm norm -> steps.add(withAddition(norm, steps));
                case Step.Add add -> addition(add, steps);
                case Step.KvAppend append -> steps.add(withRopes(append, steps));
                case Step.Quantize quantize -> {
                    Step both = steps.isEmpty() ? null : quantizing(steps.getLast(), quantize);
                    if (both == null) {
                        steps.add(quantize);
                    } else {
                        steps.set(steps.size() - 1, both);
                    }
                }
                default -> steps.add(step);
            }
        }
        return steps;
    }

    private static Step.RmsNorm withAddition(Step.RmsNorm norm, List<Step> before) {
        if (before.isEmpty()
                || !(before.getLast() instanceof Step.Add add)
                || add.x() != norm.x()
                || add.count() != (long) norm.rows() * norm.columns()) {
            return norm;
        }
        before.removeLast();
        return new Step.RmsNorm(
                norm.x(),
                norm.weight(),
                norm.groups(),
                norm.rows(),
                norm.columns(),
                norm.epsilon(),
                norm.out(),
                add.y(),
                null);
    }

    /** Adds it as a step, or to the one before, which has experts combined. */
    private static void addition(Step.Add add, List<Step> steps) {
        int last = steps.size() - 1;
        Step.GateRows gated = last >= 0 && steps.get(last) instanceof Step.GateRows gate ? gate : null;
        last -= gated == null ? 0 : 1;
        if (last >= 0 && steps.get(last) instanceof Step.Combine combine && isOf(combine, gated, add)) {
            steps.subList(last, steps.size()).clear();
            long logits = gated == null ? 0 : gated.logits();
            steps.add(
                    new Step.Combine(combine.x(), combine.columns(), combine.choice(), combine.out(), add.y(), logits));
        } else {
            steps.add(add);
        }
    }

    /** Whether what is added is added to what was combined, row by row, and gated so. */
    private static boolean isOf(Step.Combine combine, Step.@Nullable GateRows gated, Step.Add add) {
        int rows = combine.choice().rows();
        boolean sameGates = gated == null
                || (gated.x() == add.y()
                        && gated.rows() == rows
                        && gated.columns() == combine.columns()
                        && gated.logits() != combine.out());
        return sameGates
                && combine.out() == add.x()
                && combine.out() != add.y()
                && combine.x() != add.y()
                && combine.addend() == 0
                && add.count() == (long) rows * combine.columns();
    }

    private static Step.KvAppend withRopes(Step.KvAppend append, List<Step> before) {
        if (append.keys() == append.values()) {
            return append; // which the same kernel would change twice
        }
        List<Step> unrotated = new ArrayList<>(before);
        Step.Rotate values = rotation(append, unrotated);
        Step.Rotate keys = rotation(append, unrotated);
        Step.Rotate queries = rotation(append, unrotated);
        if (values != null
                && keys != null
                && queries != null
                && values.x() == append.values()
                && values.heads() == keys.heads()
                && keys.x() == append.keys()
                && keys.heads() == append.store().shape().kvHeads()) {
            Step.KvAppend fused = withRopesAlone(append, unrotated);
            Step.Rope rope = fused.queryRope();
            if (rope != null && rope.x() == queries.x() && rope.heads() == queries.heads()) {
                before.clear();
                before.addAll(unrotated);
                return new Step.KvAppend(
                        append.store(),
                        append.layer(),
                        append.keys(),
                        append.values(),
                        append.rows(),
                        fused.keyRope(),
                        rope,
                        true);
            }
        }
        return withRopesAlone(append, before);
    }

    /** Takes the last step off, where it rotates as many rows of heads as long as those of the cache. */
    private static Step.@Nullable Rotate rotation(Step.KvAppend append, List<Step> before) {
        if (!before.isEmpty()
                && before.getLast() instanceof Step.Rotate rotate
                && rotate.rows() == append.rows().count()
                && rotate.headDim() == append.store().shape().headDim()
                && rotate.quantize() == null) {
            before.removeLast();
            return rotate;
        }
        return null;
    }

    private static Step.KvAppend withRopesAlone(Step.KvAppend append, List<Step> before) {
        Step.Rope keys = rope(append, before);
        if (keys == null
                || keys.x() != append.keys()
                || keys.heads() != append.store().shape().kvHeads()) {
            return append;
        }
        before.removeLast();
        Step.Rope queries = rope(append, before);
        if (queries != null && queries.x() != append.keys() && sameAngles(queries, keys)) {
            before.removeLast();
        } else {
            queries = null;
        }
        return new Step.KvAppend(
                append.store(), append.layer(), append.keys(), append.values(), append.rows(), keys, queries, false);
    }

    /** The last step, where it rotates as many rows of heads as long as those of the cache. */
    private static Step.@Nullable Rope rope(Step.KvAppend append, List<Step> before) {
        return !before.isEmpty()
                        && before.getLast() instanceof Step.Rope rope
                        && rope.rows() == append.rows().count()
                        && rope.headDim() == append.store().shape().headDim()
                ? rope
                : null;
    }

    private static boolean sameAngles(Step.Rope a, Step.Rope b) {
        return a.angles() == b.angles() && a.ropeDim() == b.ropeDim() && a.interleaved() == b.interleaved();
    }

    private static boolean isQuantized(int headDim) {
        return headDim % QuantizedActivations.GROUP == 0 && headDim <= MOST_QUANTIZED_DIM;
    }

    /** The step that does both; null where {@code last} does not write the rows, or cannot quantize them so. */
    private static @Nullable Step quantizing(Step last, Step.Quantize q) {
        return switch (last) {
            case Step.RmsNorm n ->
                n.out() == q.x() && n.rows() == q.rows() && n.columns() == q.columns()
                        ? new Step.RmsNorm(
                                n.x(),
                                n.weight(),
                                n.groups(),
                                n.rows(),
                                n.columns(),
                                n.epsilon(),
                                n.out(),
                                n.addend(),
                                q)
                        : null;
            case Step.Dispatch d ->
                d.out() == q.x() && d.choice().list().places() == q.rows() && d.columns() == q.columns()
                        ? new Step.Dispatch(d.x(), d.columns(), d.choice(), d.out(), q)
                        : null;
            case Step.GatedActivation g ->
                g.out() == q.x() && g.count() == (long) q.rows() * q.columns() && !q.perRow() && q.rows() <= MOST_ROWS
                        ? new Step.GatedActivation(g.gate(), g.g(), g.up(), g.count(), g.out(), q)
                        : null;
            case Step.Rotate r ->
                r.x() == q.x()
                                && r.rows() == q.rows()
                                && r.heads() * r.headDim() == q.columns()
                                && q.padded() == q.columns()
                                && isQuantized(r.headDim())
                                && !q.perRow()
                        ? new Step.Rotate(r.x(), r.rows(), r.heads(), r.headDim(), q)
                        : null;
            case Step.Attention a ->
                a.out() == q.x()
                                && a.plan().isOneLaunch(q.rows())
                                && a.shape().heads() * a.shape().headDim() == q.columns()
                                && q.padded() == q.columns()
                                && isQuantized(a.shape().headDim())
                                && !q.perRow()
                        ? new Step.Attention(
                                a.store(), a.layer(), a.shape(), a.sinks(), a.q(), a.out(), a.rows(), a.plan(), q)
                        : null;
            default -> null;
        };
    }
}
