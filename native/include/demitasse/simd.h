// The few vector operations that kernels are written in, for the instruction set that the translation unit is compiled
// for.
//
// LANES FP32 or 32-bit elements fill a register (F32, I32). A kernel is written once over these; what differs between
// instruction sets is only here. Every name lies in a namespace of the instruction set (DM_ISA), and nothing here or in
// a kernel instantiates a template of the standard library, so that no code of one instruction set is linked into
// another's.
//
// Besides loads, stores and arithmetic each instruction set has
//   fma(a, b, c)              a b + c, rounded once (SSE4.2 has no such instruction, and rounds twice)
//   max(a, b), min(a, b)      the second where either is NaN (NEON: NaN)
//   reduce_max, reduce_add    over the lanes, upper with lower ones until one is left
//   any_greater(a, b)         whether a > b in any lane
//   load_f16, load_bf16       16-bit elements as FP32, exact
//   store_f16                 FP16, nearest, ties to even
//   load_s8                   signed bytes as FP32, exact
//   load_fp8                  FP8 E4M3 times 2^-8 as FP32, exact: what widening to FP16 by a shift gives
//   load_u4<SHIFT>(p)         four bits of each of LANES bytes, from bit SHIFT on, 0 or 4, as FP32, exact
//   load_f16_pairs            of LANES words the FP16 numbers in their lower and in their higher halves
//   load_u4_block(p, i)       elements i, a multiple of LANES, and on; eight bytes hold sixteen elements, the first
//                             eight in their lower bits
//   store_s8                  the lanes, which are within signed bytes, as LANES bytes
//   add_nibbles<N>(s, w, a)   adds N x 4 columns of weights 0 ... 15 times signed bytes to partial sums, at most 32
//                             columns in all
//   sum_nibbles(s)            the sums of such partial sums, exact
//   add_bytes, add_small      the same of signed bytes, and of those of a magnitude of at most 32, after prepare_bytes
//   sum_bytes(s, sum)         the sums; sum: the sum of the activations
//   and_i, add_s8             bits that both have; sums of signed bytes
//   load_table, look_up       sixteen bytes for all lanes; of each byte, 0 ... 15, what is at that place
//   add_six(s, w, a)          where there is no dot product: the same as add_bytes of weights 0 ... 63
// where LANES is 16,
//   exchange_halves(a, b)     the upper half of a and the lower half of b change places
// and, where it has a dot product of four bytes (DM_DOT),
//   dot(s, w, a)              adds four columns of weights 0 ... 15, or of prepared bytes, which are BYTE_OFFSET too
//                             large
//   mmla(s, w, a)             where it has it (DM_MMLA): adds two rows of eight columns by two, [w0 a0, w0 a1, w1 a0,
//                             w1 a1]
//   TILE_PANELS, TILE_ROWS    what a tile takes so that its sums fit the registers
#pragma once

#include <cstdint>
#include <cstring>

#ifndef DM_ISA
#error "DM_ISA names the namespace of the instruction set"
#endif

namespace demitasse::DM_ISA {

inline int32_t word(const int8_t* a) {
    int32_t value;
    std::memcpy(&value, a, 4);
    return value;
}

}  // namespace demitasse::DM_ISA

#if defined(DM_WITH_AMX)
#include "demitasse/simd_amx.h"
#elif defined(__AVX512VNNI__)
#include "demitasse/simd_avx512.h"
#elif defined(__AVX2__)
#include "demitasse/simd_avx2.h"
#elif defined(__SSE4_2__)
#include "demitasse/simd_sse42.h"
#elif defined(__ARM_NEON)
#include "demitasse/simd_neon.h"
#else
#error "No instruction set is known here"
#endif

namespace demitasse::DM_ISA {

constexpr int REGISTERS = 16 / LANES;  // registers of a panel

inline float fp16_to_float(uint16_t fp16) {
    uint32_t magnitude = static_cast<uint32_t>(fp16 & 0x7FFF) << 13;
    float value;
    std::memcpy(&value, &magnitude, 4);
    value *= 5.192296858534828e33f;  // 2^112: the difference of the exponents' biases
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if ((fp16 & 0x7C00) == 0x7C00) {
        bits |= 0x7F800000;
    }
    bits |= static_cast<uint32_t>(fp16 & 0x8000) << 16;
    std::memcpy(&value, &bits, 4);
    return value;
}

// Nearest, ties to even; what is beyond FP16 becomes infinite.
inline uint16_t float_to_fp16(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    uint32_t sign = bits >> 16 & 0x8000;
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000) {
        return static_cast<uint16_t>(sign | 0x7E00);
    }
    if (bits < 0x38800000) {  // subnormal: FP32's adder rounds at the right place
        float magnitude;
        std::memcpy(&magnitude, &bits, 4);
        magnitude += 0.5f;  // ulp 2^-24
        uint32_t rounded;
        std::memcpy(&rounded, &magnitude, 4);
        return static_cast<uint16_t>(sign | (rounded - 0x3F000000));
    }
    bits += 0xFFF + (bits >> 13 & 1);
    uint32_t fp16 = (bits >> 13) - (112 << 10);
    return static_cast<uint16_t>(sign | (fp16 > 0x7C00 ? 0x7C00 : fp16));
}

