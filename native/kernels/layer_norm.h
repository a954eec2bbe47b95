// Computes: out = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) weight + bias, of rows.
// Layout:   FP32 rows; out may be x; no bias where it is null.
// Requires: nothing.
//           A row whose sum, or whose sum of squares, is beyond FP32 is NaN.
// Accuracy: FP32 sums, one a lane, added in a fixed order. The mean is mended by the mean distance from it (few lanes
//           and thousands of columns far from zero lose three digits of it else), then taken off before squares are
//           summed.
// Launch:   one task some rows of about 4,096 elements.
// Moves:    20 bytes an element; 8 operations an element.
// Why:      a row is a few kilobytes in the first-level cache and read four times there.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

// The sum of what `element` makes of a row's elements; of lanes beyond the row's end nothing is added.
template <typename Function>
inline float sum_row(const float* x, int64_t columns, Function element) {
    F32 sums = zero();
    int64_t i = 0;
    for (; i + LANES <= columns; i += LANES) {
        sums = add(sums, element(load(x + i)));
    }
    float sum = reduce_add(sums);
    for (; i < columns; i++) {
        float rest[LANES];
        store(rest, element(set1(x[i])));
        sum += rest[0];
    }
    return sum;
}

inline void layer_norm_row(const LayerNormArgs& a, const float* x, float* out) {
    const float count = static_cast<float>(a.columns);
    const float rough = sum_row(x, a.columns, [](F32 value) { return value; }) / count;
    const float rest = sum_row(x, a.columns, [&](F32 value) { return sub(value, set1(rough)); }) / count;
    const F32 mean = set1(rough + rest);
    const float squares = sum_row(x, a.columns, [&](F32 value) {
        F32 distance = sub(value, mean);
        return mul(distance, distance);
    });
    float factor = 1 / __builtin_sqrtf(squares / count + a.epsilon);
    factor = factor == 0 ? __builtin_nanf("") : factor;
    for_lanes(0, a.columns, [&](int64_t j, int lanes) {
        F32 value = mul(mul(sub(load_lanes(x + j, lanes), mean), set1(factor)), load_lanes(a.weight + j, lanes));
        store_lanes(out + j, a.bias == nullptr ? value : add(value, load_lanes(a.bias + j, lanes)), lanes);
    });
}

inline void layer_norm(const Command& command, int task, Worker&) {
    const LayerNormArgs& a = command.layer_norm;
    int64_t rows = NORM_ELEMENTS / a.columns < 1 ? 1 : NORM_ELEMENTS / a.columns;
    int64_t last = (task + 1) * rows < a.rows ? (task + 1) * rows : a.rows;
    for (int64_t row = task * rows; row < last; row++) {
        layer_norm_row(a, a.x + row * a.columns, a.out + row * a.columns);
    }
}

}  // namespace demitasse::DM_ISA
