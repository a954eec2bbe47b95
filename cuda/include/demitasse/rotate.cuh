// Rotation of heads by a Hadamard matrix (Device.rotate): every run of n elements, n the largest power of two that
// divides the head's, becomes H x / sqrt(n), by the fast Walsh transform.
#pragma once

#include "demitasse/kernel.cuh"

namespace demitasse {

// What elements are multiplied by before: 1 / sqrt(n).
DEVICE float rotation_factor(int n) {
    const int exponent = 31 - __clz(n);
    return __uint_as_float(static_cast<uint32_t>(127 - exponent / 2) << 23) * (exponent % 2 != 0 ? 0.70710678f : 1.0f);
}

// A warp's head: lane l has elements l, l + 32 and on.
template <int COUNT>
DEVICE void rotate_head(float (&x)[COUNT], int n) {
    const float factor = rotation_factor(n);
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        x[i] *= factor;
    }
#pragma unroll
    for (int stride = 1; stride < 32; stride *= 2) {
        if (stride < n) {
            const bool upper = (lane() & stride) != 0;
#pragma unroll
            for (int i = 0; i < COUNT; i++) {
                const float other = __shfl_xor_sync(ALL_LANES, x[i], stride);
                x[i] = upper ? other - x[i] : x[i] + other;
            }
        }
    }
#pragma unroll
    for (int stride = 1; stride < COUNT; stride *= 2) {
        if (32 * stride < n) {
#pragma unroll
            for (int i = 0; i < COUNT; i++) {
                if ((i & stride) == 0 && i + stride < COUNT) {  // beyond, runs are shorter
                    const float low = x[i];
                    const float high = x[i + stride];
                    x[i] = low + high;
                    x[i + stride] = low - high;
                }
            }
        }
    }
}

// Elements of a head, zeros beyond its end.
template <int COUNT>
DEVICE void load_head(float (&x)[COUNT], const float* head, int dim) {
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        const int d = i * 32 + lane();
        x[i] = d < dim ? head[d] : 0;
    }
}

template <int COUNT>
DEVICE void store_head(float* head, const float (&x)[COUNT], int dim) {
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        const int d = i * 32 + lane();
        if (d < dim) {
            head[d] = x[i];
        }
    }
}

}  // namespace demitasse