#if !defined(DM_LOAD_U4_BLOCK)
inline F32 load_u4_block(const uint8_t* p, int64_t i) {
    p += i / 16 * 8 + i % 8;
    return i % 16 < 8 ? load_u4<0>(p) : load_u4<4>(p);
}
#endif

#if !defined(DM_STORE_F16)
inline void store_f16(uint16_t* p, F32 v) {
    float lanes[LANES];
    store(lanes, v);
    for (int i = 0; i < LANES; i++) {
        p[i] = float_to_fp16(lanes[i]);
    }
}
#endif

// BF16: nearest, ties to even.
inline void store_bf16(uint16_t* p, F32 v) {
    float lanes[LANES];
    store(lanes, v);
    for (int i = 0; i < LANES; i++) {
        uint32_t bits;
        std::memcpy(&bits, lanes + i, 4);
        const uint32_t rounded = bits + 0x7FFF + (bits >> 16 & 1);
        const bool nan = (bits & 0x7FFFFFFF) > 0x7F800000;
        p[i] = static_cast<uint16_t>((nan ? bits | 0x400000 : rounded) >> 16);
    }
}

// FP8 E4M3 (Micikevicius et al., "FP8 Formats for Deep Learning", 2022): nearest, ties to even; |value| is at most 448.
inline uint8_t float_to_fp8(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    uint32_t sign = bits >> 24 & 0x80;
    bits &= 0x7FFFFFFF;
    float magnitude;
    std::memcpy(&magnitude, &bits, 4);
    magnitude *= 7.52316384526264e-37f;  // 2^-120: E4M3's exponent, subnormals included, in FP32's lowest bits
    std::memcpy(&bits, &magnitude, 4);
    bits += 0x7FFFF + (bits >> 20 & 1);
    return static_cast<uint8_t>(sign | bits >> 20);
}

// exp(x) = 2^n exp(r) with n = round(x / ln 2), r = x - n ln 2 in two parts, and exp(r) as its Taylor polynomial of
// degree 7 on |r| <= 0.347: a relative error below 2e-7. Arguments are clamped to [-87.3, 88.3], where FP32 ends; NaN
// stays NaN, which is why the argument stands second.
inline F32 exp(F32 value) {
    const F32 round = set1(12582912.0f);  // 1.5 * 2^23: adding it leaves the rounded integer in the low bits
    F32 x = min(set1(88.3f), max(set1(-87.3f), value));
    F32 shifted = fma(x, set1(1.44269504f), round);
    F32 n = sub(shifted, round);
    F32 r = fma(n, set1(-0.693359375f), x);
    r = fma(n, set1(2.12194440e-4f), r);
    F32 p = set1(1.0f / 5040);
    p = fma(p, r, set1(1.0f / 720));
    p = fma(p, r, set1(1.0f / 120));
    p = fma(p, r, set1(1.0f / 24));
    p = fma(p, r, set1(1.0f / 6));
    p = fma(p, r, set1(0.5f));
    p = fma(p, r, set1(1.0f));
    p = fma(p, r, set1(1.0f));
    I32 exponent = sub_i(as_i32(shifted), set1_i(0x4B400000));
    return as_f32(add_i(as_i32(p), shift_left<23>(exponent)));
}

// Whether all numbers are finite.
inline bool all_finite(const float* x, int64_t count) {
    uint32_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        std::memcpy(&bits, x + i, 4);
        found |= (bits & 0x7F800000) == 0x7F800000 ? 1 : 0;
    }
    return found == 0;
}

inline float exp(float value) {
    float lanes[LANES];
    store(lanes, exp(set1(value)));
    return lanes[0];
}

inline F32 sigmoid(F32 x) { return div(set1(1), add(exp(sub(zero(), x)), set1(1))); }

// 1 - 2 / (exp(2 x) + 1): an absolute error below 2e-7.
inline F32 tanh(F32 x) { return sub(set1(1), div(set1(2), add(exp(add(x, x)), set1(1)))); }

// The first count lanes, others 0.
inline F32 load_part(const float* from, int count) {
    float lanes[LANES] = {};
    for (int i = 0; i < count; i++) {
        lanes[i] = from[i];
    }
    return load(lanes);
}

inline void store_part(float* to, F32 value, int count) {
    float lanes[LANES];
    store(lanes, value);
    for (int i = 0; i < count; i++) {
        to[i] = lanes[i];
    }
}

// Applies f to blocks of a range, the last one filled with zeros so that every element has the same function.
template <class F>
inline void for_lanes(int64_t from, int64_t to, F f) {
    int64_t i = from;
    for (; i + LANES <= to; i += LANES) {
        f(i, LANES);
    }
    if (i < to) {
        f(i, static_cast<int>(to - i));
    }
}

inline F32 load_lanes(const float* from, int count) { return count == LANES ? load(from) : load_part(from, count); }

inline void store_lanes(float* to, F32 value, int count) {
    if (count == LANES) {
        store(to, value);
    } else {
        store_part(to, value, count);
    }
}

}  // namespace demitasse::DM_ISA
