// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n]; weights in FP32, FP16 or BF16 (ELEMENT 0, 1, 2).
// Layout:   weights' rows in order, each padded to 16 bytes with zeros; x FP32 rows in order; out as output.h says. A
//           row of x that is not finite gives NaN.
// Requires: nothing.
// Accuracy: FP32; an item sums its columns in order, items are added in a fixed order: a row has the same bits in any
//           number of rows.
// Launch:   (outputs / 4, rows / ROWS) work-groups of 64 items; sixteen have an output.
// Moves:    weights once for each ROWS rows; 2 operations an element and row.
// Why:      bound by memory: 16 bytes an item, side by side.
#include "output.h"

typedef struct FloatLinearArgs {
    long weights;
    long stride;  // bytes of a row
    long outputs;
    long columns;
    long x;
    long rows;
    long bias;
    long out;
    long out_type;
} FloatLinearArgs;

#define ITEMS_OF_OUTPUT (FLOAT_GEMV_ITEMS / FLOAT_GEMV_OUTPUTS)
#define COUNT (ELEMENT == 0 ? 4 : 8)  // elements of 16 bytes

float weight_at(global const uchar* at, int i) {
#if ELEMENT == 0
    return ((global const float*)at)[i];
#elif ELEMENT == 1
    return vload_half((size_t)i, (global const half*)at);
#else
    return bf16_to_float(((global const ushort*)at)[i]);
#endif
}

KERNEL(FLOAT_GEMV_ITEMS) gemv_float(global const uchar* x, global const uchar* weights, global const uchar* bias,
                                    global uchar* out, const FloatLinearArgs a) {
    local float shared[ROWS][FLOAT_GEMV_ITEMS];
    const long output = (long)get_group_id(0) * FLOAT_GEMV_OUTPUTS + item() / ITEMS_OF_OUTPUT;
    const int first_row = (int)get_group_id(1) * ROWS;
    float sums[ROWS];
    for (int r = 0; r < ROWS; r++) {
        sums[r] = 0;
    }
    const long row_of_weights = a.weights + min(output, a.outputs - 1) * a.stride;
    for (long at = item() % ITEMS_OF_OUTPUT * 16; at < a.stride; at += ITEMS_OF_OUTPUT * 16) {
        const int column = (int)(at / 16) * COUNT;
        for (int i = 0; i < COUNT; i++) {
            if (column + i < a.columns) {
                const float weight = weight_at(weights + row_of_weights + at, i);
                for (int r = 0; r < ROWS; r++) {
                    const long row = min(first_row + r, (int)a.rows - 1);
                    sums[r] = fma(weight, READ(float, x, a.x)[row * a.columns + column + i], sums[r]);
                }
            }
        }
    }
    for (int r = 0; r < ROWS; r++) {
        shared[r][item()] = sums[r];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const int row = first_row + item() % ITEMS_OF_OUTPUT;
    if (item() % ITEMS_OF_OUTPUT >= ROWS || row >= a.rows || output >= a.outputs) {
        return;
    }
    local const float* parts = shared[item() % ITEMS_OF_OUTPUT] + item() / ITEMS_OF_OUTPUT * ITEMS_OF_OUTPUT;
    float sum = 0;
    for (int i = 0; i < ITEMS_OF_OUTPUT; i++) {
        sum += parts[i];
    }
    if (!is_finite(sum) && has_non_finite(READ(float, x, a.x) + row * a.columns, a.columns)) {
        sum = not_a_number();
    }
    store_output(out, a.out, a.out_type, row * a.outputs + output,
                 is_there(a.bias) ? sum + READ(float, bias, a.bias)[output] : sum);
}
