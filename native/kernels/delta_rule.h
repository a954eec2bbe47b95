// Computes: the gated delta rule (Yang, Kautz and Hatamizadeh, "Gated Delta Networks", 2024), row after row of a
//           sequence: S = decay S; S += k (beta (v - k^T S)); out = q^T S / sqrt(head_dim), with q and k divided by
//           sqrt(sum of squares + epsilon), beta = sigmoid(b), decay = exp(rate ln(1 + exp(a + bias))).
// Layout:   x [row]: queries [key_head][element], keys alike, values [head][element]; b and a [row][head]; state
//           [slot][head][i][column], i an element of keys, column one of values; all FP32. A sequence's slot is the
//           number of its first page.
// Requires: head_dim at most 256; a sequence's rows follow each other and what its state has seen; at position 0 the
//           state counts as zeros.
// Accuracy: FP32, sums over i in order; decay in FP64.
// Launch:   one task a head of all rows, in their order.
// Moves:    8 bytes and 8 operations an element of the state and row.
// Why:      four registers of columns go through S twice, for k^T S and for the rest; their part of S, 16 KiB
//           of a head of 128 with AVX2 and 32 KiB with AVX-512, stays in the first or second cache between. A chunked
//           form would pay where a prompt's products bounded it; they are a hundredth of what its matrices cost.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

constexpr int DELTA_REGISTERS = 4;  // of columns that go through a state together

// x / sqrt(sum of squares + epsilon) * factor.
inline void normalize_state_vector(const float* x, int64_t dim, float epsilon, float factor, float* out) {
    F32 squares = zero();
    for_lanes(0, dim, [&](int64_t i, int count) {
        const F32 v = load_lanes(x + i, count);
        squares = fma(v, v, squares);
    });
    const double root = __builtin_sqrt(static_cast<double>(reduce_add(squares)) + static_cast<double>(epsilon));
    const F32 scale = set1(static_cast<float>(static_cast<double>(factor) / root));
    for_lanes(0, dim, [&](int64_t i, int count) { store_lanes(out + i, mul(load_lanes(x + i, count), scale), count); });
}

// What one row does to columns of a head's state, and what they return.
struct DeltaRow {
    const float* q;
    const float* k;
    const float* v;
    float* out;
    float beta;
    float decay;
    bool first;  // of its sequence
    int64_t dim;

    // Columns from `column` on, REGISTERS times LANES of them, or `count` where that is one register's part.
    template <int N>
    inline void columns(float* state, int64_t column, int count) const {
        F32 seen[N];
        for (int r = 0; r < N; r++) {
            seen[r] = zero();
        }
        const F32 kept = set1(decay);
        for (int64_t i = 0; i < dim && !first; i++) {
            for (int r = 0; r < N; r++) {
                seen[r] = fma(set1(k[i]), load_lanes(state + i * dim + column + r * LANES, count), seen[r]);
            }
        }
        F32 change[N];
        F32 sum[N];
        for (int r = 0; r < N; r++) {
            const F32 value = load_lanes(v + column + r * LANES, count);
            change[r] = mul(set1(beta), sub(value, mul(kept, seen[r])));
            sum[r] = zero();
        }
        for (int64_t i = 0; i < dim; i++) {
            const F32 key = set1(k[i]);
            const F32 query = set1(q[i]);
            for (int r = 0; r < N; r++) {
                float* at = state + i * dim + column + r * LANES;
                const F32 before = first ? zero() : mul(kept, load_lanes(at, count));
                const F32 after = fma(key, change[r], before);
                store_lanes(at, after, count);
                sum[r] = fma(query, after, sum[r]);
            }
        }
        for (int r = 0; r < N; r++) {
            store_lanes(out + column + r * LANES, sum[r], count);
        }
    }
};

inline void delta_rule(const Command& command, int task, Worker&) {
    const DeltaRuleArgs& a = command.delta_rule;
    const int64_t head = task;
    const int64_t dim = a.head_dim;
    const int64_t key_head = a.grouped != 0 ? head / (a.heads / a.key_heads) : head % a.key_heads;
    const float scale = static_cast<float>(1 / __builtin_sqrt(static_cast<double>(dim)));
    float q[MOST_STATE_DIM];
    float k[MOST_STATE_DIM];
    for (int64_t row = 0; row < a.rows->count; row++) {
        const float* x = a.x + row * (2 * a.key_heads + a.heads) * dim;
        normalize_state_vector(x + key_head * dim, dim, a.epsilon, scale, q);
        normalize_state_vector(x + (a.key_heads + key_head) * dim, dim, a.epsilon, 1, k);
        const int64_t at = row * a.heads + head;
        const double step = static_cast<double>(a.a[at]) + static_cast<double>(a.bias[head]);
        const double rise = step > 30 ? step : __builtin_log1p(__builtin_exp(step));
        const double decay = __builtin_exp(static_cast<double>(a.rate[head]) * rise);
        const double beta = 1 / (1 + __builtin_exp(-static_cast<double>(a.b[at])));
        const DeltaRow delta{q,
                             k,
                             x + (2 * a.key_heads + head) * dim,
                             a.out + at * dim,
                             static_cast<float>(beta),
                             static_cast<float>(decay),
                             a.rows->positions[row] == 0,
                             dim};
        float* state = a.state + (a.rows->pages[row][0] * a.heads + head) * dim * dim;
        int64_t column = 0;
        for (; column + DELTA_REGISTERS * LANES <= dim; column += DELTA_REGISTERS * LANES) {
            delta.columns<DELTA_REGISTERS>(state, column, LANES);
        }
        for_lanes(column, dim, [&](int64_t from, int count) { delta.columns<1>(state, from, count); });
    }
}

}  // namespace demitasse::DM_ISA
