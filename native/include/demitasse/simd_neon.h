// AArch64 NEON; with the dot-product and matrix-multiply instructions where the translation unit has them.
#pragma once

#include <arm_neon.h>

namespace demitasse::DM_ISA {

constexpr int LANES = 4;
using F32 = float32x4_t;
using I32 = int32x4_t;

inline F32 zero() { return vdupq_n_f32(0); }
inline F32 set1(float v) { return vdupq_n_f32(v); }
inline F32 load(const float* p) { return vld1q_f32(p); }
inline void store(float* p, F32 v) { vst1q_f32(p, v); }
inline F32 add(F32 a, F32 b) { return vaddq_f32(a, b); }
inline F32 sub(F32 a, F32 b) { return vsubq_f32(a, b); }
inline F32 mul(F32 a, F32 b) { return vmulq_f32(a, b); }
inline F32 div(F32 a, F32 b) { return vdivq_f32(a, b); }
inline F32 max(F32 a, F32 b) { return vmaxq_f32(a, b); }
inline F32 min(F32 a, F32 b) { return vminq_f32(a, b); }
inline F32 fma(F32 a, F32 b, F32 c) { return vfmaq_f32(c, a, b); }
inline F32 abs(F32 a) { return vabsq_f32(a); }

inline float reduce_max(F32 v) { return vmaxvq_f32(v); }
inline float reduce_add(F32 v) { return vaddvq_f32(v); }

inline bool any_greater(F32 a, F32 b) { return vmaxvq_u32(vcgtq_f32(a, b)) != 0; }
inline int32_t reduce_add(I32 v) { return vaddvq_s32(v); }

inline I32 zero_i() { return vdupq_n_s32(0); }
inline I32 set1_i(int32_t v) { return vdupq_n_s32(v); }
inline I32 load_i(const void* p) { return vreinterpretq_s32_s8(vld1q_s8(static_cast<const int8_t*>(p))); }
inline void store_i(void* p, I32 v) { vst1q_s8(static_cast<int8_t*>(p), vreinterpretq_s8_s32(v)); }
inline I32 load_table(const int8_t* p) { return vreinterpretq_s32_s8(vld1q_s8(p)); }
inline I32 look_up(I32 table, I32 places) {
    return vreinterpretq_s32_s8(vqtbl1q_s8(vreinterpretq_s8_s32(table), vreinterpretq_u8_s32(places)));
}
inline I32 and_i(I32 a, I32 b) { return vandq_s32(a, b); }
inline I32 add_s8(I32 a, I32 b) {
    return vreinterpretq_s32_s8(vaddq_s8(vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)));
}
inline I32 add_i(I32 a, I32 b) { return vaddq_s32(a, b); }
inline I32 sub_i(I32 a, I32 b) { return vsubq_s32(a, b); }
inline I32 max_i(I32 a, I32 b) { return vmaxq_s32(a, b); }
inline int32_t reduce_max(I32 v) { return vmaxvq_s32(v); }
template <int N>
inline I32 shift_left(I32 a) {
    return vshlq_n_s32(a, N);
}
template <int N>
inline I32 shift_right(I32 a) {
    return vshrq_n_s32(a, N);
}
inline I32 as_i32(F32 a) { return vreinterpretq_s32_f32(a); }
inline F32 as_f32(I32 a) { return vreinterpretq_f32_s32(a); }
inline F32 to_f32(I32 a) { return vcvtq_f32_s32(a); }
inline I32 to_i32(F32 a) { return vcvtnq_s32_f32(a); }

inline void store_s8(int8_t* p, I32 v) {
    int16x4_t words = vmovn_s32(v);
    int32_t bytes = vget_lane_s32(vreinterpret_s32_s8(vmovn_s16(vcombine_s16(words, words))), 0);
    std::memcpy(p, &bytes, 4);
}

inline I32 low_nibbles(I32 a) { return vreinterpretq_s32_u8(vandq_u8(vreinterpretq_u8_s32(a), vdupq_n_u8(15))); }
inline I32 high_nibbles(I32 a) { return vreinterpretq_s32_u8(vshrq_n_u8(vreinterpretq_u8_s32(a), 4)); }

