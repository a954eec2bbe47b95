// Computes: the selective state space of Mamba 2 (Dao and Gu, "Transformers are SSMs", 2024), row after row of a
//           sequence: S = exp(rate t) S + B (t x)^T; out = C^T S + skip x, with t = ln(1 + exp(step + bias)).
// Layout:   x [row]: values [head][element], B [group][i], C alike; steps [row][head]; state [slot][head][i][column], i
//           an element of B and C, column one of values; all FP32. A sequence's slot is the number of its first page.
// Requires: a sequence's rows follow each other and what its state has seen; at position 0 the state counts as zeros.
// Accuracy: FP32, sums over i in order; steps and decay in FP64.
// Launch:   one task a head of all rows, in their order.
// Moves:    8 bytes and 4 operations an element of the state and row.
// Why:      bound by reading and writing the state, which four registers of columns go through once a row; a head's 32
//           KiB stay in the second cache for a prompt's rows.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

constexpr int SCAN_REGISTERS = 4;  // of columns that go through a state together

// What one row does to columns of a head's state, and what they return.
struct ScanRow {
    const float* values;
    const float* b;
    const float* c;
    float* out;
    float step;
    float decay;
    float skip;
    bool first;  // of its sequence
    int64_t dim;
    int64_t state_dim;

    // Columns from `column` on, N times LANES of them, or `count` where that is one register's part.
    template <int N>
    inline void columns(float* state, int64_t column, int count) const {
        F32 added[N];
        F32 sum[N];
        for (int r = 0; r < N; r++) {
            const F32 value = load_lanes(values + column + r * LANES, count);
            added[r] = mul(set1(step), value);
            sum[r] = mul(set1(skip), value);
        }
        const F32 kept = set1(decay);
        for (int64_t i = 0; i < state_dim; i++) {
            const F32 key = set1(b[i]);
            const F32 query = set1(c[i]);
            for (int r = 0; r < N; r++) {
                float* at = state + i * dim + column + r * LANES;
                const F32 before = first ? zero() : mul(kept, load_lanes(at, count));
                const F32 after = fma(key, added[r], before);
                store_lanes(at, after, count);
                sum[r] = fma(query, after, sum[r]);
            }
        }
        for (int r = 0; r < N; r++) {
            store_lanes(out + column + r * LANES, sum[r], count);
        }
    }
};

inline void selective_scan(const Command& command, int task, Worker&) {
    const SelectiveScanArgs& a = command.selective_scan;
    const int64_t head = task;
    const int64_t dim = a.head_dim;
    const int64_t group = head / (a.heads / a.groups);
    for (int64_t row = 0; row < a.rows->count; row++) {
        const float* x = a.x + row * (a.heads * dim + 2 * a.groups * a.state_dim);
        const float* b = x + a.heads * dim + group * a.state_dim;
        const int64_t at = row * a.heads + head;
        const double raw = static_cast<double>(a.steps[at]) + static_cast<double>(a.bias[head]);
        const double step = raw > 30 ? raw : __builtin_log1p(__builtin_exp(raw));
        const double decay = __builtin_exp(static_cast<double>(a.rate[head]) * step);
        const ScanRow scan{x + head * dim,
                           b,
                           b + a.groups * a.state_dim,
                           a.out + at * dim,
                           static_cast<float>(step),
                           static_cast<float>(decay),
                           a.skip[head],
                           a.rows->positions[row] == 0,
                           dim,
                           a.state_dim};
        float* state = a.state + (a.rows->pages[row][0] * a.heads + head) * a.state_dim * dim;
        int64_t column = 0;
        for (; column + SCAN_REGISTERS * LANES <= dim; column += SCAN_REGISTERS * LANES) {
            scan.columns<SCAN_REGISTERS>(state, column, LANES);
        }
        for_lanes(column, dim, [&](int64_t from, int count) { scan.columns<1>(state, from, count); });
    }
}

}  // namespace demitasse::DM_ISA
