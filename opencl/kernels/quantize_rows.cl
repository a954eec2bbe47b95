// Computes: INT8 activations per group of 32 columns, or per row (quantize.h); with GATHERED of the rows
//           out[i] = x[ids[i]], or factors[i] x[ids[i]], which it also stores.
// Layout:   x rows in order; integers in rows, with their groups (weights.h), or with plain scales [row][columns / 32].
// Requires: columns with padding a multiple of 32. ids within x, which out does not overlap.
// Accuracy: the reference's integers exactly; rows as gather_rows has them.
// Launch:   (work-groups that share a row's groups, rows) of 128 items; one where a row has one scale. An item has four
//           columns.
// Moves:    4 bytes read (8 where a row has one scale) and 1.25 written a column; 4 more written
//           of rows that are gathered.
// Why:      bound by memory and by the launch. Kernels that make activations do the same as they write them; this one
//           is for those of other kernels.
#include "quantize.h"

typedef struct QuantizeRowsArgs {
    long x;
    long columns;
    long plain;   // rows with plain scales
    long scales;  // of those
    QuantizedRows to;
    long ids;      // with GATHERED: rows of x
    long factors;  // of rows, or -1
    long out;      // where rows go
} QuantizeRowsArgs;

// Stores columns in order; all items call it.
void store_plain(global uchar* integers, global uchar* scales, const QuantizeRowsArgs* a, long row, int k, float4 x,
                 local float* shared) {
    const Rounding rounding = rounding_of(group_magnitude(x, shared), 127);
    const long at = row * a->columns + k;
    if (k < a->columns) {
        *WRITE(uint, integers, a->plain + at) = bytes_of(rounded(rounding, x));
        if (k % INPUT_GROUP == 0) {
            WRITE(float, scales, a->scales)[at / INPUT_GROUP] = rounding.scale;
        }
    }
}

#if GATHERED
#define ROWS_TO_GATHER , global const uchar *ids, global const uchar *factors, global uchar *out
#else
#define ROWS_TO_GATHER
#endif

// PLAIN 1: plain scales, 0: groups; `integers` is the buffer of either. PER_ROW 1: a row has one scale. GATHERED 1:
// rows are gathered before.
KERNEL(QUANTIZE_ITEMS) quantize_rows(global const uchar* x, global uchar* integers, global uchar* scales ROWS_TO_GATHER,
                                     const QuantizeRowsArgs a) {
    local float shared[QUANTIZE_ITEMS];
    const long row = (long)get_group_id(1);
#if GATHERED
    global const float* from = READ(float, x, a.x) + READ(int, ids, a.ids)[row] * a.columns;
    const bool weighted = is_there(a.factors);
    const float factor = weighted ? READ(float, factors, a.factors)[row] : 1;
#define LOAD(k) (weighted ? factor * load_columns(from, k, columns) : load_columns(from, k, columns))
#else
    global const float* from = READ(float, x, a.x) + row * a.columns;
#define LOAD(k) load_columns(from, k, columns)
#endif
    const int columns = (int)a.columns;
    const int end = (int)(PLAIN ? a.columns : a.to.padded);
    const int step = (int)get_num_groups(0) * QUANTIZE_COLUMNS;
    const int first = (int)get_group_id(0) * QUANTIZE_COLUMNS;
    float largest = 0;
#if PER_ROW
    for (int k = item() * 4; k < columns; k += QUANTIZE_COLUMNS) {
        largest = larger_magnitude(largest, largest_of(LOAD(k)));
    }
    largest = group_largest(largest, shared);
#endif
    for (int at = first; at < end; at += step) {
        const int k = at + item() * 4;
        const float4 values = LOAD(k);
#if GATHERED
        store_columns(WRITE(float, out, a.out) + row * a.columns, k, columns, values);
#endif
#if PLAIN
        store_plain(integers, scales, &a, row, k, values, shared);
#else
        store_quantized(integers, a.to, row, k, values, largest, shared);
#endif
    }
}
