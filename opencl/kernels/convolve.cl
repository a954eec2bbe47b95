// Computes: causal convolution of each channel over its sequence's positions: bias[c], and the sum over k of
//           weight[k][c] x[t - kernel + 1 + k][c], positions before the first being zero; where wanted
//           v / (1 + exp(-v)) of that.
// Layout:   x and out rows x channels, weight kernel x channels, state slots x (kernel - 1) x channels, all FP32: of
//           each sequence the rows before those to come (states.h).
// Requires: a sequence's rows follow each other and what its state has seen; at position 0 the state counts as zeros.
// Accuracy: FP32, products added from the earliest position on.
// Launch:   (channels / 256, rows) work-groups of 256 items, an item a channel of all rows of the sequence that begins
//           with the group's row; other groups have nothing to do.
// Moves:    4 (kernel + 2) bytes an element, mostly from the cache; kernel products an element.
// Why:      bound by the launch where a sequence has one row. An item that has all rows of a channel writes the state
//           when no other needs the old one.
#include "kernel.h"
#include "states.h"

typedef struct ConvolveArgs {
    long x;
    long weight;
    long bias;  // or -1
    long channels;
    long kernel_rows;
    long silu;
    long state;
    StateRows rows;
    long out;
} ConvolveArgs;

KERNEL(ELEMENT_ITEMS) convolve(global const uchar* x, global const uchar* weight, global const uchar* bias,
                               global uchar* state, global const uchar* data, global uchar* out, const ConvolveArgs a) {
    const long channel = (long)get_global_id(0);
    const long first = (long)get_group_id(1);
    const long count = sequence_rows(a.rows, data, first);
    if (channel >= a.channels || count == 0) {
        return;
    }
    const long kept = a.kernel_rows - 1;
    const bool fresh = is_fresh(a.rows, data, first);
    global const float* in = READ(float, x, a.x) + first * a.channels + channel;
    global const float* w = READ(float, weight, a.weight) + channel;
    global float* before = WRITE(float, state, a.state) + state_slot(a.rows, data, first) * kept * a.channels + channel;
    global float* to = WRITE(float, out, a.out) + first * a.channels + channel;
    for (long row = 0; row < count; row++) {
        float sum = is_there(a.bias) ? READ(float, bias, a.bias)[channel] : 0;
        for (long k = 0; k <= kept; k++) {
            const long from = row - kept + k;
            const float value = from >= 0 ? in[from * a.channels] : fresh ? 0 : before[(kept + from) * a.channels];
            sum = fma(w[k * a.channels], value, sum);
        }
        to[row * a.channels] = a.silu != 0 ? sum / (1 + exp(-sum)) : sum;
    }
    for (long k = 0; k < kept; k++) {  // from the earliest on: what is read lies behind what is written
        const long from = count - kept + k;
        before[k * a.channels] = from >= 0 ? in[from * a.channels] : fresh ? 0 : before[(kept + from) * a.channels];
    }
}
