package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.WIDTH;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.ScanShape;
import jdk.incubator.vector.FloatVector;

/**
 * Computes: the selective state space of Mamba 2 (Dao and Gu, "Transformers are SSMs", 2024), row after row of a
 * sequence: {@code S = exp(rate t) S + B (t x)ᵀ}; {@code out = Cᵀ S + skip x}, with {@code t = ln(1 + exp(step +
 * bias))}.
 *
 * <p>Layout: FP32; x {@code [row]}: values {@code [head][element]}, B {@code [group][i]}, C alike; steps
 * {@code [row][head]}; state {@code [slot][head][i][column]}. A sequence's slot is the number of its first page.
 *
 * <p>Requires: a sequence's rows follow each other and what its state has seen; at position 0 the state counts as
 * zeros.
 *
 * <p>Accuracy: FP32, sums over i in order; steps and decay in FP64.
 *
 * <p>Launch: one task a block of heads, of all rows in their order.
 *
 * <p>Moves: 8 bytes and 4 operations an element of the state and row.
 *
 * <p>Why: bound by reading and writing the state, which a vector of columns goes through once a row.
 *
 * @param x address
 * @param steps address
 * @param bias address
 * @param rate address
 * @param skip address
 * @param state address
 * @param out address
 */
record SelectiveScan(
        long x, long steps, long bias, long rate, long skip, ScanShape shape, long state, BatchRows rows, long out) {
    /** Heads {@code from} to {@code to} of all rows. */
    void block(long from, long to) {
        for (long head = from; head < to; head++) {
            for (int row = 0; row < rows.count(); row++) {
                run((int) head, row);
            }
        }
    }

    private void run(int head, int row) {
        int dim = shape.headDim();
        long in = x + (long) row * shape.columns() * 4;
        long values = in + (long) head * dim * 4;
        long b = in + (shape.values() + (long) shape.group(head) * shape.stateDim()) * 4;
        long at = (long) row * shape.heads() + head;
        double raw = (double) Lanes.get(steps + at * 4) + Lanes.get(bias + head * 4L);
        double step = raw > 30 ? raw : Math.log1p(Math.exp(raw));
        float decay = (float) Math.exp(Lanes.get(rate + head * 4L) * step);
        float own = Lanes.get(skip + head * 4L);
        long elements = (long) shape.stateDim() * dim;
        long matrix = state + ((long) rows.pages()[row][0] * shape.heads() + head) * elements * 4;
        if (rows.positions()[row] == 0) {
            for (long each = matrix; each < matrix + elements * 4; each += 4) {
                Lanes.set(each, 0);
            }
        }
        long target = out + at * dim * 4;
        int column = 0;
        for (; column + WIDTH <= dim; column += WIDTH) {
            lanes(matrix + column * 4L, values + column * 4L, b, (float) step, decay, own, target + column * 4L);
        }
        for (; column < dim; column++) {
            one(matrix + column * 4L, values + column * 4L, b, (float) step, decay, own, target + column * 4L);
        }
    }

    private void lanes(long s, long value, long b, float step, float decay, float own, long target) {
        long stride = shape.headDim() * 4L;
        long c = b + (long) shape.groups() * shape.stateDim() * 4;
        FloatVector input = Lanes.floats(value);
        FloatVector sum = input.mul(own);
        FloatVector added = input.mul(step);
        for (int i = 0; i < shape.stateDim(); i++) {
            long at = s + i * stride & Lanes.ADDRESS;
            FloatVector after = FloatVector.fromMemorySegment(Lanes.FLOATS, Lanes.MEMORY, at, Lanes.ORDER)
                    .mul(decay)
                    .add(added.mul(Lanes.get(b + i * 4L)));
            after.intoMemorySegment(Lanes.MEMORY, at, Lanes.ORDER);
            sum = after.fma(FloatVector.broadcast(Lanes.FLOATS, Lanes.get(c + i * 4L)), sum);
        }
        Lanes.store(sum, target);
    }

    private void one(long s, long value, long b, float step, float decay, float own, long target) {
        long stride = shape.headDim() * 4L;
        long c = b + (long) shape.groups() * shape.stateDim() * 4;
        float input = Lanes.get(value);
        float sum = input * own;
        float added = input * step;
        for (int i = 0; i < shape.stateDim(); i++) {
            float after = Lanes.get(s + i * stride) * decay + added * Lanes.get(b + i * 4L);
            Lanes.set(s + i * stride, after);
            sum = Math.fma(after, Lanes.get(c + i * 4L), sum);
        }
        Lanes.set(target, sum);
    }
}
