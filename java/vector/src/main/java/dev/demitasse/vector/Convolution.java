package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.WIDTH;
import static dev.demitasse.vector.Lanes.floats;
import static dev.demitasse.vector.Lanes.store;

import dev.demitasse.device.BatchRows;
import jdk.incubator.vector.FloatVector;

/**
 * Computes: causal convolution of each channel over its sequence's positions: {@code bias[c]}, and the sum over k of
 * {@code weight[k][c] x[t - kernel + 1 + k][c]}, positions before the first being zero; where wanted
 * {@code v sigmoid(v)} of that.
 *
 * <p>Layout: FP32; x and out {@code [row][channel]}, weight {@code [k][channel]}, state {@code [slot][k][channel]}: of
 * each sequence the rows before those to come. A sequence's slot is the number of its first page.
 *
 * <p>Requires: a sequence's rows follow each other and what its state has seen; at position 0 the state counts as
 * zeros.
 *
 * <p>Accuracy: FP32, products added from the earliest position on; the sigmoid that of {@link Exp}.
 *
 * <p>Launch: one task a block of channels, of all rows in their order.
 *
 * <p>Moves: 8 bytes an element, and 8 (kernel - 1) of its state; kernel products an element.
 *
 * <p>Why: channels side by side fill vectors; the state stays in the cache, a hundredth of what a matrix reads.
 *
 * @param x address
 * @param weight address
 * @param bias address, or 0 for none
 * @param state address
 * @param out address
 */
record Convolution(
        long x, long weight, long bias, int channels, int kernel, boolean silu, long state, BatchRows rows, long out) {
    /** Channels {@code from} to {@code to} of all rows. */
    void block(long from, long to) {
        for (int row = 0; row < rows.count(); row++) {
            long slot = state + (long) rows.pages()[row][0] * (kernel - 1) * channels * 4;
            boolean first = rows.positions()[row] == 0;
            long channel = from;
            for (; channel + WIDTH <= to; channel += WIDTH) {
                lanes(row, channel, slot, first);
            }
            for (; channel < to; channel++) {
                one(row, channel, slot, first);
            }
        }
    }

    private void lanes(int row, long channel, long slot, boolean first) {
        long stride = channels * 4L;
        FloatVector current = floats(x + row * stride + channel * 4);
        FloatVector sum = bias == 0 ? FloatVector.zero(Lanes.FLOATS) : floats(bias + channel * 4);
        for (int k = 0; k < kernel - 1; k++) {
            long at = slot + k * stride + channel * 4;
            FloatVector before = first ? FloatVector.zero(Lanes.FLOATS) : floats(at);
            sum = floats(weight + k * stride + channel * 4).fma(before, sum);
            if (k > 0) {
                store(before, at - stride);
            }
        }
        store(current, slot + (kernel - 2) * stride + channel * 4);
        sum = floats(weight + (kernel - 1) * stride + channel * 4).fma(current, sum);
        store(silu ? sum.mul(Exp.sigmoid(sum)) : sum, out + row * stride + channel * 4);
    }

    private void one(int row, long channel, long slot, boolean first) {
        long stride = channels * 4L;
        float current = Lanes.get(x + row * stride + channel * 4);
        float sum = bias == 0 ? 0 : Lanes.get(bias + channel * 4);
        for (int k = 0; k < kernel - 1; k++) {
            long at = slot + k * stride + channel * 4;
            float before = first ? 0 : Lanes.get(at);
            sum = Math.fma(Lanes.get(weight + k * stride + channel * 4), before, sum);
            if (k > 0) {
                Lanes.set(at - stride, before);
            }
        }
        Lanes.set(slot + (kernel - 2) * stride + channel * 4, current);
        sum = Math.fma(Lanes.get(weight + (kernel - 1) * stride + channel * 4), current, sum);
        float value = silu ? sum * Exp.sigmoid(floats(sum)).lane(0) : sum;
        Lanes.set(out + row * stride + channel * 4, value);
    }
}
