// AVX2 with FMA and F16C; with AVX-VNNI where the translation unit has it.
#pragma once

#include <immintrin.h>

namespace demitasse::DM_ISA {

constexpr int LANES = 8;
using F32 = __m256;
using I32 = __m256i;

inline F32 zero() { return _mm256_setzero_ps(); }
inline F32 set1(float v) { return _mm256_set1_ps(v); }
inline F32 load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, F32 v) { _mm256_storeu_ps(p, v); }
inline F32 add(F32 a, F32 b) { return _mm256_add_ps(a, b); }
inline F32 sub(F32 a, F32 b) { return _mm256_sub_ps(a, b); }
inline F32 mul(F32 a, F32 b) { return _mm256_mul_ps(a, b); }
inline F32 div(F32 a, F32 b) { return _mm256_div_ps(a, b); }
inline F32 max(F32 a, F32 b) { return _mm256_max_ps(a, b); }
inline F32 min(F32 a, F32 b) { return _mm256_min_ps(a, b); }
inline F32 fma(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }
inline F32 abs(F32 a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }

inline float reduce_max(F32 v) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
inline float reduce_add(F32 v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

inline bool any_greater(F32 a, F32 b) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0; }
inline int32_t reduce_add(I32 v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}

inline I32 zero_i() { return _mm256_setzero_si256(); }
inline I32 set1_i(int32_t v) { return _mm256_set1_epi32(v); }
inline I32 load_i(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline void store_i(void* p, I32 v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
inline I32 load_table(const int8_t* p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline I32 look_up(I32 table, I32 places) { return _mm256_shuffle_epi8(table, places); }
inline I32 and_i(I32 a, I32 b) { return _mm256_and_si256(a, b); }
inline I32 add_s8(I32 a, I32 b) { return _mm256_add_epi8(a, b); }
inline I32 add_i(I32 a, I32 b) { return _mm256_add_epi32(a, b); }
inline I32 sub_i(I32 a, I32 b) { return _mm256_sub_epi32(a, b); }
inline I32 max_i(I32 a, I32 b) { return _mm256_max_epi32(a, b); }
inline int32_t reduce_max(I32 v) {
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xB1)));
}
template <int N>
inline I32 shift_left(I32 a) {
    return _mm256_slli_epi32(a, N);
}
template <int N>
inline I32 shift_right(I32 a) {
    return _mm256_srai_epi32(a, N);
}
inline I32 as_i32(F32 a) { return _mm256_castps_si256(a); }
inline F32 as_f32(I32 a) { return _mm256_castsi256_ps(a); }
inline F32 to_f32(I32 a) { return _mm256_cvtepi32_ps(a); }
inline I32 to_i32(F32 a) { return _mm256_cvtps_epi32(a); }

inline void store_s8(int8_t* p, I32 v) {
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
}

inline I32 low_nibbles(I32 a) { return _mm256_and_si256(a, _mm256_set1_epi8(15)); }
inline I32 high_nibbles(I32 a) { return _mm256_and_si256(_mm256_srli_epi16(a, 4), _mm256_set1_epi8(15)); }

