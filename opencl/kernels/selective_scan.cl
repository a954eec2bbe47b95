// Computes: the selective state space of Mamba 2 (Dao and Gu, "Transformers are SSMs", 2024), row after row of a
//           sequence: S = exp(rate t) S + B (t x)^T; out = C^T S + skip x, with t = ln(1 + exp(step + bias)).
// Layout:   x rows x (values [head][element], B [group][i], C alike); steps rows x heads; state slots x heads x
//           [i][column], i an element of B and C, column one of values (states.h); all FP32.
// Requires: a sequence's rows follow each other and what its state has seen; at position 0 the state counts as zeros.
// Accuracy: FP32, sums over i in order.
// Launch:   (heads x head_dim / 64, rows) work-groups of 64 items for the sequence that begins with the group's row,
//           an item a column; other groups have nothing to do.
// Moves:    8 bytes and 4 operations an element of the state and row.
// Why:      items read a state's row side by side; B and C are the same for all of them, and come from a cache.
#include "kernel.h"
#include "states.h"

typedef struct SelectiveScanArgs {
    long x;
    long steps;
    long bias;
    long rate;
    long skip;
    long groups;
    long heads;
    long head_dim;
    long state_dim;
    long state;
    StateRows rows;
    long out;
} SelectiveScanArgs;

KERNEL(DELTA_ITEMS) selective_scan(global const uchar* x, global const uchar* steps, global const uchar* biases,
                                   global const uchar* rates, global const uchar* skips, global uchar* state,
                                   global const uchar* data, global uchar* out, const SelectiveScanArgs a) {
    const long dim = a.head_dim;
    const int pieces = delta_groups((int)dim);
    const long head = (long)get_group_id(0) / pieces;
    const long column = (long)get_group_id(0) % pieces * DELTA_ITEMS + item();
    const long first = (long)get_group_id(1);
    const long count = sequence_rows(a.rows, data, first);
    if (column >= dim || count == 0) {
        return;
    }
    const float rate = READ(float, rates, a.rate)[head];
    const float bias = READ(float, biases, a.bias)[head];
    const float skip = READ(float, skips, a.skip)[head];
    const long slot = state_slot(a.rows, data, first);
    global float* s = WRITE(float, state, a.state) + (slot * a.heads + head) * a.state_dim * dim + column;
    const long columns = a.heads * dim + 2 * a.groups * a.state_dim;
    for (long row = first; row < first + count; row++) {
        global const float* of_row = READ(float, x, a.x) + row * columns;
        global const float* b = of_row + a.heads * dim + head / (a.heads / a.groups) * a.state_dim;
        global const float* c = b + a.groups * a.state_dim;
        const bool fresh = is_fresh(a.rows, data, row);
        const long at = row * a.heads + head;
        const float raw = READ(float, steps, a.steps)[at] + bias;
        const float step = raw > 20 ? raw : log1p(exp(raw));
        const float decay = exp(rate * step);
        const float value = of_row[head * dim + column];
        const float added = step * value;
        float sum = skip * value;
        for (long i = 0; i < a.state_dim; i++) {
            const float after = fma(b[i], added, fresh ? 0 : decay * s[i * dim]);
            s[i * dim] = after;
            sum = fma(c[i], after, sum);
        }
        WRITE(float, out, a.out)[at * dim + column] = sum;
    }
}
