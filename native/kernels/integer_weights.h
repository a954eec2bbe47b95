// Panels of integer weights by quantized activations: what gemv_int4, gemv_int8, gemm_int4 and gemm_int8 share.
//
// The sum of a part (32 columns, or 16 where weights have a scale for 16) is an integer and exact.
// Parts are folded one after the other into out += s_a (s_w products + m_w inputs); where the layout has no minimum but
// a zero, that is taken off the integers. One row and many are folded in the same order, so a row has the same bits
// alone and in a batch.
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
    bool fp16;  // scales and minimums are FP16

    IntegerPanel() = default;

    IntegerPanel(const Matrix& m, int64_t panel, int64_t group_bytes)
        : quants(m.quants + panel * (m.padded() / GROUP) * group_bytes),
          scales(m.scales + panel * m.groups() * PANEL * m.scale_bytes()),
          mins(m.mins == nullptr ? nullptr : m.mins + panel * m.groups() * PANEL * m.scale_bytes()),
          groups(m.padded() / GROUP),
          shift(0),
          fp16(m.fp16_scales != 0) {
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
    static constexpr int32_t ZERO = 8;    // where the layout has no minimum
    static constexpr int32_t OFFSET = 0;  // what unpack has added

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
    static I32 sum(I32 s, int32_t sum, int32_t zero) { return sub_i(sum_nibbles(s), set1_i(zero * sum)); }
};

// Signed bytes; a step of 64 bytes holds 4 columns of 16 rows.
struct Int8Weights {
    static constexpr int64_t GROUP_BYTES = GROUP * PANEL;
    static constexpr int32_t ZERO = 0;
    static constexpr int32_t OFFSET = BYTE_OFFSET;

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
    static I32 sum(I32 s, int32_t sum, int32_t) { return sum_bytes(s, sum); }
};

#if defined(DM_DOT)
using SmallInt8Weights = Int8Weights;
#else
// Signed bytes of a magnitude of at most 32, as 5- and 6-bit types have them.
struct SmallInt8Weights : Int8Weights {
    template <int N>
    static I32 add(I32 s, const I32* w, const int8_t* a) {
        return add_small<N>(s, w, a);
    }
};
#endif

constexpr int64_t SMALL_MAXIMUM = 32;

// A scale or minimum.
inline float scale_value(const Matrix& m, const uint8_t* scales, int64_t at) {
    return m.fp16_scales != 0 ? fp16_to_float(reinterpret_cast<const uint16_t*>(scales)[at])
                              : reinterpret_cast<const float*>(scales)[at];
}

// Scales and minimums of one register of rows.
struct Fold {
    F32 scale;
    F32 minimum;
    bool has_minimum;

    Fold() = default;

    [[gnu::always_inline]] Fold(const IntegerPanel& p, int64_t part, int v) : has_minimum(p.mins != nullptr) {
        int64_t at = (part >> p.shift) * PANEL + v * LANES;
        scale = load_scales(p.scales, at, p.fp16);
        minimum = has_minimum ? load_scales(p.mins, at, p.fp16) : zero();
    }

    [[gnu::always_inline]] static F32 load_scales(const uint8_t* from, int64_t at, bool fp16) {
        return fp16 ? load_f16(reinterpret_cast<const uint16_t*>(from) + at)
                    : load(reinterpret_cast<const float*>(from) + at);
    }

    F32 operator()(I32 products, float input, float activation, F32 sum) const {
        F32 part = fma(scale, to_f32(products), mul(minimum, set1(input)));
        return fma(part, set1(activation), sum);
    }

    // The same where there is no minimum.
    F32 operator()(I32 products, float activation, F32 sum) const {
        return fma(mul(scale, to_f32(products)), set1(activation), sum);
    }
};

// How far ahead weights are prefetched: memory answers after about 100 ns, in which a core reads about 2 KiB; 4 KiB
// were measured best.
constexpr int64_t PREFETCH_BYTES = 4096;

// Columns whose products fit 32 bits: 2^31 / (128 x 127).
constexpr int64_t ROW_SUM_COLUMNS = 131072;

// The integer that stands for zero, where the layout has no minimum to say so.
template <class W>
inline int32_t weight_zero(const IntegerPanel& p) {
    return p.mins == nullptr ? W::ZERO : 0;
}

inline bool sums_per_row(const Matrix& m) { return m.group >= m.padded() && m.padded() <= ROW_SUM_COLUMNS; }

// One row of activations by a panel where both have one scale a row.
template <class W>
void gemv_panel_per_row(const IntegerPanel& p, const int8_t* q, const GroupActivation* activations, float* out) {
    I32 sums[REGISTERS];
    for (int v = 0; v < REGISTERS; v++) {
        sums[v] = zero_i();
    }
    const int32_t z = weight_zero<W>(p);
    int32_t input = 0;
    for (int64_t g = 0; g < p.groups; g++) {
        const uint8_t* at = p.quants + g * W::GROUP_BYTES;
        const int32_t sum = activations[g].sums16[0] + activations[g].sums16[1];
        for (int64_t line = 0; line < W::GROUP_BYTES; line += 64) {
            __builtin_prefetch(at + PREFETCH_BYTES + line);
        }
#pragma GCC unroll 4
        for (int v = 0; v < REGISTERS; v++) {
            I32 w[8];
            W::template unpack<8>(at + v * LANES * 4, w);
            sums[v] = add_i(sums[v], W::sum(W::template add<8>(zero_i(), w, q + g * GROUP), sum, z));
        }
        input += sum;
    }
    for (int v = 0; v < REGISTERS; v++) {
        Fold fold(p, 0, v);
        store(out + v * LANES, fold(sums[v], static_cast<float>(input), activations[0].scale, zero()));
    }
}

// One row of activations by a panel.
template <class W, bool PER16>
void gemv_panel(const IntegerPanel& p, const int8_t* q, const GroupActivation* activations, float* out) {
    F32 sums[REGISTERS];
    for (int v = 0; v < REGISTERS; v++) {
        sums[v] = zero();
    }
    const int32_t z = weight_zero<W>(p);
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
            if constexpr (PER16) {
                for (int h = 0; h < 2; h++) {
                    I32 w[4];
                    W::template unpack<4>(from + h * W::GROUP_BYTES / 2, w);
                    I32 products = W::sum(W::template add<4>(zero_i(), w, x + h * 16), a.sums16[h], z);
                    Fold fold(p, 2 * g + h, v);
                    sums[v] = fold(products, static_cast<float>(a.sums16[h]), a.scale, sums[v]);
                }
            } else {
                I32 w[8];
                W::template unpack<8>(from, w);
                I32 products = W::sum(W::template add<8>(zero_i(), w, x), a.sums16[0] + a.sums16[1], z);
                sums[v] = Fold(p, g, v)(products, a.sum, a.scale, sums[v]);
            }
        }
    }
    for (int v = 0; v < REGISTERS; v++) {
        store(out + v * LANES, sums[v]);
    }
}

}  // namespace demitasse::DM_ISA