inline F32 load_f16(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
#define DM_STORE_F16
inline void store_f16(uint16_t* p, F32 v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
inline F32 load_bf16(const uint16_t* p) {
    return as_f32(shift_left<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))));
}
inline F32 load_s8(const uint8_t* p) {
    return to_f32(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
// Lower bits go up and come back, and need no register for a mask: attention's sums fill all the others.
template <int SHIFT>
inline F32 load_u4(const uint8_t* p) {
    const I32 bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    return to_f32(_mm256_srli_epi32(SHIFT == 0 ? _mm256_slli_epi32(bytes, 28) : bytes, SHIFT == 0 ? 28 : SHIFT));
}
inline void load_f16_pairs(const float* p, F32& low, F32& high) {
    const I32 words = as_i32(load(p));
    const I32 halves =
        _mm256_packus_epi32(_mm256_blend_epi16(words, _mm256_setzero_si256(), 0xAA), _mm256_srli_epi32(words, 16));
    const I32 ordered = _mm256_permute4x64_epi64(halves, 0xD8);
    low = _mm256_cvtph_ps(_mm256_castsi256_si128(ordered));
    high = _mm256_cvtph_ps(_mm256_extracti128_si256(ordered, 1));
}
inline F32 load_fp8(const uint8_t* p) {
    __m128i x = _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    return _mm256_cvtph_ps(_mm_and_si128(_mm_slli_epi16(x, 7), _mm_set1_epi16(static_cast<short>(0xBFFF))));
}

#if defined(__AVXVNNI__)

// The multiplier takes unsigned by signed bytes: weights are moved up by 128, and 128 times the activations' sum is
// taken off.
constexpr int BYTE_OFFSET = 128;
inline I32 prepare_bytes(I32 w) { return _mm256_xor_si256(w, _mm256_set1_epi8(static_cast<char>(0x80))); }

#define DM_DOT
constexpr int TILE_PANELS = 1;
constexpr int TILE_ROWS = 4;
inline I32 dot(I32 s, I32 w, I32 a) { return _mm256_dpbusd_avx_epi32(s, w, a); }

template <int N>
inline I32 add_nibbles(I32 s, const I32* w, const int8_t* a) {
#pragma GCC unroll 8
    for (int i = 0; i < N; i++) {
        s = _mm256_dpbusd_avx_epi32(s, w[i], set1_i(word(a + 4 * i)));
    }
    return s;
}
inline I32 sum_nibbles(I32 s) { return s; }
template <int N>
inline I32 add_bytes(I32 s, const I32* w, const int8_t* a) {
    return add_nibbles<N>(s, w, a);
}
template <int N>
inline I32 add_small(I32 s, const I32* w, const int8_t* a) {
    return add_nibbles<N>(s, w, a);
}
inline I32 sum_bytes(I32 s, int32_t sum) { return sub_i(s, set1_i(BYTE_OFFSET * sum)); }

#else

constexpr int BYTE_OFFSET = 0;
inline I32 prepare_bytes(I32 w) { return w; }

// Partial sums are pairs of 16 bits: a product pair is at most 2 x 15 x 127, and eight of them, at most 30,480, fit.
template <int N>
inline I32 add_nibbles(I32 s, const I32* w, const int8_t* a) {
    I32 other = _mm256_maddubs_epi16(w[1], set1_i(word(a + 4)));  // two chains hide the latency
    s = _mm256_add_epi16(s, _mm256_maddubs_epi16(w[0], set1_i(word(a))));
#pragma GCC unroll 8
    for (int i = 2; i < N; i += 2) {
        s = _mm256_add_epi16(s, _mm256_maddubs_epi16(w[i], set1_i(word(a + 4 * i))));
        other = _mm256_add_epi16(other, _mm256_maddubs_epi16(w[i + 1], set1_i(word(a + 4 * i + 4))));
    }
    return _mm256_add_epi16(s, other);
}
inline I32 sum_nibbles(I32 s) { return _mm256_madd_epi16(s, _mm256_set1_epi16(1)); }

// |w| a sign(w); pairs: at most 2 x 128 x 127 = 32,512, which fits 16 bits.
inline I32 signed_pairs(I32 w, int32_t a) {
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(set1_i(a), w));
}

template <int N>
inline I32 add_bytes(I32 s, const I32* w, const int8_t* a) {
#pragma GCC unroll 8
    for (int i = 0; i < N; i++) {
        s = add_i(s, _mm256_madd_epi16(signed_pairs(w[i], word(a + 4 * i)), _mm256_set1_epi16(1)));
    }
    return s;
}

// Four pairs of at most 2 x 32 x 127 make 32,512.
template <int N>
inline I32 add_small(I32 s, const I32* w, const int8_t* a) {
#pragma GCC unroll 8
    for (int i = 0; i < N; i += 4) {
        I32 p0 = _mm256_add_epi16(signed_pairs(w[i], word(a + 4 * i)), signed_pairs(w[i + 1], word(a + 4 * i + 4)));
        I32 p1 =
            _mm256_add_epi16(signed_pairs(w[i + 2], word(a + 4 * i + 8)), signed_pairs(w[i + 3], word(a + 4 * i + 12)));
        s = add_i(s, _mm256_madd_epi16(_mm256_add_epi16(p0, p1), _mm256_set1_epi16(1)));
    }
    return s;
}
inline I32 sum_bytes(I32 s, int32_t) { return s; }

// Two pairs of at most 2 x 63 x 127 make 32,004.
template <int N>
inline I32 add_six(I32 s, const I32* w, const int8_t* a) {
#pragma GCC unroll 4
    for (int i = 0; i < N; i += 2) {
        const I32 pairs = _mm256_add_epi16(_mm256_maddubs_epi16(w[i], set1_i(word(a + 4 * i))),
                                           _mm256_maddubs_epi16(w[i + 1], set1_i(word(a + 4 * i + 4))));
        s = add_i(s, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    return s;
}

#endif

}  // namespace demitasse::DM_ISA
