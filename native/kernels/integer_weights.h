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
    const uint16_t* super_scales;
    const uint16_t* super_mins;
    int64_t groups;  // of 32 columns
    int shift;
    int super_shift;  // 2^super_shift parts are SUPER columns
    ScaleType scale_type;

    IntegerPanel() = default;

    IntegerPanel(const Matrix& m, int64_t panel, int64_t group_bytes)
        : quants(m.quants + panel * (m.padded() / GROUP) * group_bytes),
          scales(m.scales + panel * m.groups() * PANEL * m.scale_bytes()),
          mins(m.mins == nullptr ? nullptr : m.mins + panel * m.groups() * PANEL * m.scale_bytes()),
          super_scales(m.super_scales == nullptr ? nullptr : m.super_scales + panel * m.supers() * PANEL),
          super_mins(m.super_mins == nullptr ? nullptr : m.super_mins + panel * m.supers() * PANEL),
          groups(m.padded() / GROUP),
          shift(0),
          super_shift(m.group == 16 ? 4 : 3),
          scale_type(m.scale_type) {
        while (m.group > 32 && shift < 30 && (int64_t{GROUP} << shift) < m.group) {
            shift++;
        }
        if (m.group >= m.padded()) {
            shift = 30;  // one scale for the row, whatever its length
        }
    }
};

// Unsigned nibbles; a step of 64 bytes holds 8 columns of 16 rows. As of all weights here, unpack takes N registers of
// four columns from where they begin, and unpack_pair the two registers of a pair of the group's four.
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
    static void unpack_pair(const uint8_t* group, int pair, I32* w) { unpack<2>(group + pair * (GROUP_BYTES / 4), w); }
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
    static void unpack_pair(const uint8_t* group, int pair, I32* w) { unpack<2>(group + pair * (GROUP_BYTES / 4), w); }
    template <int N>
    static I32 add(I32 s, const I32* w, const int8_t* a) {
        return add_bytes<N>(s, w, a);
    }
    static I32 sum(I32 s, int32_t sum, int32_t) { return sum_bytes(s, sum); }
};

// Six bits, 32 too large. Of each 16 columns come the lower four bits, as Int4Weights has them, and then 64 bytes of
// upper ones: a byte's bits 2i and 2i + 1 are those of the i-th four columns.
struct Int6Weights {
    static constexpr int64_t GROUP_BYTES = GROUP * PANEL * 6 / 8;
    static constexpr int64_t HALF_BYTES = GROUP_BYTES / 2;
    static constexpr int32_t EXCESS = 32;
    static constexpr int32_t ZERO = 0;
    static constexpr int32_t OFFSET = BYTE_OFFSET;

    // Two registers from their lower bits and those of all four.
    static void join(I32 low, I32 high, int pair, I32* w) {
        const I32 first = and_i(pair == 0 ? shift_left<4>(high) : high, set1_i(0x30303030));
        const I32 second = and_i(pair == 0 ? shift_left<2>(high) : shift_right<2>(high), set1_i(0x30303030));
        w[0] = prepared(add_i(low_nibbles(low), first));
        w[1] = prepared(add_i(high_nibbles(low), second));
    }
    template <int N>
    static void unpack(const uint8_t* at, I32* w) {
        static_assert(N % 4 == 0);
#pragma GCC unroll 2
        for (int half = 0; half < N / 4; half++) {
            const uint8_t* from = at + half * HALF_BYTES;
            const I32 high = load_i(from + 128);
            join(load_i(from), high, 0, w + half * 4);
            join(load_i(from + 64), high, 1, w + half * 4 + 2);
        }
    }
    static void unpack_pair(const uint8_t* group, int pair, I32* w) {
        const uint8_t* from = group + pair / 2 * HALF_BYTES;
        join(load_i(from + pair % 2 * 64), load_i(from + 128), pair % 2, w);
    }
#if defined(DM_DOT)
    // As prepare_bytes leaves them.
    static I32 prepared(I32 w) {
        constexpr uint32_t BYTE = static_cast<uint32_t>(BYTE_OFFSET - EXCESS) & 0xFF;
        return add_s8(w, set1_i(static_cast<int32_t>(BYTE * 0x01010101U)));
    }
    template <int N>
    static I32 add(I32 s, const I32* w, const int8_t* a) {
        return add_small<N>(s, w, a);
    }
    static I32 sum(I32 s, int32_t sum, int32_t) { return sum_bytes(s, sum); }
#else
    static I32 prepared(I32 w) { return w; }
    template <int N>
    static I32 add(I32 s, const I32* w, const int8_t* a) {
        return add_six<N>(s, w, a);
    }
    static I32 sum(I32 s, int32_t sum, int32_t) { return sub_i(s, set1_i(EXCESS * sum)); }
#endif
};

// The tables of LevelTable in Java; FP4 is twice E2M1.
struct Iq4Levels {
    static constexpr int8_t VALUES[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    static constexpr bool SMALL = false;
};
struct Fp4Levels {
    static constexpr int8_t VALUES[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    static constexpr bool SMALL = true;  // of a magnitude of at most 32
};

// Nibbles as of Int4Weights that are places of a table of signed bytes.
template <class Levels>
struct LevelWeights {
    static constexpr int64_t GROUP_BYTES = Int4Weights::GROUP_BYTES;
    static constexpr int32_t ZERO = 0;
    static constexpr int32_t OFFSET = BYTE_OFFSET;

