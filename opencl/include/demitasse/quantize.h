// Activations as INT8, written by a kernel of their own or by the one that makes them: q = round(x (127 / max|x|)),
// ties to even, in rows (weights.h), with the scale max|x| / 127 and the sums of each 16 columns. Where 127 / max|x|
// is infinite (max|x| below 3.7e-37) numbers count as zeros, with scale 0; where one is NaN or infinite the integers
// are 0 and the scale is NaN, which makes all results of the row NaN.
#include "weights.h"

// Where rows of activations go as integers.
typedef struct QuantizedRows {
    long q;
    long groups;
    long padded;   // columns with padding
    long per_row;  // 1: a row has one scale, which its groups repeat
} QuantizedRows;

// What numbers of which the largest magnitude is known are multiplied by and rounded, and what stands for one of the
// results; 0 and 0, or 0 and NaN, where they cannot be.
typedef struct Rounding {
    float inverse;
    float scale;
} Rounding;

Rounding rounding_of(float largest, float limit) {
    Rounding rounding;
    rounding.inverse = divide(limit, largest);
    rounding.scale = divide(largest, limit);
    if (!(rounding.inverse > 0 && is_finite(rounding.inverse))) {
        rounding.inverse = 0;
        rounding.scale = largest < 1 ? 0 : not_a_number();
    }
    return rounding;
}

// An item has four columns, eight items a group of 32. Stores those of the columns k to k + 3 that there are.
void store_columns(global float* row, int k, int columns, float4 x) {
    if (k + 4 <= columns) {
        vstore4(x, 0, row + k);
        return;
    }
    if (k < columns) {
        row[k] = x.x;
    }
    if (k + 1 < columns) {
        row[k + 1] = x.y;
    }
    if (k + 2 < columns) {
        row[k + 2] = x.z;
    }
}

float largest_of(float4 x) {
    return larger_magnitude(larger_magnitude(larger_magnitude(larger_magnitude(0, x.x), x.y), x.z), x.w);
}

// The largest magnitude of the group of which the item has four columns; NaN where one is. All items of a work-group
// call it; `shared` has a float for each.
float group_magnitude(float4 x, local float* shared) {
    barrier(CLK_LOCAL_MEM_FENCE);
    shared[item()] = largest_of(x);
    barrier(CLK_LOCAL_MEM_FENCE);
    const int first = item() / 8 * 8;
    float largest = 0;
    for (int i = 0; i < 8; i++) {
        largest = larger_magnitude(largest, shared[first + i]);
    }
    return largest;
}

int4 rounded(Rounding rounding, float4 x) {
    return rounding.inverse == 0 ? (int4)(0) : convert_int4_rte(x * rounding.inverse);
}

uint bytes_of(int4 q) {
    return ((uint)q.x & 0xFF) | ((uint)q.y & 0xFF) << 8 | ((uint)q.z & 0xFF) << 16 | ((uint)q.w & 0xFF) << 24;
}

// The items of a work-group store columns of a row, each those from k on, as far as there are padded ones;
// `row_largest` where the row has one scale. All of them call it.
void store_quantized(global uchar* memory, QuantizedRows to, long row, int k, float4 x, float row_largest,
                     local float* shared) {
    const float group = group_magnitude(x, shared);
    const Rounding rounding = rounding_of(to.per_row != 0 ? row_largest : group, 127);
    const int4 q = rounded(rounding, x);
    barrier(CLK_LOCAL_MEM_FENCE);
    local int* sums = (local int*)shared;
    sums[item()] = q.x + q.y + q.z + q.w;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (k >= to.padded) {
        return;
    }
    *WRITE(uint, memory, to.q + row * to.padded + k) = bytes_of(q);
    if (k % INPUT_GROUP == 0) {
        const int i = item();
        const int first = sums[i] + sums[i + 1] + sums[i + 2] + sums[i + 3];
        const int second = sums[i + 4] + sums[i + 5] + sums[i + 6] + sums[i + 7];
        global InputGroup* to_group = WRITE(InputGroup, memory, to.groups) + (row * to.padded + k) / INPUT_GROUP;
        to_group->scale = rounding.scale;
        to_group->sums16 = ((uint)first & 0xFFFF) | (uint)second << 16;
    }
}
