// Computes: out = x / sqrt(mean(x^2) + epsilon) weight, of every row; where wanted x += addend before it. NaN in the
//           whole row where the sum of squares is beyond FP32. Where wanted it also quantizes what it writes.
// Layout:   x, addend and out rows x columns FP32; integers as quantize.h says. Row r has the weights of group r mod
//           groups.
// Requires: nothing; the integers' padded columns are a multiple of 32.
// Accuracy: FP32; an item sums its columns in order, items are added in a fixed order. The bits of add, rms_norm and
//           quantize_rows one after the other.
// Launch:   a work-group of 256 items a row; an item has four columns of each 1,024.
// Moves:    8 bytes read (16 with an addend) and 4 written an element, and 4 for its sum, 1.25 for its integer.
// Why:      bound by the launch and by latency: a row is one work-group's, and what follows on the same row is done on
//           the way. An item reads again what it has written itself.
#include "quantize.h"

typedef struct RmsNormArgs {
    long x;
    long weight;
    long groups;
    long columns;
    Real epsilon;
    long out;
    long addend;  // or -1: is added to x first, in place
    QuantizedRows quantized;
} RmsNormArgs;

// QUANTIZES 0: no integers, 1: by groups, 2: by rows.
KERNEL(NORM_ITEMS) rms_norm(global uchar* x, global const uchar* weight, global uchar* out, global const uchar* addend,
                            global uchar* integers, const RmsNormArgs a) {
    local float shared[NORM_ITEMS];
    const long row = (long)get_group_id(0);
    const int columns = (int)a.columns;
    global float* from = WRITE(float, x, a.x) + row * a.columns;
    global float* to = WRITE(float, out, a.out) + row * a.columns;
    global const float* weights = READ(float, weight, a.weight) + row % a.groups * a.columns;
    float sum = 0;
    for (int k = item() * 4; k < columns; k += NORM_ITEMS * 4) {
        float4 values = load_columns(from, k, columns);
        if (is_there(a.addend)) {
            values += load_columns(READ(float, addend, a.addend) + row * a.columns, k, columns);
            store_columns(from, k, columns, values);
        }
        sum = fma(values.x, values.x, sum);
        sum = fma(values.y, values.y, sum);
        sum = fma(values.z, values.z, sum);
        sum = fma(values.w, values.w, sum);
    }
    sum = group_sum(sum, shared);
    const float factor = is_finite(sum) ? 1 / sqrt(sum / (float)a.columns + a.epsilon.value) : not_a_number();
    float largest = 0;
#if QUANTIZES == 2
    for (int k = item() * 4; k < columns; k += NORM_ITEMS * 4) {
        const float4 values = load_columns(from, k, columns) * factor * load_columns(weights, k, columns);
        largest = larger_magnitude(largest, largest_of(values));
    }
    largest = group_largest(largest, shared);
#endif
    const int end = QUANTIZES ? (int)a.quantized.padded : columns;
    for (int at = 0; at < end; at += NORM_ITEMS * 4) {
        const int k = at + item() * 4;
        const float4 values = load_columns(from, k, columns) * factor * load_columns(weights, k, columns);
        store_columns(to, k, columns, values);
#if QUANTIZES
        store_quantized(integers, a.quantized, row, k, values, largest, shared);
#endif
    }
}
