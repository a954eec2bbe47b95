// Computes: out[r][n] = sum_k x[r][k] w[n][k] with FP32 activations, for every weight layout.
// Layout:   weights in panels of 16 rows (PackedMatrix); x rows in order; out [row][16] FP32 a panel.
// Requires: at most ROW_BLOCK rows.
// Accuracy: FP32; the sum of even columns and that of odd columns, added at the end, for any number of rows.
//           A row of x that is not finite gives NaN.
// Launch:   as linear.
// Moves:    weights once a block; 2 operations an element and row.
// Why:      two sums a register hide the latency of FMA for one row; weights that are not FP32 are widened once for all
//           rows of the block, 256 columns at a time, which stay in the first-level cache.
#pragma once

#include "integer_weights.h"

namespace demitasse::DM_ISA {

// Columns [from, to) of a panel as FP32, [column][16].
inline void widen_integers(const Matrix& m, int64_t panel, int64_t from, int64_t to, float* out) {
    for (int r = 0; r < PANEL; r++) {
        IntegerRow row(m, panel, r);
        for (int64_t k = from; k < to; k++) {
            out[(k - from) * PANEL + r] = row(k);
        }
    }
}

inline const float* widen(const Matrix& m, int64_t panel, int64_t from, int64_t to, float* scratch) {
    int64_t at = (panel * m.columns + from) * PANEL;
    int64_t count = (to - from) * PANEL;
    switch (m.element) {
        case Element::F32:
            return reinterpret_cast<const float*>(m.quants) + at;
        case Element::F16:
            for (int64_t i = 0; i < count; i += LANES) {
                store(scratch + i, load_f16(reinterpret_cast<const uint16_t*>(m.quants) + at + i));
            }
            return scratch;
        case Element::BF16:
            for (int64_t i = 0; i < count; i += LANES) {
                store(scratch + i, load_bf16(reinterpret_cast<const uint16_t*>(m.quants) + at + i));
            }
            return scratch;
        default:
            widen_integers(m, panel, from, to, scratch);
            return scratch;
    }
}

// Adds columns to R rows' sums [row][even and odd][16]; from is even.
template <int R>
inline void add_columns(const float* w, const float* x, int64_t stride, int64_t from, int64_t to, float* sums) {
    F32 s[R][2][REGISTERS];
    for (int r = 0; r < R; r++) {
        for (int i = 0; i < 2 * REGISTERS; i++) {
            s[r][i / REGISTERS][i % REGISTERS] = load(sums + (r * 2 * REGISTERS + i) * LANES);
        }
    }
    auto column = [&](int64_t k, int odd) __attribute__((always_inline)) {
        for (int v = 0; v < REGISTERS; v++) {
            F32 weights = load(w + (k - from) * PANEL + v * LANES);
            for (int r = 0; r < R; r++) {
                s[r][odd][v] = fma(weights, set1(x[r * stride + k]), s[r][odd][v]);
            }
        }
    };
    int64_t k = from;
    for (; k + 2 <= to; k += 2) {
        column(k, 0);
        column(k + 1, 1);
    }
    if (k < to) {
        column(k, 0);
    }
    for (int r = 0; r < R; r++) {
        for (int i = 0; i < 2 * REGISTERS; i++) {
            store(sums + (r * 2 * REGISTERS + i) * LANES, s[r][i / REGISTERS][i % REGISTERS]);
        }
    }
}

// A block of rows by a panel; scratch: rows x 32 sums, then FLOAT_COLUMNS x 16 widened weights; out: rows x 16, the
// scratch's beginning.
inline float* gemm_float(const Matrix& m, int64_t panel, const float* x, int64_t rows, float* scratch) {
    float* widened = scratch + ROW_BLOCK * 2 * PANEL;
    for (int64_t i = 0; i < rows * 2 * PANEL; i += LANES) {
        store(scratch + i, zero());
    }
    for (int64_t from = 0; from < m.columns; from += FLOAT_COLUMNS) {
        int64_t to = from + FLOAT_COLUMNS < m.columns ? from + FLOAT_COLUMNS : m.columns;
        const float* w = widen(m, panel, from, to, widened);
        int64_t r = 0;
        for (; r + 2 <= rows; r += 2) {
            add_columns<2>(w, x + r * m.columns, m.columns, from, to, scratch + r * 2 * PANEL);
        }
        if (r < rows) {
            add_columns<1>(w, x + r * m.columns, m.columns, from, to, scratch + r * 2 * PANEL);
        }
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int v = 0; v < REGISTERS; v++) {
            const float* sums = scratch + r * 2 * PANEL + v * LANES;
            store(scratch + r * PANEL + v * LANES, add(load(sums), load(sums + PANEL)));
        }
        // An infinity in x makes every sum infinite or NaN, so that rows need no look unless a sum is.
        float* out = scratch + r * PANEL;
        if (!all_finite(out, PANEL) && !all_finite(x + r * m.columns, m.columns)) {
            for (int v = 0; v < REGISTERS; v++) {
                store(out + v * LANES, set1(__builtin_nanf("")));
            }
        }
    }
    return scratch;
}

}  // namespace demitasse::DM_ISA
