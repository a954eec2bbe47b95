// Panels of integer weights by quantised activations: what gemv_int4, gemv_int8, gemm_int4 and gemm_int8 share.
//
// The sum of a part (a group of 32 columns, or half of it where weights have a scale for 16) is an integer and exact. Parts are
// folded one after the other into out += s_a (s_w products + m_w inputs), with m_w = -zero s_w where the layout has no minimum.
// One row and many are folded in the same order, so a row has the same bits alone and in a batch.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

// A panel of a matrix: its elements, and one scale and minimum a row for each 2^shift parts.
struct IntegerPanel {
    const uint8_t* quants;
    const uint8_t* scales;
    const uint8_t* mins; // or null
    int64_t groups;      // of 32 columns
    int shift;
    bool half;           // scales and minimums are FP16

    IntegerPanel(const Matrix& m, int64_t panel, int64_t group_bytes)
        : quants(m.quants + panel * (m.padded() / GROUP) * group_bytes),
          scales(m.scales + panel * m.groups() * PANEL * m.scale_bytes()),
          mins(m.mins == nullptr ? nullptr : m.mins + panel * m.groups() * PANEL * m.scale_bytes()),
          groups(m.padded() / GROUP), shift(0), half(m.half_scales != 0) {
        while (m.group > 32 && shift < 30 && (int64_t{GROUP} << shift) < m.group) {
            shift++;
        }
        if (m.group >= m.padded()) {
            shift = 30; // one scale for the row, whatever its length
        }
    }
};

// Unsigned nibbles; a step of 64 bytes holds 8 columns of 16 rows.
struct Int4Weights {
    static constexpr int64_t GROUP_BYTES = GROUP * PANEL / 2;
    static constexpr float ZERO = 8; // where the layout has no minimum

    template <int N> static void unpack(const uint8_t* at, I32* w) {
#pragma GCC unroll 8
        for (int i = 0; i < N; i += 2) {
            I32 pair = load_i(at + i * 32);
            w[i] = low_nibbles(pair);
            w[i + 1] = high_nibbles(pair);
        }
    }
    template <int N> static I32 dot(const I32* w, const int8_t* a, int32_t) { return dot_nibbles<N>(w, a); }
};

// Signed bytes; a step of 64 bytes holds 4 columns of 16 rows.
struct Int8Weights {
    static constexpr int64_t GROUP_BYTES = GROUP * PANEL;
    static constexpr float ZERO = 0;

    template <int N> static void unpack(const uint8_t* at, I32* w) {
#pragma GCC unroll 8
        for (int i = 0; i < N; i++) {
            w[i] = prepare_bytes(load_i(at + i * 64));
        }
    }
    template <int N> static I32 dot(const I32* w, const int8_t* a, int32_t sum) { return dot_bytes<N>(w, a, sum); }
};

// Signed bytes of a magnitude of at most 32, as 5- and 6-bit types have them.
struct SmallInt8Weights : Int8Weights {
    static constexpr int64_t MAXIMUM = 32;

    template <int N> static I32 dot(const I32* w, const int8_t* a, int32_t sum) { return dot_small<N>(w, a, sum); }
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

    Fold(const IntegerPanel& p, int64_t part, int v, float zero) {
        int64_t at = (part >> p.shift) * PANEL + v * LANES;
        scale = load_scales(p.scales, at, p.half);
        minimum = p.mins != nullptr ? load_scales(p.mins, at, p.half) : mul(scale, set1(-zero));
    }

    static F32 load_scales(const uint8_t* from, int64_t at, bool half) {
        return half ? load_f16(reinterpret_cast<const uint16_t*>(from) + at) : load(reinterpret_cast<const float*>(from) + at);
    }

    F32 operator()(I32 products, float input, float activation, F32 sum) const {
        F32 part = fma(scale, to_f32(products), mul(minimum, set1(input)));
        return fma(part, set1(activation), sum);
    }
};

// How far ahead weights are asked for: memory answers after about 100 ns, in which a core reads about 2 KiB; 4 KiB were measured best.
constexpr int64_t PREFETCH_BYTES = 4096;

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
                    I32 products = W::template dot<4>(w, x + h * 16, a.half[h]);
                    Fold fold(p, 2 * g + h, v, W::ZERO);
                    sums[v] = fold(products, static_cast<float>(a.half[h]), a.scale, sums[v]);
                }
            } else {
                I32 w[8];
                W::template unpack<8>(from, w);
                I32 products = W::template dot<8>(w, x, a.half[0] + a.half[1]);
                sums[v] = Fold(p, g, v, W::ZERO)(products, a.sum, a.scale, sums[v]);
            }
        }
    }
    for (int v = 0; v < REGISTERS; v++) {
        store(out + v * LANES, sums[v]);
    }
}

// One part of all rows of a block: the weights stay in registers, the sums of the rows lie in the first-level cache.
template <class W, int N>
inline void gemm_part(const I32* w, const Fold& fold, const int8_t* q, const GroupActivation* activations, int64_t rows,
                      int half, float* out) {
    for (int64_t r = 0; r < rows; r++) {
        const GroupActivation& a = activations[r];
        int32_t sum = N == 8 ? a.half[0] + a.half[1] : a.half[half];
        I32 products = W::template dot<N>(w, q + r * GROUP, sum);
        float input = N == 8 ? a.sum : static_cast<float>(sum);
        store(out + r * PANEL, fold(products, input, a.scale, load(out + r * PANEL)));
    }
}

// A block of rows by a panel; out: rows x 16.
template <class W, bool HALVES>
void gemm_panel(const IntegerPanel& p, const int8_t* q, const GroupActivation* activations, int64_t rows, float* out) {
    for (int64_t i = 0; i < rows * PANEL; i += LANES) {
        store(out + i, zero());
    }
    for (int64_t g = 0; g < p.groups; g++) {
        for (int v = 0; v < REGISTERS; v++) {
            const uint8_t* from = p.quants + g * W::GROUP_BYTES + v * LANES * 4;
            const int8_t* x = q + g * rows * GROUP;
            const GroupActivation* a = activations + g * rows;
            if constexpr (HALVES) {
                for (int h = 0; h < 2; h++) {
                    I32 w[4];
                    W::template unpack<4>(from + h * W::GROUP_BYTES / 2, w);
                    gemm_part<W, 4>(w, Fold(p, 2 * g + h, v, W::ZERO), x + h * 16, a, rows, h, out + v * LANES);
                }
            } else {
                I32 w[8];
                W::template unpack<8>(from, w);
                gemm_part<W, 8>(w, Fold(p, g, v, W::ZERO), x, a, rows, 0, out + v * LANES);
            }
        }
    }
}

} // namespace demitasse::DM_ISA
