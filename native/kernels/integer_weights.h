// Panels of integer weights by quantised activations: what gemv_int4, gemv_int8, gemm_int4 and gemm_int8 share.
//
// The sum of a part (a group of 32 columns, or half of it where weights have a scale for 16) is an integer and exact.
// Parts are folded one after the other into out += s_a (s_w products + m_w inputs), with m_w = -zero s_w where the
// layout has no minimum. One row and many are folded in the same order, so a row has the same bits alone and in a
// batch.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

// A panel of a matrix: its elements, and one scale and minimum a row for each 2^shift parts.
struct IntegerPanel {
    const uint8_t* quants;
    const uint8_t* scales;
    const uint8_t* mins;  // or null
    int64_t groups;       // of 32 columns
    int shift;
    bool half;  // scales and minimums are FP16

    IntegerPanel(const Matrix& m, int64_t panel, int64_t group_bytes)
        : quants(m.quants + panel * (m.padded() / GROUP) * group_bytes),
          scales(m.scales + panel * m.groups() * PANEL * m.scale_bytes()),
          mins(m.mins == nullptr ? nullptr : m.mins + panel * m.groups() * PANEL * m.scale_bytes()),
          groups(m.padded() / GROUP),
          shift(0),
          half(m.half_scales != 0) {
        while (m.group > 32 && shift < 30 && (int64_t{GROUP} << shift) < m.group) {
            shift++;
        }
        if (m.group >= m.padded()) {
            shift = 30;  // one scale for the row, whatever its length
        }
    }
};

// Unsigned nibbles; a step of 64 bytes holds 8 columns of 16 rows.
struct Int4Weights {
    static constexpr int64_t GROUP_BYTES = GROUP * PANEL / 2;
    static constexpr float ZERO = 8;  // where the layout has no minimum

    template <int N>
    static void unpack(const uint8_t* at, I32* w) {
#pragma GCC unroll 8
        for (int i = 0; i < N; i += 2) {
            I32 pair = load_i(at + i * 32);
            w[i] = low_nibbles(pair);
            w[i + 1] = high_nibbles(pair);
        }
    }
    template <int N>
    static I32 add(I32 s, const I32* w, const int8_t* a) {
        return add_nibbles<N>(s, w, a);
    }
    static I32 sum(I32 s, int32_t) { return sum_nibbles(s); }
};

// Signed bytes; a step of 64 bytes holds 4 columns of 16 rows.
struct Int8Weights {
    static constexpr int64_t GROUP_BYTES = GROUP * PANEL;
    static constexpr float ZERO = 0;

    template <int N>
    static void unpack(const uint8_t* at, I32* w) {
#pragma GCC unroll 8
        for (int i = 0; i < N; i++) {
            w[i] = prepare_bytes(load_i(at + i * 64));
        }
    }
    template <int N>
    static I32 add(I32 s, const I32* w, const int8_t* a) {
        return add_bytes<N>(s, w, a);
    }
    static I32 sum(I32 s, int32_t sum) { return sum_bytes(s, sum); }
};

// Signed bytes of a magnitude of at most 32, as 5- and 6-bit types have them.
struct SmallInt8Weights : Int8Weights {
    static constexpr int64_t MAXIMUM = 32;

    template <int N>
    static I32 add(I32 s, const I32* w, const int8_t* a) {
        return add_small<N>(s, w, a);
    }
};

// A scale or minimum.
inline float scale_value(const Matrix& m, const uint8_t* scales, int64_t at) {
    return m.half_scales != 0 ? half_to_float(reinterpret_cast<const uint16_t*>(scales)[at])
                              : reinterpret_cast<const float*>(scales)[at];
}

// Scales and minimums of one register of rows.
struct Fold {
    F32 scale;
    F32 minimum;

    Fold() = default;

    Fold(const IntegerPanel& p, int64_t part, int v, float zero) {
        int64_t at = (part >> p.shift) * PANEL + v * LANES;
        scale = load_scales(p.scales, at, p.half);
        minimum = p.mins != nullptr ? load_scales(p.mins, at, p.half) : mul(scale, set1(-zero));
    }

    static F32 load_scales(const uint8_t* from, int64_t at, bool half) {
        return half ? load_f16(reinterpret_cast<const uint16_t*>(from) + at)
                    : load(reinterpret_cast<const float*>(from) + at);
    }

    F32 operator()(I32 products, float input, float activation, F32 sum) const {
        F32 part = fma(scale, to_f32(products), mul(minimum, set1(input)));
        return fma(part, set1(activation), sum);
    }
};

// How far ahead weights are asked for: memory answers after about 100 ns, in which a core reads about 2 KiB; 4 KiB were
// measured best.
constexpr int64_t PREFETCH_BYTES = 4096;

// Columns whose products fit 32 bits: 2^31 / (128 x 127).
constexpr int64_t WHOLE_ROW_COLUMNS = 131072;

inline bool whole_row_sums(const Matrix& m) { return m.group >= m.padded() && m.padded() <= WHOLE_ROW_COLUMNS; }

