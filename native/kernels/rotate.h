// Computes: every run of n elements of a head becomes H x / sqrt(n), with H[i][k] = (-1)^popcount(i & k) and n the
//           largest power of two that divides head_dim (Hadamard; the fast Walsh transform).
// Layout:   x [row][head][element] FP32, in place.
// Requires: nothing of head_dim: an odd one stays as it is.
// Accuracy: FP32, log2(n) sums and a product an element.
// Launch:   one task sixteen rows.
// Moves:    8 bytes an element; log2(n) operations an element.
// Why:      less than a hundredth of what attention over a short cache costs; strides that the compiler knows become
//           shuffles.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

// Sums and differences of elements STRIDE apart.
template <int STRIDE>
inline void butterflies(float* x, int64_t count) {
    for (int64_t i = 0; i < count; i += 2 * STRIDE) {
        for (int k = 0; k < STRIDE; k++) {
            const float a = x[i + k];
            const float b = x[i + k + STRIDE];
            x[i + k] = a + b;
            x[i + k + STRIDE] = a - b;
        }
    }
}

inline void rotate_run(float* x, int64_t n, float factor) {
    for (int64_t i = 0; i < n; i++) {
        x[i] *= factor;
    }
    int64_t stride = 1;
    if (n >= 16) {
        butterflies<1>(x, n);
        butterflies<2>(x, n);
        butterflies<4>(x, n);
        butterflies<8>(x, n);
        stride = 16;
    }
    for (; stride < n; stride *= 2) {
        for (int64_t i = 0; i < n; i += 2 * stride) {
            for_lanes(0, stride, [&](int64_t k, int count) {
                float* low = x + i + k;
                float* high = low + stride;
                const F32 a = load_lanes(low, count);
                const F32 b = load_lanes(high, count);
                store_lanes(low, add(a, b), count);
                store_lanes(high, sub(a, b), count);
            });
        }
    }
}

inline void rotate(const Command& command, int task, Worker&) {
    const RotateArgs& a = command.rotate;
    const int64_t n = a.head_dim & -a.head_dim;
    const int64_t row = a.heads * a.head_dim;
    const int64_t from = task * ROTATE_ROWS;
    const int64_t to = from + ROTATE_ROWS < a.rows ? from + ROTATE_ROWS : a.rows;
    const float factor = static_cast<float>(1 / __builtin_sqrt(static_cast<double>(n)));
    for (int64_t at = from * row; at < to * row; at += n) {
        rotate_run(a.x + at, n, factor);
    }
}

}  // namespace demitasse::DM_ISA
