// SSE4.2, the least that is supported on x86-64. It has neither FMA nor FP16 conversion.
#pragma once

#include <immintrin.h>

namespace demitasse::DM_ISA {

constexpr int LANES = 4;
using F32 = __m128;
using I32 = __m128i;

inline F32 zero() { return _mm_setzero_ps(); }
inline F32 set1(float v) { return _mm_set1_ps(v); }
inline F32 load(const float* p) { return _mm_loadu_ps(p); }
inline void store(float* p, F32 v) { _mm_storeu_ps(p, v); }
inline F32 add(F32 a, F32 b) { return _mm_add_ps(a, b); }
inline F32 sub(F32 a, F32 b) { return _mm_sub_ps(a, b); }
inline F32 mul(F32 a, F32 b) { return _mm_mul_ps(a, b); }
inline F32 div(F32 a, F32 b) { return _mm_div_ps(a, b); }
inline F32 max(F32 a, F32 b) { return _mm_max_ps(a, b); }
inline F32 min(F32 a, F32 b) { return _mm_min_ps(a, b); }
inline F32 fma(F32 a, F32 b, F32 c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
inline F32 abs(F32 a) { return _mm_andnot_ps(_mm_set1_ps(-0.0f), a); }

inline float reduce_max(F32 v) {
    __m128 m = v;
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
inline float reduce_add(F32 v) {
    __m128 s = v;
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

inline bool any_greater(F32 a, F32 b) { return _mm_movemask_ps(_mm_cmpgt_ps(a, b)) != 0; }
inline int32_t reduce_add(__m128i s) {
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}

inline I32 zero_i() { return _mm_setzero_si128(); }
inline I32 set1_i(int32_t v) { return _mm_set1_epi32(v); }
inline I32 load_i(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline void store_i(void* p, I32 v) { _mm_storeu_si128(static_cast<__m128i*>(p), v); }
inline I32 load_table(const int8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline I32 look_up(I32 table, I32 places) { return _mm_shuffle_epi8(table, places); }
inline I32 and_i(I32 a, I32 b) { return _mm_and_si128(a, b); }
inline I32 add_i(I32 a, I32 b) { return _mm_add_epi32(a, b); }
inline I32 sub_i(I32 a, I32 b) { return _mm_sub_epi32(a, b); }
inline I32 max_i(I32 a, I32 b) { return _mm_max_epi32(a, b); }
inline int32_t reduce_max(I32 v) {
    v = _mm_max_epi32(v, _mm_shuffle_epi32(v, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(v, _mm_shuffle_epi32(v, 0xB1)));
}
template <int N>
inline I32 shift_left(I32 a) {
    return _mm_slli_epi32(a, N);
}
template <int N>
inline I32 shift_right(I32 a) {
    return _mm_srai_epi32(a, N);
}
inline I32 as_i32(F32 a) { return _mm_castps_si128(a); }
inline F32 as_f32(I32 a) { return _mm_castsi128_ps(a); }
inline F32 to_f32(I32 a) { return _mm_cvtepi32_ps(a); }
inline I32 to_i32(F32 a) { return _mm_cvtps_epi32(a); }

inline void store_s8(int8_t* p, I32 v) {
    __m128i words = _mm_packs_epi32(v, v);
    int32_t bytes = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
    std::memcpy(p, &bytes, 4);
}

inline I32 low_nibbles(I32 a) { return _mm_and_si128(a, _mm_set1_epi8(15)); }
inline I32 high_nibbles(I32 a) { return _mm_and_si128(_mm_srli_epi16(a, 4), _mm_set1_epi8(15)); }

// Bits moved to FP32's places, and the exponent's bias made good by a multiplication; finite numbers only.
inline F32 widened(I32 magnitude, I32 sign, float bias) {
    return _mm_or_ps(_mm_mul_ps(as_f32(magnitude), set1(bias)), as_f32(sign));
}
// FP16 numbers, each in the lower half of a word.
inline F32 from_f16(I32 x) {
    I32 magnitude = shift_left<13>(_mm_and_si128(x, set1_i(0x7FFF)));
    I32 special = _mm_and_si128(_mm_cmpgt_epi32(magnitude, set1_i(0x0F7FFFFF)), set1_i(0x7F800000));
    F32 value = widened(magnitude, shift_left<16>(_mm_and_si128(x, set1_i(0x8000))), 5.192296858534828e33f);
    return _mm_or_ps(value, as_f32(special));
}
inline F32 load_f16(const uint16_t* p) {
    return from_f16(_mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline void load_f16_pairs(const float* p, F32& low, F32& high) {
    const I32 words = as_i32(load(p));
    low = from_f16(_mm_blend_epi16(words, _mm_setzero_si128(), 0xAA));
    high = from_f16(_mm_srli_epi32(words, 16));
}
inline F32 load_bf16(const uint16_t* p) {
    return as_f32(shift_left<16>(_mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))));
}
inline F32 load_s8(const uint8_t* p) {
    return to_f32(_mm_cvtepi8_epi32(_mm_cvtsi32_si128(word(reinterpret_cast<const int8_t*>(p)))));
}
template <int SHIFT>
inline F32 load_u4(const uint8_t* p) {
    const I32 bytes = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(word(reinterpret_cast<const int8_t*>(p))));
    return to_f32(SHIFT == 0 ? _mm_and_si128(bytes, set1_i(15)) : _mm_srli_epi32(bytes, 4));
}
inline F32 load_fp8(const uint8_t* p) {
    I32 x = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(word(reinterpret_cast<const int8_t*>(p))));
    I32 magnitude = shift_left<20>(_mm_and_si128(x, set1_i(0x7F)));
    return widened(magnitude, shift_left<24>(_mm_and_si128(x, set1_i(0x80))), 5.192296858534828e33f);
}

constexpr int BYTE_OFFSET = 0;
inline I32 prepare_bytes(I32 w) { return w; }

// Partial sums are pairs of 16 bits: a product pair is at most 2 x 15 x 127, and eight of them, at most 30,480, fit.
template <int N>
inline I32 add_nibbles(I32 s, const I32* w, const int8_t* a) {
    for (int i = 0; i < N; i++) {
        s = _mm_add_epi16(s, _mm_maddubs_epi16(w[i], set1_i(word(a + 4 * i))));
    }
    return s;
}
inline I32 sum_nibbles(I32 s) { return _mm_madd_epi16(s, _mm_set1_epi16(1)); }

// |w| a sign(w); pairs: at most 2 x 128 x 127 = 32,512, which fits 16 bits.
template <int N>
inline I32 add_bytes(I32 s, const I32* w, const int8_t* a) {
    for (int i = 0; i < N; i++) {
        I32 pairs = _mm_maddubs_epi16(_mm_abs_epi8(w[i]), _mm_sign_epi8(set1_i(word(a + 4 * i)), w[i]));
        s = add_i(s, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
    }
    return s;
}
template <int N>
inline I32 add_small(I32 s, const I32* w, const int8_t* a) {
    return add_bytes<N>(s, w, a);
}
inline I32 sum_bytes(I32 s, int32_t) { return s; }

// Two pairs of at most 2 x 63 x 127 make 32,004.
template <int N>
inline I32 add_six(I32 s, const I32* w, const int8_t* a) {
    for (int i = 0; i < N; i += 2) {
        const I32 pairs = _mm_add_epi16(_mm_maddubs_epi16(w[i], set1_i(word(a + 4 * i))),
                                        _mm_maddubs_epi16(w[i + 1], set1_i(word(a + 4 * i + 4))));
        s = add_i(s, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
    }
    return s;
}

}  // namespace demitasse::DM_ISA