// One row of activations by a panel where both have one scale a row.
template <class W>
void gemv_panel_whole(const IntegerPanel& p, const int8_t* q, const GroupActivation* activations, float* out) {
    I32 sums[REGISTERS];
    for (int v = 0; v < REGISTERS; v++) {
        sums[v] = zero_i();
    }
    int32_t input = 0;
    for (int64_t g = 0; g < p.groups; g++) {
        const uint8_t* at = p.quants + g * W::GROUP_BYTES;
        const int32_t sum = activations[g].half[0] + activations[g].half[1];
        for (int64_t line = 0; line < W::GROUP_BYTES; line += 64) {
            __builtin_prefetch(at + PREFETCH_BYTES + line);
        }
#pragma GCC unroll 4
        for (int v = 0; v < REGISTERS; v++) {
            I32 w[8];
            W::template unpack<8>(at + v * LANES * 4, w);
            sums[v] = add_i(sums[v], W::sum(W::template add<8>(zero_i(), w, q + g * GROUP), sum));
        }
        input += sum;
    }
    for (int v = 0; v < REGISTERS; v++) {
        Fold fold(p, 0, v, W::ZERO);
        store(out + v * LANES, fold(sums[v], static_cast<float>(input), activations[0].scale, zero()));
    }
}

// One row of activations by a panel.
template <class W, bool HALVES>
void gemv_panel(const IntegerPanel& p, const int8_t* q, const GroupActivation* activations, float* out) {
    F32 sums[REGISTERS];
    for (int v = 0; v < REGISTERS; v++) {
        sums[v] = zero();
    }
    for (int64_t g = 0; g < p.groups; g++) {
        const uint8_t* at = p.quants + g * W::GROUP_BYTES;
        const GroupActivation& a = activations[g];
        const int8_t* x = q + g * GROUP;
        for (int64_t line = 0; line < W::GROUP_BYTES; line += 64) {
            __builtin_prefetch(at + PREFETCH_BYTES + line);
        }
#pragma GCC unroll 4
        for (int v = 0; v < REGISTERS; v++) {
            const uint8_t* from = at + v * LANES * 4;
            if constexpr (HALVES) {
                for (int h = 0; h < 2; h++) {
                    I32 w[4];
                    W::template unpack<4>(from + h * W::GROUP_BYTES / 2, w);
                    I32 products = W::sum(W::template add<4>(zero_i(), w, x + h * 16), a.half[h]);
                    Fold fold(p, 2 * g + h, v, W::ZERO);
                    sums[v] = fold(products, static_cast<float>(a.half[h]), a.scale, sums[v]);
                }
            } else {
                I32 w[8];
                W::template unpack<8>(from, w);
                I32 products = W::sum(W::template add<8>(zero_i(), w, x), a.half[0] + a.half[1]);
                sums[v] = Fold(p, g, v, W::ZERO)(products, a.sum, a.scale, sums[v]);
            }
        }
    }
    for (int v = 0; v < REGISTERS; v++) {
        store(out + v * LANES, sums[v]);
    }
}

// Registers of weights that stay for all rows of a block. Where there are 16 in all, those are two registers of rows by
// half a group of columns: an activation that is spread over a register then serves two, and the sums of the first half
// wait in memory.
constexpr int GEMM_REGISTERS = LANES == 16 ? 1 : 2;
constexpr int GEMM_STEPS = LANES == 16 ? 8 : 4;

template <class W, int N>
struct GemmWeights {
    I32 w[GEMM_REGISTERS][N];

    explicit GemmWeights(const uint8_t* at) {
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            W::template unpack<N>(at + v * LANES * 4, w[v]);
        }
    }

    // Partial sums of a row of activations, added to what is there.
    void add(I32* sums, const int8_t* q) const {
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            sums[v] = W::template add<N>(sums[v], w[v], q);
        }
    }
};

struct GemmFolds {
    Fold fold[GEMM_REGISTERS];

    GemmFolds(const IntegerPanel& p, int64_t part, int first, float zero) {
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            fold[v] = Fold(p, part, first + v, zero);
        }
    }
};

// The sums of half a group for all rows of a block, [row][register].
template <class W>
inline void gemm_first(const uint8_t* at, const int8_t* q, int64_t rows, int32_t* partial) {
    const GemmWeights<W, 4> weights(at);
    for (int64_t r = 0; r < rows; r++) {
        I32 sums[GEMM_REGISTERS];
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            sums[v] = zero_i();
        }
        weights.add(sums, q + r * GROUP);
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            store_i(partial + (r * GEMM_REGISTERS + v) * LANES, sums[v]);
        }
    }
}

