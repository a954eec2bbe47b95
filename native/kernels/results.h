// Where the results of linear go.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

// `width` outputs of rows that lie `stride` results apart, and what is added to them.
struct Results {
    unsigned char* at;
    int64_t stride;
    const float* bias;  // or null
    int64_t width;
    OutputType type;

    // Those from row `row` on.
    Results from(int64_t row) const { return {at + row * stride * bytes(), stride, bias, width, type}; }
    int64_t bytes() const { return type == OutputType::F32 ? 4 : 2; }
};

// Those of some panels, from row `first` on.
inline Results results_of(const LinearArgs& a, int64_t panel, int64_t panels, int64_t first) {
    const int64_t outputs = a.matrix->rows;
    const int64_t n = panel * PANEL;
    const int64_t width = outputs - n < panels * PANEL ? outputs - n : panels * PANEL;
    const float* bias = a.bias == nullptr ? nullptr : a.bias + n;
    const Results row{static_cast<unsigned char*>(a.out), outputs, bias, width, a.type};
    return {row.from(first).at + n * row.bytes(), outputs, bias, width, a.type};
}

// `count` results of one row at `to`.
inline void store_row(OutputType type, void* to, F32 value, int count) {
    if (type == OutputType::F32) {
        store_lanes(static_cast<float*>(to), value, count);
        return;
    }
    uint16_t narrow[LANES];
    if (type == OutputType::F16) {
        store_f16(narrow, value);
    } else {
        store_bf16(narrow, value);
    }
    std::memcpy(to, narrow, static_cast<size_t>(count) * 2);
}

// Stores rows of FP32 sums that lie `stride` apart.
inline void store_results(const float* sums, int64_t stride, int64_t rows, const Results& out) {
    for (int64_t r = 0; r < rows; r++) {
        const float* from = sums + r * stride;
        unsigned char* to = out.from(r).at;
        for_lanes(0, out.width, [&](int64_t i, int n) {
            F32 value = load(from + i);
            value = out.bias == nullptr ? value : add(value, load_lanes(out.bias + i, n));
            store_row(out.type, to + i * out.bytes(), value, n);
        });
    }
}

}  // namespace demitasse::DM_ISA
