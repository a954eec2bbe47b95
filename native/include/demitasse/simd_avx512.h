// AVX-512 F, BW, VL and VNNI: a register holds a panel's 16 rows.
#pragma once

#include <immintrin.h>

namespace demitasse::DM_ISA {

constexpr int LANES = 16;
using F32 = __m512;
using I32 = __m512i;

inline F32 zero() { return _mm512_setzero_ps(); }
inline F32 set1(float v) { return _mm512_set1_ps(v); }
inline F32 load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, F32 v) { _mm512_storeu_ps(p, v); }
inline F32 add(F32 a, F32 b) { return _mm512_add_ps(a, b); }
inline F32 sub(F32 a, F32 b) { return _mm512_sub_ps(a, b); }
inline F32 mul(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
inline F32 div(F32 a, F32 b) { return _mm512_div_ps(a, b); }
inline F32 max(F32 a, F32 b) { return _mm512_max_ps(a, b); }
inline F32 min(F32 a, F32 b) { return _mm512_min_ps(a, b); }
inline F32 fma(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }
inline F32 abs(F32 a) {
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(0x7FFFFFFF)));
}

inline __m256i upper_lanes(I32 v) { return _mm512_extracti64x4_epi64(v, 1); }

inline float reduce_max(F32 v) {
    __m256 a = _mm256_max_ps(_mm512_castps512_ps256(v), _mm256_castsi256_ps(upper_lanes(_mm512_castps_si512(v))));
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
inline float reduce_add(F32 v) {
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm256_castsi256_ps(upper_lanes(_mm512_castps_si512(v))));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline bool any_greater(F32 a, F32 b) {
#if defined(DEMITASSE_SIMDE)
    float x[LANES];
    float y[LANES];
    store(x, a);
    store(y, b);
    bool any = false;
    for (int i = 0; i < LANES; i++) {
        any |= x[i] > y[i];
    }
    return any;
#else
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0;
#endif
}
inline int32_t reduce_add(I32 v) {
    __m256i a = _mm256_add_epi32(_mm512_castsi512_si256(v), upper_lanes(v));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}

inline I32 zero_i() { return _mm512_setzero_si512(); }
inline I32 set1_i(int32_t v) { return _mm512_set1_epi32(v); }
inline I32 load_i(const void* p) { return _mm512_loadu_si512(p); }
inline void store_i(void* p, I32 v) { _mm512_storeu_si512(p, v); }
inline I32 load_table(const int8_t* p) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline I32 look_up(I32 table, I32 places) { return _mm512_shuffle_epi8(table, places); }
inline I32 and_i(I32 a, I32 b) { return _mm512_and_si512(a, b); }
inline I32 add_s8(I32 a, I32 b) { return _mm512_add_epi8(a, b); }
inline I32 add_i(I32 a, I32 b) { return _mm512_add_epi32(a, b); }
inline I32 sub_i(I32 a, I32 b) { return _mm512_sub_epi32(a, b); }
inline I32 max_i(I32 a, I32 b) { return _mm512_max_epi32(a, b); }
inline int32_t reduce_max(I32 v) {
    __m256i a = _mm256_max_epi32(_mm512_castsi512_si256(v), upper_lanes(v));
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xB1)));
}
template <int N>
inline I32 shift_left(I32 a) {
    return _mm512_slli_epi32(a, N);
}
template <int N>
inline I32 shift_right(I32 a) {
    return _mm512_srai_epi32(a, N);
}
inline I32 as_i32(F32 a) { return _mm512_castps_si512(a); }
inline F32 as_f32(I32 a) { return _mm512_castsi512_ps(a); }
inline F32 to_f32(I32 a) { return _mm512_cvtepi32_ps(a); }
inline I32 to_i32(F32 a) { return _mm512_cvtps_epi32(a); }

inline void store_s8(int8_t* p, I32 v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v)); }

inline I32 low_nibbles(I32 a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
inline I32 high_nibbles(I32 a) { return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15)); }

inline F32 load_f16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
#if !defined(DEMITASSE_SIMDE)
#define DM_STORE_F16
inline void store_f16(uint16_t* p, F32 v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
#endif
inline F32 load_bf16(const uint16_t* p) {
    return as_f32(shift_left<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))));
}
inline F32 load_s8(const uint8_t* p) {
    return to_f32(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
template <int SHIFT>
inline F32 load_u4(const uint8_t* p) {
    const I32 bytes = _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    const F32 levels = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_permutexvar_ps(SHIFT == 0 ? bytes : _mm512_srli_epi32(bytes, SHIFT), levels);  // by four bits
}
inline void exchange_halves(F32& a, F32& b) {
    const I32 lower_halves = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
    const F32 lower = _mm512_permutex2var_ps(a, lower_halves, b);
    b = _mm512_permutex2var_ps(a, _mm512_add_epi32(lower_halves, set1_i(8)), b);
    a = lower;
}
inline __m256i packed_u16(I32 words) {  // each below 65536
    const __m256i halves = _mm256_packus_epi32(_mm512_castsi512_si256(words), _mm512_extracti64x4_epi64(words, 1));
    return _mm256_permute4x64_epi64(halves, 0xD8);
}
inline void load_f16_pairs(const float* p, F32& low, F32& high) {
    const I32 words = as_i32(load(p));
    low = _mm512_cvtph_ps(packed_u16(_mm512_and_si512(words, set1_i(0xFFFF))));
    high = _mm512_cvtph_ps(packed_u16(_mm512_srli_epi32(words, 16)));
}
#define DM_LOAD_U4_BLOCK
inline F32 load_u4_block(const uint8_t* p, int64_t i) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + i / 2));
    const __m128i all = _mm_unpacklo_epi64(bytes, _mm_srli_epi16(bytes, 4));
    return to_f32(_mm512_cvtepi8_epi32(_mm_and_si128(all, _mm_set1_epi8(15))));
}
inline F32 load_fp8(const uint8_t* p) {
    __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm512_cvtph_ps(_mm256_and_si256(_mm256_slli_epi16(x, 7), _mm256_set1_epi16(static_cast<short>(0xBFFF))));
}

// The multiplier takes unsigned by signed bytes: weights are moved up by 128, and 128 times the activations' sum is
// taken off.
constexpr int BYTE_OFFSET = 128;
inline I32 prepare_bytes(I32 w) { return _mm512_xor_si512(w, _mm512_set1_epi8(static_cast<char>(0x80))); }

#define DM_DOT
constexpr int TILE_PANELS = 3;
constexpr int TILE_ROWS = 8;
// The compiler copies registers around the intrinsic, and lacks them in a tile.
inline I32 dot(I32 s, I32 w, I32 a) {
#if defined(DEMITASSE_SIMDE)
    return _mm512_dpbusd_epi32(s, w, a);
#else
    asm("vpdpbusd %2, %1, %0" : "+v"(s) : "v"(w), "v"(a));
    return s;
#endif
}

template <int N>
inline I32 add_nibbles(I32 s, const I32* w, const int8_t* a) {
    I32 other = zero_i();  // two chains hide the latency
#pragma GCC unroll 8
    for (int i = 0; i < N; i += 2) {
        s = _mm512_dpbusd_epi32(s, w[i], set1_i(word(a + 4 * i)));
        other = _mm512_dpbusd_epi32(other, w[i + 1], set1_i(word(a + 4 * i + 4)));
    }
    return add_i(s, other);
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

}  // namespace demitasse::DM_ISA
