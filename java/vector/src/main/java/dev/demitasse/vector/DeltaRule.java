package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.WIDTH;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.DeltaShape;
import jdk.incubator.vector.FloatVector;

/**
 * Computes: the gated delta rule (Yang, Kautz and Hatamizadeh, "Gated Delta Networks", 2024), row after row of a
 * sequence: {@code S = decay S}; {@code S += k (beta (v - kᵀ S))}; {@code out = qᵀ S / sqrt(headDim)}, with q and k
 * divided by sqrt(sum of squares + epsilon), {@code beta = sigmoid(b)} and
 * {@code decay = exp(rate ln(1 + exp(a + bias)))}.
 *
 * <p>Layout: FP32; x {@code [row]}: queries {@code [keyHead][element]}, keys alike, values {@code [head][element]}; b
 * and a {@code [row][head]}; state {@code [slot][head][i][column]}. A sequence's slot is the number of its first page.
 *
 * <p>Requires: a sequence's rows follow each other and what its state has seen; at position 0 the state counts as
 * zeros.
 *
 * <p>Accuracy: FP32, sums over i in order; decay in FP64.
 *
 * <p>Launch: one task a block of heads, of all rows in their order.
 *
 * <p>Moves: 8 bytes and 8 operations an element of the state and row.
 *
 * <p>Why: a vector of columns goes through S twice, for kᵀ S and for the rest; its part of S stays in the first cache.
 *
 * @param x address
 * @param b address
 * @param a address
 * @param bias address
 * @param rate address
 * @param state address
 * @param out address
 */
record DeltaRule(long x, long b, long a, long bias, long rate, DeltaShape shape, long state, BatchRows rows, long out) {
    /** Heads {@code from} to {@code to} of all rows. */
    void block(long from, long to) {
        int dim = shape.headDim();
        float[] q = new float[dim];
        float[] k = new float[dim];
        for (long head = from; head < to; head++) {
            for (int row = 0; row < rows.count(); row++) {
                run((int) head, row, q, k);
            }
        }
    }

    private void run(int head, int row, float[] q, float[] k) {
        int dim = shape.headDim();
        long in = x + (long) row * shape.columns() * 4;
        long key = in + (long) shape.keyHead(head) * dim * 4;
        normalize(key, 1 / Math.sqrt(dim), q);
        normalize(key + (long) shape.keyHeads() * dim * 4, 1, k);
        long gate = (long) row * shape.heads() + head;
        double step = (double) Lanes.get(a + gate * 4) + Lanes.get(bias + head * 4L);
        double rise = step > 30 ? step : Math.log1p(Math.exp(step));
        float decay = (float) Math.exp(Lanes.get(rate + head * 4L) * rise);
        float beta = (float) (1 / (1 + Math.exp(-(double) Lanes.get(b + gate * 4))));
        long values = in + (2L * shape.keyHeads() + head) * dim * 4;
        long matrix = state + ((long) rows.pages()[row][0] * shape.heads() + head) * dim * dim * 4;
        if (rows.positions()[row] == 0) {
            for (long at = matrix; at < matrix + (long) dim * dim * 4; at += 4) {
                Lanes.set(at, 0);
            }
        }
        long target = out + gate * dim * 4;
        int column = 0;
        for (; column + WIDTH <= dim; column += WIDTH) {
            lanes(matrix + column * 4L, values + column * 4L, q, k, beta, decay, target + column * 4L);
        }
        for (; column < dim; column++) {
            one(matrix + column * 4L, values + column * 4L, q, k, beta, decay, target + column * 4L);
        }
    }

    /** {@code out = x / sqrt(sum of squares + epsilon) * factor}. */
    private void normalize(long from, double factor, float[] into) {
        double squares = shape.epsilon();
        for (int i = 0; i < into.length; i++) {
            into[i] = Lanes.get(from + i * 4L);
            squares += (double) into[i] * into[i];
        }
        float scale = (float) (factor / Math.sqrt(squares));
        for (int i = 0; i < into.length; i++) {
            into[i] *= scale;
        }
    }

    private static void lanes(long s, long v, float[] q, float[] k, float beta, float decay, long target) {
        long stride = k.length * 4L;
        FloatVector seen = FloatVector.zero(Lanes.FLOATS);
        for (int i = 0; i < k.length; i++) {
            FloatVector before = FloatVector.fromMemorySegment(
                    Lanes.FLOATS, Lanes.MEMORY, s + i * stride & Lanes.ADDRESS, Lanes.ORDER);
            seen = before.fma(FloatVector.broadcast(Lanes.FLOATS, k[i]), seen);
        }
        FloatVector change = Lanes.floats(v).sub(seen.mul(decay)).mul(beta);
        FloatVector sum = FloatVector.zero(Lanes.FLOATS);
        for (int i = 0; i < k.length; i++) {
            long at = s + i * stride & Lanes.ADDRESS;
            FloatVector after = FloatVector.fromMemorySegment(Lanes.FLOATS, Lanes.MEMORY, at, Lanes.ORDER)
                    .mul(decay)
                    .add(change.mul(k[i]));
            after.intoMemorySegment(Lanes.MEMORY, at, Lanes.ORDER);
            sum = after.fma(FloatVector.broadcast(Lanes.FLOATS, q[i]), sum);
        }
        Lanes.store(sum, target);
    }

    private static void one(long s, long v, float[] q, float[] k, float beta, float decay, long target) {
        long stride = k.length * 4L;
        float seen = 0;
        for (int i = 0; i < k.length; i++) {
            seen = Math.fma(Lanes.get(s + i * stride), k[i], seen);
        }
        float change = (Lanes.get(v) - seen * decay) * beta;
        float sum = 0;
        for (int i = 0; i < k.length; i++) {
            float after = Lanes.get(s + i * stride) * decay + change * k[i];
            Lanes.set(s + i * stride, after);
            sum = Math.fma(after, q[i], sum);
        }
        Lanes.set(target, sum);
    }
}