inline F32 load_f16(const uint16_t* p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
#define DM_STORE_F16
inline void store_f16(uint16_t* p, F32 v) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v))); }
inline F32 load_bf16(const uint16_t* p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
inline int8x8_t load_four(const uint8_t* p) {
    return vreinterpret_s8_s32(vdup_n_s32(word(reinterpret_cast<const int8_t*>(p))));
}
inline F32 load_s8(const uint8_t* p) { return to_f32(vmovl_s16(vget_low_s16(vmovl_s8(load_four(p))))); }
template <int SHIFT>
inline F32 load_u4(const uint8_t* p) {
    const uint8x8_t bytes = vreinterpret_u8_s8(load_four(p));
    const uint8x8_t four = SHIFT == 0 ? vand_u8(bytes, vdup_n_u8(15)) : vshr_n_u8(bytes, 4);
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(four))));
}
inline void load_f16_pairs(const float* p, F32& low, F32& high) {
    const uint32x4_t words = vreinterpretq_u32_f32(load(p));
    low = vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(words)));
    high = vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32(words, 16)));
}
inline F32 load_fp8(const uint8_t* p) {
    int16x4_t x = vshl_n_s16(vget_low_s16(vmovl_s8(load_four(p))), 7);
    return vcvt_f32_f16(vreinterpret_f16_s16(vand_s16(x, vdup_n_s16(static_cast<int16_t>(0xBFFF)))));
}

constexpr int BYTE_OFFSET = 0;
inline I32 prepare_bytes(I32 w) { return w; }

#if defined(__ARM_FEATURE_DOTPROD)
#define DM_DOT
constexpr int TILE_PANELS = 1;
constexpr int TILE_ROWS = 4;
inline I32 dot(I32 s, I32 w, I32 a) { return vdotq_s32(s, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(a)); }
#endif

#if defined(__ARM_FEATURE_MATMUL_INT8)
#define DM_MMLA
inline I32 mmla(I32 s, I32 w, I32 a) { return vmmlaq_s32(s, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(a)); }
inline I32 even_lanes(I32 a, I32 b) { return vuzp1q_s32(a, b); }
inline I32 odd_lanes(I32 a, I32 b) { return vuzp2q_s32(a, b); }
inline I32 low_lanes(I32 a, I32 b) { return vzip1q_s32(a, b); }
inline I32 high_lanes(I32 a, I32 b) { return vzip2q_s32(a, b); }
inline I32 load_pair(const int8_t* a, const int8_t* b) {
    return vreinterpretq_s32_s8(vcombine_s8(vld1_s8(a), vld1_s8(b)));
}
#endif

template <int N>
inline I32 add_bytes(I32 s, const I32* w, const int8_t* a) {
    for (int i = 0; i < N; i++) {
        int8x16_t x = vreinterpretq_s8_s32(w[i]);
        int8x16_t y = vreinterpretq_s8_s32(set1_i(word(a + 4 * i)));
#if defined(__ARM_FEATURE_DOTPROD)
        s = vdotq_s32(s, x, y);
#else
        // Products in 16 bits, then adjacent pairs twice: four columns of a row.
        int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(y));
        int16x8_t high = vmull_high_s8(x, y);
        s = add_i(s, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
#endif
    }
    return s;
}
inline I32 sum_bytes(I32 s, int32_t) { return s; }
template <int N>
inline I32 add_small(I32 s, const I32* w, const int8_t* a) {
    return add_bytes<N>(s, w, a);
}
template <int N>
inline I32 add_nibbles(I32 s, const I32* w, const int8_t* a) {
    return add_bytes<N>(s, w, a);
}
inline I32 sum_nibbles(I32 s) { return s; }
template <int N>
inline I32 add_six(I32 s, const I32* w, const int8_t* a) {
    return add_bytes<N>(s, w, a);
}

}  // namespace demitasse::DM_ISA
