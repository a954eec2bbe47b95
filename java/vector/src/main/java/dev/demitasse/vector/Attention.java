package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.BYTES;
import static dev.demitasse.vector.Lanes.WIDTH;
import static dev.demitasse.vector.Lanes.floats;
import static dev.demitasse.vector.Lanes.spread;
import static dev.demitasse.vector.Lanes.store;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.kv.KvShape;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Computes: {@code softmax(cap(scale q·k)) v} of some query heads over the positions that they see, by the online softmax (Milakov
 * and Gimelshein, 2018).
 *
 * <p>Layout: queries {@code [query][element]} FP32; pages as {@link VectorKvStore} has them, FP16 ones unpacked to FP32 scratch once
 * for all queries that share the page. A query's running state is {@code [maximum, sum, padding to 8][padded elements]} FP32.
 *
 * <p>Requires: head elements padded to a multiple of 8.
 *
 * <p>Accuracy: FP32. Positions are taken page by page from the page of the first one on, and segments of {@link #SEGMENT} positions
 * are merged in order, whatever the batch: so a query has the same bits alone, in a batch, and in a chunk of any length.
 *
 * <p>Launch: one task a group of query heads with one key head, and a block of rows or, for single rows, a segment.
 *
 * <p>Moves: keys and values once a task; 4 · elements operations a position and query.
 *
 * <p>Why: keys lie transposed, so that scores of 32 positions are four vectors and need no horizontal sums.
 */
final class Attention {
    /** Positions whose state is computed alone and then merged. */
    static final int SEGMENT = 512;
    /** FP32 elements of a state before its vector. */
    static final int STATE_HEADER = 8;

    private static final int PAGE = KvShape.PAGE;

    private Attention() {}

    /** Bytes of a state. */
    static long stateBytes(int paddedDim) {
        return (STATE_HEADER + (long) paddedDim) * 4;
    }

    /** Bytes of scratch of a task: two unpacked pages and the scores of a page. */
    static long scratchBytes(int paddedDim) {
        return 2L * paddedDim * PAGE * 4 + PAGE * 4;
    }

    static void reset(long state, int paddedDim) {
        Lanes.set(state, Float.NEGATIVE_INFINITY);
        Lanes.set(state + 4, 0);
        FloatVector zero = FloatVector.zero(Lanes.FLOATS);
        for (int d = 0; d < paddedDim; d += WIDTH) {
            store(zero, state + (STATE_HEADER + d) * 4L);
        }
    }

    /** FP32 keys (or values) of a page: in place, or unpacked to {@code scratch}. */
    static long unpack(long block, boolean half, int paddedDim, long scratch) {
        if (!half) {
            return block;
        }
        for (long i = 0; i < (long) paddedDim * PAGE; i += WIDTH) {
            store(Lanes.halves(block + i * 2), scratch + i * 4);
        }
        return scratch;
    }

    /**
     * Adds the positions {@code [from, to)} of a page, counted within the page, to a query's state.
     *
     * @param q the query's elements
     * @param keys FP32 keys of the page
     * @param values FP32 values of the page
     * @param scores scratch of a page's positions
     */
    static void addPage(
            long q, AttentionShape shape, int paddedDim, long keys, long values, int from, int to, long scores, long state) {
        float pageMaximum = scores(q, shape, keys, from, to, scores);
        float before = Lanes.get(state);
        float maximum = Math.max(before, pageMaximum);
        float correction = before == Float.NEGATIVE_INFINITY ? 0 : exp(before - maximum);
        FloatVector sums = FloatVector.zero(Lanes.FLOATS);
        for (int p = 0; p < PAGE; p += WIDTH) {
            FloatVector weights = Exp.exp(floats(scores + p * 4L).sub(maximum));
            weights = weights.blend(0f, floats(scores + p * 4L).compare(VectorOperators.EQ, Float.NEGATIVE_INFINITY));
            store(weights, scores + p * 4L);
            sums = sums.add(weights);
        }
        Lanes.set(state, maximum);
        Lanes.set(state + 4, Math.fma(Lanes.get(state + 4), correction, Lanes.sum(sums)));
        weightValues(values, paddedDim, from, to, scores, correction, state + STATE_HEADER * 4L);
    }

    /** Scores of the page's positions; those outside {@code [from, to)} are minus infinity. Returns the largest. */
    private static float scores(long q, AttentionShape shape, long keys, int from, int to, long scores) {
        for (int p = 0; p < PAGE; p += 4 * WIDTH) {
            FloatVector s0 = FloatVector.zero(Lanes.FLOATS);
            FloatVector s1 = s0;
            FloatVector s2 = s0;
            FloatVector s3 = s0;
            for (int d = 0; d < shape.headDim(); d++) {
                FloatVector x = spread(q + d * 4L);
                long k = keys + ((long) d * PAGE + p) * 4;
                s0 = floats(k).fma(x, s0);
                s1 = floats(k + BYTES).fma(x, s1);
                s2 = floats(k + 2 * BYTES).fma(x, s2);
                s3 = floats(k + 3 * BYTES).fma(x, s3);
            }
            store(capped(s0, shape), scores + p * 4L);
            store(capped(s1, shape), scores + p * 4L + BYTES);
            store(capped(s2, shape), scores + p * 4L + 2 * BYTES);
            store(capped(s3, shape), scores + p * 4L + 3 * BYTES);
        }
        for (int p = 0; p < from; p++) {
            Lanes.set(scores + p * 4L, Float.NEGATIVE_INFINITY);
        }
        for (int p = to; p < PAGE; p++) {
            Lanes.set(scores + p * 4L, Float.NEGATIVE_INFINITY);
        }
        FloatVector largest = floats(scores);
        for (int p = WIDTH; p < PAGE; p += WIDTH) {
            largest = largest.max(floats(scores + p * 4L));
        }
        return largest.reduceLanes(VectorOperators.MAX);
    }

    private static FloatVector capped(FloatVector products, AttentionShape shape) {
        FloatVector scaled = products.mul(shape.scale());
        return shape.softCap() == 0
                ? scaled
                : Exp.tanh(scaled.div(shape.softCap())).mul(shape.softCap());
    }

    /** {@code sum = correction sum + weights · values}, 4 vectors of elements at a time, then one. */
    private static void weightValues(
            long values, int paddedDim, int from, int to, long weights, float correction, long sum) {
        int d = 0;
        for (; d + 4 * WIDTH <= paddedDim; d += 4 * WIDTH) {
            long at = sum + d * 4L;
            FloatVector s0 = floats(at).mul(correction);
            FloatVector s1 = floats(at + BYTES).mul(correction);
            FloatVector s2 = floats(at + 2 * BYTES).mul(correction);
            FloatVector s3 = floats(at + 3 * BYTES).mul(correction);
            for (int p = from; p < to; p++) {
                FloatVector w = spread(weights + p * 4L);
                long v = values + ((long) p * paddedDim + d) * 4;
                s0 = floats(v).fma(w, s0);
                s1 = floats(v + BYTES).fma(w, s1);
                s2 = floats(v + 2 * BYTES).fma(w, s2);
                s3 = floats(v + 3 * BYTES).fma(w, s3);
            }
            store(s0, at);
            store(s1, at + BYTES);
            store(s2, at + 2 * BYTES);
            store(s3, at + 3 * BYTES);
        }
        for (; d < paddedDim; d += WIDTH) {
            FloatVector s = floats(sum + d * 4L).mul(correction);
            for (int p = from; p < to; p++) {
                s = floats(values + ((long) p * paddedDim + d) * 4).fma(spread(weights + p * 4L), s);
            }
            store(s, sum + d * 4L);
        }
    }

    /** Merges a segment's state into the state of the segments before it. */
    static void merge(long state, long segment, int paddedDim) {
        float a = Lanes.get(state);
        float b = Lanes.get(segment);
        float maximum = Math.max(a, b);
        float ca = a == Float.NEGATIVE_INFINITY ? 0 : exp(a - maximum);
        float cb = b == Float.NEGATIVE_INFINITY ? 0 : exp(b - maximum);
        Lanes.set(state, maximum);
        Lanes.set(state + 4, Lanes.get(state + 4) * ca + Lanes.get(segment + 4) * cb);
        for (int d = 0; d < paddedDim; d += WIDTH) {
            long at = (STATE_HEADER + d) * 4L;
            store(floats(state + at).mul(ca).add(floats(segment + at).mul(cb)), state + at);
        }
    }

    /** Writes a state's result, {@code headDim} elements. */
    static void finish(long state, int headDim, long out) {
        float inverse = 1 / Lanes.get(state + 4);
        for (int d = 0; d < headDim; d++) {
            Lanes.set(out + d * 4L, Lanes.get(state + (STATE_HEADER + d) * 4L) * inverse);
        }
    }

    private static float exp(float x) {
        return Exp.exp(floats(x)).lane(0);
    }
}