// Adds the sums of half a group to whole-row sums of all rows of a block, totals [row][16] integers; partial as in gemm_part.
template <class W, int N, bool PARTIAL>
inline void gemm_part_whole(const uint8_t* at, const int8_t* q, const GroupActivation* activations, int64_t rows,
                            const int32_t* partial, int32_t* totals) {
    const GemmWeights<W, N> weights(at);
    for (int64_t r = 0; r < rows; r++) {
        I32 sums[GEMM_REGISTERS];
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            sums[v] = PARTIAL ? load_i(partial + (r * GEMM_REGISTERS + v) * LANES) : zero_i();
        }
        weights.add(sums, q + r * GROUP);
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            int32_t* to = totals + r * PANEL + v * LANES;
            store_i(to, add_i(load_i(to), W::sum(sums[v], activations[r].half[0] + activations[r].half[1])));
        }
    }
}

// A block of rows by a panel where both have one scale a row; arguments as for gemm_panel.
template <class W>
void gemm_panel_whole(const IntegerPanel& p, const int8_t* q, const GroupActivation* activations, int64_t rows,
                      int32_t* partial, float* out) {
    int32_t* totals = reinterpret_cast<int32_t*>(out);
    int32_t inputs[ROW_BLOCK] = {};
    for (int64_t i = 0; i < rows * PANEL; i += LANES) {
        store_i(totals + i, zero_i());
    }
    for (int64_t g = 0; g < p.groups; g++) {
        const int8_t* x = q + g * rows * GROUP;
        const GroupActivation* a = activations + g * rows;
        for (int v = 0; v < REGISTERS; v += GEMM_REGISTERS) {
            const uint8_t* first = p.quants + g * W::GROUP_BYTES + v * LANES * 4;
            if constexpr (GEMM_STEPS == 8) {
                gemm_part_whole<W, 8, false>(first, x, a, rows, nullptr, totals + v * LANES);
            } else {
                gemm_first<W>(first, x, rows, partial);
                gemm_part_whole<W, 4, true>(first + W::GROUP_BYTES / 2, x + 16, a, rows, partial, totals + v * LANES);
            }
        }
        for (int64_t r = 0; r < rows; r++) {
            inputs[r] += a[r].half[0] + a[r].half[1];
        }
    }
    for (int v = 0; v < REGISTERS; v++) {
        Fold fold(p, 0, v, W::ZERO);
        for (int64_t r = 0; r < rows; r++) {
            I32 products = load_i(totals + r * PANEL + v * LANES);
            store(out + r * PANEL + v * LANES,
                  fold(products, static_cast<float>(inputs[r]), activations[r].scale, zero()));
        }
    }
}

// Adds a part to the results of all rows of a block, out [row][16], which lie in the first-level cache.
//   half      which half of the group the part is, or -1 for all of it
//   partial   the sums of what the registers do not hold, where PARTIAL
template <class W, int N, bool PARTIAL>
inline void gemm_part(const uint8_t* at, const GemmFolds& folds, const int8_t* q, const GroupActivation* activations,
                      int64_t rows, int half, const int32_t* partial, float* out) {
    const GemmWeights<W, N> weights(at);
    for (int64_t r = 0; r < rows; r++) {
        const GroupActivation& a = activations[r];
        const int32_t sum = half < 0 ? a.half[0] + a.half[1] : a.half[half];
        const float input = half < 0 ? a.sum : static_cast<float>(sum);
        I32 sums[GEMM_REGISTERS];
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            sums[v] = PARTIAL ? load_i(partial + (r * GEMM_REGISTERS + v) * LANES) : zero_i();
        }
        weights.add(sums, q + r * GROUP);
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            float* to = out + r * PANEL + v * LANES;
            store(to, folds.fold[v](W::sum(sums[v], sum), input, a.scale, load(to)));
        }
    }
}

// A block of rows by a panel; out: rows x 16; partial: room for rows x 16 integers.
template <class W, bool HALVES>
void gemm_panel(const IntegerPanel& p, const int8_t* q, const GroupActivation* activations, int64_t rows,
                int32_t* partial, float* out) {
    for (int64_t i = 0; i < rows * PANEL; i += LANES) {
        store(out + i, zero());
    }
    for (int64_t g = 0; g < p.groups; g++) {
        const int8_t* x = q + g * rows * GROUP;
        const GroupActivation* a = activations + g * rows;
        for (int v = 0; v < REGISTERS; v += GEMM_REGISTERS) {
            const uint8_t* first = p.quants + g * W::GROUP_BYTES + v * LANES * 4;
            const uint8_t* second = first + W::GROUP_BYTES / 2;
            float* to = out + v * LANES;
            if constexpr (HALVES) {
                gemm_part<W, 4, false>(first, GemmFolds(p, 2 * g, v, W::ZERO), x, a, rows, 0, nullptr, to);
                gemm_part<W, 4, false>(second, GemmFolds(p, 2 * g + 1, v, W::ZERO), x + 16, a, rows, 1, nullptr, to);
            } else if constexpr (GEMM_STEPS == 8) {
                gemm_part<W, 8, false>(first, GemmFolds(p, g, v, W::ZERO), x, a, rows, -1, nullptr, to);
            } else {
                gemm_first<W>(first, x, rows, partial);
                gemm_part<W, 4, true>(second, GemmFolds(p, g, v, W::ZERO), x + 16, a, rows, -1, partial, to);
            }
        }
    }
}

}  // namespace demitasse::DM_ISA
