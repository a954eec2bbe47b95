// AVX-512 and VNNI in portable C, so that the kernels for them are also tested on machines without them. SIMDe 0.7.4
// lacks some functions, which are added here. DEMITASSE_SIMDE is the width of the registers.
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>

inline simde__m512 demitasse_cvtepi32_ps(simde__m512i a) {
    simde__m512_private to;
    simde__m512i_private from = simde__m512i_to_private(a);
    for (int i = 0; i < 16; i++) {
        to.f32[i] = static_cast<float>(from.i32[i]);
    }
    return simde__m512_from_private(to);
}

// Nearest, ties to even, as the default rounding mode has it.
inline simde__m512i demitasse_cvtps_epi32(simde__m512 a) {
    simde__m512i_private to;
    simde__m512_private from = simde__m512_to_private(a);
    for (int i = 0; i < 16; i++) {
        to.i32[i] = static_cast<int>(__builtin_nearbyintf(from.f32[i]));
    }
    return simde__m512i_from_private(to);
}

inline simde__m512 demitasse_cvtph_ps(simde__m256i a) {
    simde__m512_private to;
    simde__m256i_private from = simde__m256i_to_private(a);
    for (int i = 0; i < 16; i++) {
        to.f32[i] = simde_float16_to_float32(simde_uint16_as_float16(from.u16[i]));
    }
    return simde__m512_from_private(to);
}

inline simde__m512i demitasse_cvtepi8_epi32(simde__m128i a) {
    simde__m512i_private to;
    simde__m128i_private from = simde__m128i_to_private(a);
    for (int i = 0; i < 16; i++) {
        to.i32[i] = from.i8[i];
    }
    return simde__m512i_from_private(to);
}

inline simde__m512i demitasse_cvtepu16_epi32(simde__m256i a) {
    simde__m512i_private to;
    simde__m256i_private from = simde__m256i_to_private(a);
    for (int i = 0; i < 16; i++) {
        to.i32[i] = from.u16[i];
    }
    return simde__m512i_from_private(to);
}

inline simde__m128i demitasse_cvtepi32_epi8(simde__m512i a) {
    simde__m128i_private to;
    simde__m512i_private from = simde__m512i_to_private(a);
    for (int i = 0; i < 16; i++) {
        to.i8[i] = static_cast<int8_t>(from.i32[i]);
    }
    return simde__m128i_from_private(to);
}

inline simde__m512i demitasse_srai_epi32(simde__m512i a, int count) {
    simde__m512i_private v = simde__m512i_to_private(a);
    for (int i = 0; i < 16; i++) {
        v.i32[i] >>= count;
    }
    return simde__m512i_from_private(v);
}

#define _mm512_srai_epi32 demitasse_srai_epi32
#define _mm512_cvtepi32_epi8 demitasse_cvtepi32_epi8
#define _mm512_cvtepi8_epi32 demitasse_cvtepi8_epi32
#undef _mm512_cvtepu16_epi32
#define _mm512_cvtepu16_epi32 demitasse_cvtepu16_epi32
#define _mm512_cvtph_ps demitasse_cvtph_ps
#define _mm512_cvtps_epi32 demitasse_cvtps_epi32
#define _mm512_cvtepi32_ps demitasse_cvtepi32_ps
#define _mm256_dpbusd_avx_epi32 simde_mm256_dpbusd_epi32

#if DEMITASSE_SIMDE == 512
#define __AVX512VNNI__ 1
#else
#define __AVXVNNI__ 1
#endif
