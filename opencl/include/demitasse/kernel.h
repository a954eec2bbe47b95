// What all kernels share. OpenCL C 1.2; what a device has beyond it comes as macros from Java (`Programs`).
//
//   KERNEL(items) name(...)      a kernel whose work-groups have so many items along the first dimension
//   READ, WRITE(type, memory, offset)   a place in a buffer
//
// A kernel takes the buffers that it reads and writes, and one structure of 64-bit words: offsets into those buffers in
// bytes, -1 for what is not there; integers; and FP32 numbers in a word's low 32 bits. Nothing is contracted but by
// `fma`, so that the same work has the same bits in every kernel. Whether a loop's round meets a barrier is never a
// question of a kernel's arguments but of a macro: PoCL 3.1 writes beyond buffers where it is. How many rounds there
// are may be one.
#pragma OPENCL FP_CONTRACT OFF

#define KERNEL(items) kernel __attribute__((reqd_work_group_size(items, 1, 1))) void
#define READ(type, memory, offset) ((global const type*)((memory) + (offset)))
#define WRITE(type, memory, offset) ((global type*)((memory) + (offset)))

#define JOIN_WORDS(a, b) a##b
#define JOIN(a, b) JOIN_WORDS(a, b)

#include "launch.h"

typedef struct Real {
    float value;
    float unused;
} Real;

bool is_there(long offset) { return offset >= 0; }

// Of a work-group's items, of which all kernels have one dimension.
int item(void) { return (int)get_local_id(0); }

// Whether a number is neither NaN nor infinite.
bool is_finite(float x) { return (as_uint(x) & 0x7F800000u) != 0x7F800000u; }

float not_a_number(void) { return as_float(0x7FFFFFFFu); }

// a / b, rounded to nearest, also where the device's own division is not: the residual is exact.
float divide(float a, float b) {
    const float quotient = a / b;
#ifndef CORRECT_DIVISION
    if (is_finite(quotient) && quotient != 0 && is_finite(b)) {
        return quotient + fma(-quotient, b, a) / b;
    }
#endif
    return quotient;
}

// The larger of a magnitude and that of x; NaN where one is: bits of magnitudes are ordered as integers, and NaN is the
// largest.
float larger_magnitude(float magnitude, float x) {
    const uint a = as_uint(magnitude);
    const uint b = as_uint(x) & 0x7FFFFFFFu;
    return as_float(a > b ? a : b);
}

// Whether a row of `columns` activations has an element that is not finite. Called only where a sum of the row is not
// finite, as every sum is then.
bool has_non_finite(global const float* x, long columns) {
    for (long k = 0; k < columns; k++) {
        if (!is_finite(x[k])) {
            return true;
        }
    }
    return false;
}

// Columns k to k + 3 of a row of `columns`; zeros beyond its end.
float4 load_columns(global const float* row, int k, int columns) {
    if (k + 4 <= columns) {
        return vload4(0, row + k);
    }
    float4 x = 0;
    x.x = k < columns ? row[k] : 0;
    x.y = k + 1 < columns ? row[k + 1] : 0;
    x.z = k + 2 < columns ? row[k + 2] : 0;
    return x;
}

// ---- what all items of a work-group of a power of two of them have together; `shared` has a number for each

// `value` becomes that of all items, folded pairwise; of any type.
#define REDUCE_TREE(value, both)                                                        \
    barrier(CLK_LOCAL_MEM_FENCE);                                                       \
    shared[item()] = value;                                                             \
    barrier(CLK_LOCAL_MEM_FENCE);                                                       \
    for (int distance = (int)get_local_size(0) / 2; distance > 0; distance /= 2) {      \
        if (item() < distance) {                                                        \
            shared[item()] = both(shared[item()], shared[item() + distance]);           \
        }                                                                               \
        barrier(CLK_LOCAL_MEM_FENCE);                                                   \
    }                                                                                   \
    value = shared[0];

#if defined(SUBGROUPS) && !defined(NO_SUBGROUPS)
#pragma OPENCL EXTENSION cl_khr_subgroups : enable
#pragma OPENCL EXTENSION cl_khr_subgroup_shuffle : enable

// Subgroups exchange by shuffles, so that a work-group meets two barriers. Eight items at a time, as every subgroup of
// a GPU has them, in the items' order: compilers choose a subgroup's size for each kernel, and sums shall have one
// order.
#define REDUCE(value, both)                                                             \
    const uint width = min(get_sub_group_size(), 8u);                                   \
    for (uint distance = width / 2; distance > 0; distance /= 2) {                      \
        const float other = sub_group_shuffle_xor(value, distance);                     \
        value = both(value, other);                                                     \
    }                                                                                   \
    barrier(CLK_LOCAL_MEM_FENCE);                                                       \
    if (get_sub_group_local_id() % width == 0) {                                        \
        shared[(uint)item() / width] = value;                                           \
    }                                                                                   \
    barrier(CLK_LOCAL_MEM_FENCE);                                                       \
    value = shared[0];                                                                  \
    for (uint i = 1; i < (uint)get_local_size(0) / width; i++) {                        \
        value = both(value, shared[i]);                                                 \
    }

#else
#define REDUCE REDUCE_TREE
#endif

#define SUM_OF(a, b) ((a) + (b))

// The sum, always in the same order.
float group_sum(float value, local float* shared) {
    REDUCE(value, SUM_OF)
    return value;
}

// The largest magnitude; NaN where one is.
float group_largest(float value, local float* shared) {
    value = larger_magnitude(0, value);
    REDUCE(value, larger_magnitude)
    return value;
}
