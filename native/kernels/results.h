// Where the results of linear go.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

// `width` outputs of rows that lie `stride` apart, and what is added to them.
struct Results {
    float* at;
    int64_t stride;
    const float* bias;  // or null
    int64_t width;
};

// Those of some panels, from row `first` on.
inline Results results_of(const LinearArgs& a, int64_t panel, int64_t panels, int64_t first) {
    const int64_t outputs = a.matrix->rows;
    const int64_t n = panel * PANEL;
    const int64_t width = outputs - n < panels * PANEL ? outputs - n : panels * PANEL;
    return {a.out + first * outputs + n, outputs, a.bias == nullptr ? nullptr : a.bias + n, width};
}

// Stores rows of FP32 sums that lie `stride` apart.
inline void store_results(const float* sums, int64_t stride, int64_t rows, const Results& out) {
    for (int64_t r = 0; r < rows; r++) {
        const float* from = sums + r * stride;
        float* to = out.at + r * out.stride;
        for_lanes(0, out.width, [&](int64_t i, int n) {
            F32 value = load(from + i);
            store_lanes(to + i, out.bias == nullptr ? value : add(value, load_lanes(out.bias + i, n)), n);
        });
    }
}

}  // namespace demitasse::DM_ISA
