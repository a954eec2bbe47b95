// Computes: out = x / sqrt(mean(x^2) + epsilon) weight, of rows.
// Layout:   FP32 rows; out may be x. Row r has the weights of group r mod groups.
// Requires: nothing.
//           A row whose sum of squares is beyond FP32 is NaN.
// Accuracy: four FP32 sums of squares, added in a fixed order.
// Launch:   one task some rows of about 4,096 elements.
// Moves:    12 bytes an element; 4 operations an element.
// Why:      a row is a few kilobytes in the first-level cache; four sums hide the latency of FMA.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

inline void rms_norm_row(const float* x, const float* weight, int64_t columns, float epsilon, float* out) {
    F32 s[4] = {zero(), zero(), zero(), zero()};
    int64_t i = 0;
    for (; i + 4 * LANES <= columns; i += 4 * LANES) {
        for (int j = 0; j < 4; j++) {
            F32 value = load(x + i + j * LANES);
            s[j] = fma(value, value, s[j]);
        }
    }
    float sum = reduce_add(add(add(s[0], s[1]), add(s[2], s[3])));
    for (; i < columns; i++) {
        sum += x[i] * x[i];
    }
    float factor = 1 / __builtin_sqrtf(sum / static_cast<float>(columns) + epsilon);
    factor = factor == 0 ? __builtin_nanf("") : factor;
    for_lanes(0, columns, [&](int64_t j, int count) {
        F32 value = mul(mul(load_lanes(x + j, count), set1(factor)), load_lanes(weight + j, count));
        store_lanes(out + j, value, count);
    });
}

inline void rms_norm(const Command& command, int task, Worker&) {
    const RmsNormArgs& a = command.rms_norm;
    int64_t rows = NORM_ELEMENTS / a.columns < 1 ? 1 : NORM_ELEMENTS / a.columns;
    int64_t last = (task + 1) * rows < a.rows ? (task + 1) * rows : a.rows;
    for (int64_t row = task * rows; row < last; row++) {
        rms_norm_row(a.x + row * a.columns, a.weight + row % a.groups * a.columns, a.columns, a.epsilon,
                     a.out + row * a.columns);
    }
}

}  // namespace demitasse::DM_ISA
