// Computes: out[r][n] = sum_k x[r][k] w[n][k] with FP32 activations, for every weight layout.
// Layout:   weights in panels of 16 rows (PackedMatrix); x rows in order; out [row][16] FP32 a panel.
// Requires: at most ROW_BLOCK rows.
// Accuracy: FP32; the sum of even columns and that of odd columns, added at the end, for any number of rows.
//           A row of x that is not finite gives NaN.
// Launch:   as linear.
// Moves:    weights once a block; 2 operations an element and row.
// Why:      two sums a register hide the latency of FMA for one row; with more, several rows share each loaded weight,
//           or loads and not FMA bind. Weights that are not FP32 are widened once for all rows of the block, 256
//           columns at a time, which stay in the first-level cache; one row or two widen 16-bit weights as they come
//           instead, so that reading them goes on all the time.
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

// How weights that are no integers lie in a panel, sixteen a column.
struct Fp32Weights {
    using Stored = float;
    static F32 load_lanes(const float* p) { return load(p); }
};
struct Fp16Weights {
    using Stored = uint16_t;
    static F32 load_lanes(const uint16_t* p) { return load_f16(p); }
};
struct Bf16Weights {
    using Stored = uint16_t;
    static F32 load_lanes(const uint16_t* p) { return load_bf16(p); }
};

template <class W>
inline const float* widen_words(const void* quants, int64_t at, int64_t count, float* scratch) {
    const uint16_t* words = static_cast<const uint16_t*>(quants) + at;
    for (int64_t i = 0; i < count; i += LANES) {
        // The next columns arrive while these are multiplied.
        __builtin_prefetch(words + i + FLOAT_COLUMNS * PANEL);
        store(scratch + i, W::load_lanes(words + i));
    }
    return scratch;
}

inline const float* widen(const Matrix& m, int64_t panel, int64_t from, int64_t to, float* scratch) {
    int64_t at = (panel * m.columns + from) * PANEL;
    int64_t count = (to - from) * PANEL;
    switch (m.element) {
        case Element::F32:
            return reinterpret_cast<const float*>(m.quants) + at;
        case Element::F16:
            return widen_words<Fp16Weights>(m.quants, at, count, scratch);
        case Element::BF16:
            return widen_words<Bf16Weights>(m.quants, at, count, scratch);
        default:
            widen_integers(m, panel, from, to, scratch);
            return scratch;
    }
}

// Adds columns to R rows' sums [row][even and odd][16]; from is even.
template <int R, class W>
inline void add_columns(const typename W::Stored* w, const float* x, int64_t stride, int64_t from, int64_t to,
                        float* sums) {
    constexpr int64_t AHEAD = PREFETCH_BYTES / sizeof(typename W::Stored);
    F32 s[R][2][REGISTERS];
    for (int r = 0; r < R; r++) {
        for (int i = 0; i < 2 * REGISTERS; i++) {
            s[r][i / REGISTERS][i % REGISTERS] = load(sums + (r * 2 * REGISTERS + i) * LANES);
        }
    }
    auto column = [&](int64_t k, int odd) __attribute__((always_inline)) {
        const typename W::Stored* at = w + (k - from) * PANEL;
        for (int v = 0; v < REGISTERS; v++) {
            F32 weights = W::load_lanes(at + v * LANES);
            for (int r = 0; r < R; r++) {
                s[r][odd][v] = fma(weights, set1(x[r * stride + k]), s[r][odd][v]);
            }
        }
    };
    int64_t k = from;
    for (; k + 2 <= to; k += 2) {
        __builtin_prefetch(w + (k - from) * PANEL + AHEAD);
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

// Rows that are summed together: a loaded weight serves them all. Their sums leave registers for weights and inputs, of
// 32 where a register is a panel's lanes, of 16 elsewhere.
constexpr int FLOAT_ROWS = REGISTERS == 1 ? 8 : REGISTERS == 2 ? 3 : 2;

// Adds columns to all rows' sums: by R rows, then by R / 2.
template <class W, int R = FLOAT_ROWS>
inline void add_to_rows(const typename W::Stored* w, const float* x, int64_t stride, int64_t rows, int64_t from,
                        int64_t to, float* sums) {
    for (; rows >= R; rows -= R) {
        add_columns<R, W>(w, x, stride, from, to, sums);
        x += R * stride;
        sums += R * 2 * PANEL;
    }
    if constexpr (R > 1) {
        if (rows > 0) {
            add_to_rows<W, R / 2>(w, x, stride, rows, from, to, sums);
        }
    }
}

// The sums of all rows, and all columns.
inline void add_columns(const Matrix& m, int64_t panel, const float* x, int64_t rows, float* sums, float* widened) {
    const int64_t first = panel * m.columns * PANEL;
    if (rows <= 2 && m.element == Element::F16) {
        const auto* words = reinterpret_cast<const uint16_t*>(m.quants) + first;
        add_to_rows<Fp16Weights>(words, x, m.columns, rows, 0, m.columns, sums);
        return;
    }
    if (rows <= 2 && m.element == Element::BF16) {
        const auto* words = reinterpret_cast<const uint16_t*>(m.quants) + first;
        add_to_rows<Bf16Weights>(words, x, m.columns, rows, 0, m.columns, sums);
        return;
    }
    for (int64_t from = 0; from < m.columns; from += FLOAT_COLUMNS) {
        int64_t to = from + FLOAT_COLUMNS < m.columns ? from + FLOAT_COLUMNS : m.columns;
        const float* w = widen(m, panel, from, to, widened);
        add_to_rows<Fp32Weights>(w, x, m.columns, rows, from, to, sums);
    }
}

// A block of rows by a panel; scratch: rows x 32 sums, then FLOAT_COLUMNS x 16 widened weights; out: rows x 16, the
// scratch's beginning.
inline float* gemm_float(const Matrix& m, int64_t panel, const float* x, int64_t rows, float* scratch) {
    float* widened = scratch + ROW_BLOCK * 2 * PANEL;
    for (int64_t i = 0; i < rows * 2 * PANEL; i += LANES) {
        store(scratch + i, zero());
    }
    add_columns(m, panel, x, rows, scratch, widened);
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
