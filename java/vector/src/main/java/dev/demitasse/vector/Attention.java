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
 * Computes: {@code softmax(cap(scale q·k)) v} of some query heads over the positions that they see, by the online
 * softmax (Milakov and Gimelshein, 2018).
 *
 * <p>Layout: queries {@code [query][element]} FP32; pages as {@link VectorKvStore} has them, unpacked to FP32 scratch
 * once for all queries that share the page ({@link UnpackPage}). A query's running state is {@code [maximum, sum,
 * padding to 8][padded elements]} FP32.
 *
 * <p>Requires: head elements padded to a multiple of 8.
 *
 * <p>Accuracy: FP32. Positions are taken page by page from the page of the first one on, and segments of {@link
 * #SEGMENT} positions are merged in order, whatever the batch: so a query has the same bits alone, in a batch, and in a
 * chunk of any length.
 *
 * <p>Launch: one task the query heads of a KV head, and a block of rows or, for single rows, a segment.
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

    /** Bytes of scratch of a task: two unpacked pages and the scores of two queries for a page. */
    static long scratchBytes(int paddedDim) {
        return 2L * paddedDim * PAGE * 4 + 2 * PAGE * 4;
    }

    static void reset(long state, int paddedDim) {
        Lanes.set(state, Float.NEGATIVE_INFINITY);
        Lanes.set(state + 4, 0);
        FloatVector zero = FloatVector.zero(Lanes.FLOATS);
        for (int d = 0; d < paddedDim; d += WIDTH) {
            store(zero, state + (STATE_HEADER + d) * 4L);
        }
    }

    /** A query's part of a page: its elements, its state, and the positions within the page that it sees. */
    record Query(long q, long state, int from, int to) {}

    /**
     * Adds a page to the states of two queries, which share the reading of keys and values; {@code scratch} has two
     * rows.
     */
    static void addPage(Query a, Query b, AttentionShape shape, int paddedDim, long keys, long values, long scratch) {
        long second = scratch + PAGE * 4;
        for (int p = 0; p < PAGE; p += 4 * WIDTH) {
            products(a.q, b.q, shape.headDim(), 1, shape.scale(), keys + p * 4L, scratch + p * 4L);
        }
        float first = softmax(a, shape, scratch);
        float other = softmax(b, shape, second);
        int from = Math.min(a.from, b.from);
        int to = Math.max(a.to, b.to);
        int d = 0;
        for (; d + 4 * WIDTH <= paddedDim; d += 4 * WIDTH) {
            long at = (STATE_HEADER + d) * 4L;
            long v = values + d * 4L;
            weightValues(v, paddedDim * 4L, from, to, 1, scratch, first, a.state + at, other, b.state + at);
        }
        weightRest(values, paddedDim, d, a, scratch, first);
        weightRest(values, paddedDim, d, b, second, other);
    }

    /** Adds a page to a query's state. */
    static void addPage(Query a, AttentionShape shape, int paddedDim, long keys, long values, long scratch) {
        for (int p = 0; p < PAGE; p += 4 * WIDTH) {
            products(a.q, shape.headDim(), 1, shape.scale(), keys + p * 4L, scratch + p * 4L);
        }
        float correction = softmax(a, shape, scratch);
        int d = 0;
        for (; d + 4 * WIDTH <= paddedDim; d += 4 * WIDTH) {
            long at = a.state + (STATE_HEADER + d) * 4L;
            weightValues(values + d * 4L, paddedDim * 4L, a.from, a.to, 1, scratch, correction, at);
        }
        weightRest(values, paddedDim, d, a, scratch, correction);
    }

    /**
     * Scaled products of a query with four vectors of positions; {@code one} is 1, and keeps the loop from being
     * unrolled.
     */
    private static void products(long q, int headDim, int one, float scale, long keys, long scores) {
        FloatVector s0 = FloatVector.zero(Lanes.FLOATS);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        for (int d = 0; d < headDim; d += one) {
            FloatVector x = spread(q + d * 4L);
            long k = keys + (long) d * PAGE * 4;
            s0 = floats(k).fma(x, s0);
            s1 = floats(k + BYTES).fma(x, s1);
            s2 = floats(k + 2 * BYTES).fma(x, s2);
            s3 = floats(k + 3 * BYTES).fma(x, s3);
        }
        store(s0.mul(scale), scores);
        store(s1.mul(scale), scores + BYTES);
        store(s2.mul(scale), scores + 2 * BYTES);
        store(s3.mul(scale), scores + 3 * BYTES);
    }

    /** The same of two queries; the second one's scores follow the first one's page. */
    private static void products(long qa, long qb, int headDim, int one, float scale, long keys, long scores) {
        FloatVector a0 = FloatVector.zero(Lanes.FLOATS);
        FloatVector a1 = a0;
        FloatVector a2 = a0;
        FloatVector a3 = a0;
        FloatVector b0 = a0;
        FloatVector b1 = a0;
        FloatVector b2 = a0;
        FloatVector b3 = a0;
        for (int d = 0; d < headDim; d += one) {
            FloatVector x = spread(qa + d * 4L);
            FloatVector y = spread(qb + d * 4L);
            long k = keys + (long) d * PAGE * 4;
            FloatVector row = floats(k);
            a0 = row.fma(x, a0);
            b0 = row.fma(y, b0);
            row = floats(k + BYTES);
            a1 = row.fma(x, a1);
            b1 = row.fma(y, b1);
            row = floats(k + 2 * BYTES);
            a2 = row.fma(x, a2);
            b2 = row.fma(y, b2);
            row = floats(k + 3 * BYTES);
            a3 = row.fma(x, a3);
            b3 = row.fma(y, b3);
        }
        store(a0.mul(scale), scores);
        store(a1.mul(scale), scores + BYTES);
        store(a2.mul(scale), scores + 2 * BYTES);
        store(a3.mul(scale), scores + 3 * BYTES);
        store(b0.mul(scale), scores + PAGE * 4);
        store(b1.mul(scale), scores + PAGE * 4 + BYTES);
        store(b2.mul(scale), scores + PAGE * 4 + 2 * BYTES);
        store(b3.mul(scale), scores + PAGE * 4 + 3 * BYTES);
    }

    /**
     * Turns a query's scores into weights and updates its maximum and sum; returns the factor of what was summed
     * before.
     */
    private static float softmax(Query a, AttentionShape shape, long scores) {
        if (shape.softCap() != 0) {
            cap(scores, shape.softCap());
        }
        fill(scores, a, Float.NEGATIVE_INFINITY);
        float before = Lanes.get(a.state);
        float maximum = Math.max(before, largest(scores));
        float correction = before == Float.NEGATIVE_INFINITY ? 0 : Exp.exp(before - maximum);
        for (int p = 0; p < PAGE; p += WIDTH) {
            exponentials(scores + p * 4L, maximum);
        }
        fill(scores, a, 0);
        Lanes.set(a.state, maximum);
        Lanes.set(a.state + 4, Math.fma(Lanes.get(a.state + 4), correction, sum(scores)));
        return correction;
    }

    /** Writes {@code value} where a query sees no position. */
    private static void fill(long scores, Query a, float value) {
        for (int p = 0; p < a.from; p++) {
            Lanes.set(scores + p * 4L, value);
        }
        for (int p = a.to; p < PAGE; p++) {
            Lanes.set(scores + p * 4L, value);
        }
    }

    private static float largest(long scores) {
        FloatVector largest = floats(scores);
        for (int p = WIDTH; p < PAGE; p += WIDTH) {
            largest = largest.max(floats(scores + p * 4L));
        }
        return largest.reduceLanes(VectorOperators.MAX);
    }

    /** The sum of a page's weights, in a fixed order. */
    private static float sum(long weights) {
        float s0 = 0;
        float s1 = 0;
        float s2 = 0;
        float s3 = 0;
        for (int p = 0; p < PAGE; p += 4) {
            s0 += Lanes.get(weights + p * 4L);
            s1 += Lanes.get(weights + p * 4L + 4);
            s2 += Lanes.get(weights + p * 4L + 8);
            s3 += Lanes.get(weights + p * 4L + 12);
        }
        return (s0 + s1) + (s2 + s3);
    }

    private static void exponentials(long scores, float maximum) {
        store(Exp.exp(floats(scores).sub(maximum)), scores);
    }

    private static void cap(long scores, float cap) {
        for (int p = 0; p < PAGE; p += WIDTH) {
            store(Exp.tanh(floats(scores + p * 4L).div(cap)).mul(cap), scores + p * 4L);
        }
    }

    /** {@code sum = correction sum + weights · values} for four vectors of elements. */
    private static void weightValues(
            long values, long stride, int from, int to, int one, long weights, float correction, long sum) {
        FloatVector s0 = floats(sum).mul(correction);
        FloatVector s1 = floats(sum + BYTES).mul(correction);
        FloatVector s2 = floats(sum + 2 * BYTES).mul(correction);
        FloatVector s3 = floats(sum + 3 * BYTES).mul(correction);
        for (int p = from; p < to; p += one) {
            FloatVector w = spread(weights + p * 4L);
            long v = values + p * stride;
            s0 = floats(v).fma(w, s0);
            s1 = floats(v + BYTES).fma(w, s1);
            s2 = floats(v + 2 * BYTES).fma(w, s2);
            s3 = floats(v + 3 * BYTES).fma(w, s3);
        }
        store(s0, sum);
        store(s1, sum + BYTES);
        store(s2, sum + 2 * BYTES);
        store(s3, sum + 3 * BYTES);
    }

    /** The same for two queries; weights beyond what one of them sees are zero. */
    private static void weightValues(
            long values,
            long stride,
            int from,
            int to,
            int one,
            long weights,
            float correctionA,
            long sumA,
            float correctionB,
            long sumB) {
        FloatVector a0 = floats(sumA).mul(correctionA);
        FloatVector a1 = floats(sumA + BYTES).mul(correctionA);
        FloatVector a2 = floats(sumA + 2 * BYTES).mul(correctionA);
        FloatVector a3 = floats(sumA + 3 * BYTES).mul(correctionA);
        FloatVector b0 = floats(sumB).mul(correctionB);
        FloatVector b1 = floats(sumB + BYTES).mul(correctionB);
        FloatVector b2 = floats(sumB + 2 * BYTES).mul(correctionB);
        FloatVector b3 = floats(sumB + 3 * BYTES).mul(correctionB);
        for (int p = from; p < to; p += one) {
            FloatVector x = spread(weights + p * 4L);
            FloatVector y = spread(weights + (PAGE + p) * 4L);
            long v = values + p * stride;
            FloatVector row = floats(v);
            a0 = row.fma(x, a0);
            b0 = row.fma(y, b0);
            row = floats(v + BYTES);
            a1 = row.fma(x, a1);
            b1 = row.fma(y, b1);
            row = floats(v + 2 * BYTES);
            a2 = row.fma(x, a2);
            b2 = row.fma(y, b2);
            row = floats(v + 3 * BYTES);
            a3 = row.fma(x, a3);
            b3 = row.fma(y, b3);
        }
        store(a0, sumA);
        store(a1, sumA + BYTES);
        store(a2, sumA + 2 * BYTES);
        store(a3, sumA + 3 * BYTES);
        store(b0, sumB);
        store(b1, sumB + BYTES);
        store(b2, sumB + 2 * BYTES);
        store(b3, sumB + 3 * BYTES);
    }

    /** The elements from {@code d} on, one vector at a time. */
    private static void weightRest(long values, int paddedDim, int from, Query a, long weights, float correction) {
        for (int d = from; d < paddedDim; d += WIDTH) {
            long at = a.state + (STATE_HEADER + d) * 4L;
            FloatVector s = floats(at).mul(correction);
            for (int p = a.from; p < a.to; p++) {
                s = floats(values + ((long) p * paddedDim + d) * 4).fma(spread(weights + p * 4L), s);
            }
            store(s, at);
        }
    }

    /** Merges a segment's state into the state of the segments before it. */
    static void merge(long state, long segment, int paddedDim) {
        float a = Lanes.get(state);
        float b = Lanes.get(segment);
        float maximum = Math.max(a, b);
        float ca = a == Float.NEGATIVE_INFINITY ? 0 : Exp.exp(a - maximum);
        float cb = b == Float.NEGATIVE_INFINITY ? 0 : Exp.exp(b - maximum);
        Lanes.set(state, maximum);
        Lanes.set(state + 4, Lanes.get(state + 4) * ca + Lanes.get(segment + 4) * cb);
        for (int d = 0; d < paddedDim; d += WIDTH) {
            long at = (STATE_HEADER + d) * 4L;
            store(floats(state + at).mul(ca).add(floats(segment + at).mul(cb)), state + at);
        }
    }

    /** Writes a state's result, {@code headDim} elements. */
    static void finish(long state, float sink, int headDim, long out) {
        float beside = sink == Float.NEGATIVE_INFINITY ? 0 : Exp.exp(sink - Lanes.get(state));
        float inverse = 1 / (Lanes.get(state + 4) + beside);
        for (int d = 0; d < headDim; d++) {
            Lanes.set(out + d * 4L, Lanes.get(state + (STATE_HEADER + d) * 4L) * inverse);
        }
    }
}
