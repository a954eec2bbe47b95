// Computes: out = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) weight + bias, of every row. NaN in the whole
//           row where its sum or its sum of squares is beyond FP32.
// Layout:   rows x columns FP32; out may be x; no bias where its offset is -1.
// Requires: nothing.
// Accuracy: FP32; an item sums its columns in order, items are added in a fixed order; the mean is taken off before
//           squares are summed.
// Launch:   a work-group of 256 items a row.
// Moves:    12 bytes read and 4 written an element.
// Why:      bound by the launch and by latency: a row is one work-group's. Few models have such norms, so that nothing
//           is fused with it.
#include "kernel.h"

typedef struct LayerNormArgs {
    long x;
    long weight;
    long bias;  // or -1
    long columns;
    Real epsilon;
    long out;
} LayerNormArgs;

KERNEL(NORM_ITEMS) layer_norm(global uchar* x, global const uchar* weight, global const uchar* bias, global uchar* out,
                              const LayerNormArgs a) {
    local float shared[NORM_ITEMS];
    const long first = (long)get_group_id(0) * a.columns;
    global const float* from = READ(float, x, a.x) + first;
    global float* to = WRITE(float, out, a.out) + first;
    const float count = (float)a.columns;
    float sum = 0;
    for (long k = item(); k < a.columns; k += NORM_ITEMS) {
        sum += from[k];
    }
    const float mean = group_sum(sum, shared) / count;
    sum = 0;
    for (long k = item(); k < a.columns; k += NORM_ITEMS) {
        const float distance = from[k] - mean;
        sum = fma(distance, distance, sum);
    }
    const float squares = group_sum(sum, shared);
    const float factor = is_finite(squares) ? 1 / sqrt(squares / count + a.epsilon.value) : not_a_number();
    for (long k = item(); k < a.columns; k += NORM_ITEMS) {
        const float value = (from[k] - mean) * factor * READ(float, weight, a.weight)[k];
        to[k] = is_there(a.bias) ? value + READ(float, bias, a.bias)[k] : value;
    }
}
