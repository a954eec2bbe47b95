// Computes: the gated delta rule (Yang, Kautz and Hatamizadeh, "Gated Delta Networks", 2024), row after row of a
//           sequence: S = decay S; S += k (beta (v - k^T S)); out = q^T S / sqrt(head_dim), with q and k divided by
//           sqrt(sum of squares + epsilon), beta = sigmoid(b), decay = exp(rate ln(1 + exp(a + bias))).
// Layout:   x rows x (queries [key_head][element], keys alike, values [head][element]); b and a rows x heads; state
//           slots x heads x [i][column], i an element of keys and column one of values (states.h); all FP32.
// Requires: head_dim at most 256; a sequence's rows follow each other and what its state has seen; at position 0 the
//           state counts as zeros.
// Accuracy: FP32, sums over i in order.
// Launch:   (heads x head_dim / 64, rows) work-groups of 64 items for the sequence that begins with the group's row,
//           an item a column; other groups have nothing to do.
// Moves:    12 bytes and 8 operations an element of the state and row.
// Why:      items read a state's row side by side; a row's queries and keys, which all items need, are in local memory.
//           A column is too long for an item's registers.
#include "kernel.h"
#include "states.h"

typedef struct DeltaRuleArgs {
    long x;
    long b;
    long a;
    long bias;
    long rate;
    long key_heads;
    long heads;
    long head_dim;
    long grouped;
    Real epsilon;
    long state;
    StateRows rows;
    long out;
} DeltaRuleArgs;

// All items put x / sqrt(sum of squares + epsilon) times `factor` where all see it.
void normalize_to(local float* to, global const float* x, int dim, float epsilon, float factor) {
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = item(); i < dim; i += DELTA_ITEMS) {
        to[i] = x[i];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    float squares = epsilon;
    for (int i = 0; i < dim; i++) {
        squares = fma(to[i], to[i], squares);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const float scale = factor / sqrt(squares);
    for (int i = item(); i < dim; i += DELTA_ITEMS) {
        to[i] *= scale;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

KERNEL(DELTA_ITEMS) delta_rule(global const uchar* x, global const uchar* gates, global const uchar* steps,
                               global const uchar* biases, global const uchar* rates, global uchar* state,
                               global const uchar* data, global uchar* out, const DeltaRuleArgs a) {
    local float q[MOST_STATE_DIM];
    local float k[MOST_STATE_DIM];
    const int dim = (int)a.head_dim;
    const int pieces = delta_groups(dim);
    const long head = (long)get_group_id(0) / pieces;
    const int column = (int)((long)get_group_id(0) % pieces) * DELTA_ITEMS + item();
    const long first = (long)get_group_id(1);
    const long count = sequence_rows(a.rows, data, first);
    const long key_head = a.grouped != 0 ? head / (a.heads / a.key_heads) : head % a.key_heads;
    const float rate = READ(float, rates, a.rate)[head];
    const float bias = READ(float, biases, a.bias)[head];
    const long slot = state_slot(a.rows, data, first);
    global float* s = WRITE(float, state, a.state) + (slot * a.heads + head) * dim * dim + column;
    for (long row = first; row < first + count; row++) {
        global const float* of_row = READ(float, x, a.x) + row * (2 * a.key_heads + a.heads) * dim;
        normalize_to(q, of_row + key_head * dim, dim, a.epsilon.value, 1 / sqrt((float)dim));
        normalize_to(k, of_row + (a.key_heads + key_head) * dim, dim, a.epsilon.value, 1);
        const bool fresh = is_fresh(a.rows, data, row);
        const long at = row * a.heads + head;
        const float step = READ(float, steps, a.a)[at] + bias;
        const float decay = exp(rate * (step > 20 ? step : log1p(exp(step))));
        const float beta = 1 / (1 + exp(-READ(float, gates, a.b)[at]));
        if (column < dim) {
            float seen = 0;
            for (int i = 0; i < dim; i++) {
                seen = fma(k[i], fresh ? 0 : s[(long)i * dim], seen);
            }
            const float change = beta * (of_row[(2 * a.key_heads + head) * dim + column] - decay * seen);
            float sum = 0;
            for (int i = 0; i < dim; i++) {
                const float after = fma(k[i], change, fresh ? 0 : decay * s[(long)i * dim]);
                s[(long)i * dim] = after;
                sum = fma(q[i], after, sum);
            }
            WRITE(float, out, a.out)[at * dim + column] = sum;
        }
    }
}
