// Rotation of heads by a Hadamard matrix (Device.rotate): every run of n elements, n the largest power of two that
// divides the head's, becomes H x / sqrt(n), by the fast Walsh transform.
#include "kernel.h"

// The largest power of two that divides a head's elements.
int rotation_run(int dim) { return dim & -dim; }

// What elements are multiplied by before.
float rotation_factor(int n) {
    const int exponent = 31 - (int)clz((uint)n);
    return as_float((127 - exponent / 2) << 23) * (exponent % 2 != 0 ? 0.70710678f : 1.0f);
}

// All items of a work-group rotate the `dim` elements at x, which have been multiplied already.
void rotate_head(local float* x, int dim, int items) {
    const int n = rotation_run(dim);
    for (int stride = 1; stride < n; stride *= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = item(); i < dim / 2; i += items) {
            const int low = i / stride * 2 * stride + i % stride;
            const float a = x[low];
            const float b = x[low + stride];
            x[low] = a + b;
            x[low + stride] = a - b;
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}