    template <int N>
    static void unpack(const uint8_t* at, I32* w) {
        const I32 table = prepare_bytes(load_table(Levels::VALUES));
        Int4Weights::unpack<N>(at, w);
#pragma GCC unroll 8
        for (int i = 0; i < N; i++) {
            w[i] = look_up(table, w[i]);
        }
    }
    static void unpack_pair(const uint8_t* group, int pair, I32* w) { unpack<2>(group + pair * (GROUP_BYTES / 4), w); }
    template <int N>
    static I32 add(I32 s, const I32* w, const int8_t* a) {
        return Levels::SMALL ? add_small<N>(s, w, a) : add_bytes<N>(s, w, a);
    }
    static I32 sum(I32 s, int32_t sum, int32_t) { return sum_bytes(s, sum); }
};

using Iq4Weights = LevelWeights<Iq4Levels>;
using Fp4Weights = LevelWeights<Fp4Levels>;

// Scales or minimums of a matrix, one by one.
struct ScaleValues {
    const uint8_t* values;
    const uint16_t* supers;

    // Of row r of a panel, at column k.
    float operator()(const Matrix& m, int64_t panel, int64_t k, int64_t r) const {
        const int64_t at = (panel * m.groups() + k / m.group) * PANEL + r;
        switch (m.scale_type) {
            case ScaleType::FP32:
                return reinterpret_cast<const float*>(values)[at];
            case ScaleType::FP16:
                return fp16_to_float(reinterpret_cast<const uint16_t*>(values)[at]);
            default:
                return static_cast<float>(static_cast<int8_t>(values[at])) *
                       fp16_to_float(supers[(panel * m.supers() + k / SUPER) * PANEL + r]);
        }
    }
};

// One integer less its zero.
inline float integer_value(const Matrix& m, int64_t panel, int64_t k, int64_t r) {
    const uint8_t* quants = m.quants + panel * PANEL * m.padded() * m.element_bits() / 8;
    const int64_t byte = r * 4 + k % 4;
    if (m.element == Element::INT8) {
        return static_cast<float>(static_cast<int8_t>(quants[k / 4 * 64 + byte]));
    }
    if (m.element == Element::INT6) {
        const uint8_t* half = quants + k / 16 * Int6Weights::HALF_BYTES;
        const int low = half[k % 16 / 8 * 64 + byte] >> ((k & 4) == 0 ? 0 : 4) & 15;
        const int high = half[128 + byte] >> k % 16 / 4 * 2 & 3;
        return static_cast<float>(low + high * 16 - Int6Weights::EXCESS);
    }
    const int pair = quants[k / 8 * 64 + byte];
    const int nibble = (k & 4) == 0 ? pair & 15 : pair >> 4;
    return m.element == Element::IQ4   ? static_cast<float>(Iq4Levels::VALUES[nibble])
           : m.element == Element::FP4 ? static_cast<float>(Fp4Levels::VALUES[nibble])
                                       : static_cast<float>(nibble) - (m.mins == nullptr ? 8 : 0);
}

// Weights of row r of a panel, one column after the other: the scale is looked up once a group.
class IntegerRow {
   public:
    IntegerRow(const Matrix& m, int64_t panel, int64_t r) : m_(m), panel_(panel), r_(r) {}

    float operator()(int64_t k) {
        if (k < begin_ || k >= end_) {
            begin_ = k / m_.group * m_.group;
            end_ = begin_ + m_.group;
            scale_ = ScaleValues{m_.scales, m_.super_scales}(m_, panel_, k, r_);
            minimum_ = m_.mins == nullptr ? 0 : ScaleValues{m_.mins, m_.super_mins}(m_, panel_, k, r_);
        }
        const float value = scale_ * integer_value(m_, panel_, k, r_);
        return m_.mins == nullptr ? value : value + minimum_;
    }

   private:
    const Matrix& m_;
    int64_t panel_;
    int64_t r_;
    int64_t begin_ = 0;  // of the group whose scale is known
    int64_t end_ = 0;
    float scale_ = 0;
    float minimum_ = 0;
};

// Scales and minimums of one register of rows.
struct Fold {
    F32 scale;
    F32 minimum;
    bool has_minimum;

    Fold() = default;

    [[gnu::always_inline]] Fold(const IntegerPanel& p, int64_t part, int v) : has_minimum(p.mins != nullptr) {
        const int64_t at = (part >> p.shift) * PANEL + v * LANES;
        if (p.scale_type == ScaleType::INT8) {  // products of 6 or 8 and 11 bits, which are exact
            const int64_t super = (part >> p.super_shift) * PANEL + v * LANES;
            scale = mul(load_s8(p.scales + at), load_f16(p.super_scales + super));
            minimum = has_minimum ? mul(load_s8(p.mins + at), load_f16(p.super_mins + super)) : zero();
        } else {
            scale = load_scales(p, p.scales, at);
            minimum = has_minimum ? load_scales(p, p.mins, at) : zero();
        }
    }

    [[gnu::always_inline]] static F32 load_scales(const IntegerPanel& p, const uint8_t* from, int64_t at) {
        return p.scale_type == ScaleType::FP16 ? load_f16(reinterpret_cast<const uint16_t*>(from) + at)
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
