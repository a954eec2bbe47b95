// The pages of a key-value cache as attention reads them: elements as they lie, or widened to FP32, with the scales and
// minimums of their groups.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

// A page's elements as `Load` reads them, what they are to be multiplied by, and where those of the next page are.
struct PageElements {
    const uint8_t* keys;          // [element][position]
    const uint8_t* values;        // [position][element]
    const float* key_scales;      // or null
    const float* value_scales;    // or null
    const float* key_minimums;    // or null
    const float* value_minimums;  // or null
    const uint8_t* next_keys;
    const uint8_t* next_values;
};

inline F32 load_f32_bytes(const uint8_t* p) { return load(reinterpret_cast<const float*>(p)); }
inline F32 load_f16_bytes(const uint8_t* p) { return load_f16(reinterpret_cast<const uint16_t*>(p)); }

// How elements of a cache's type become FP32: LANES positions of element d + ODD from position p on, d even, and LANES
// elements of a page's values from number i + J x LANES on, i a multiple of 16 where N x LANES, J < N, is one. Where
// values come in pairs and N is even, registers J and J + 1, J even, hold the lower halves of those elements, and the
// upper ones.
template <int BYTES, F32 (*LOAD)(const uint8_t*)>
struct LoadBytes {
    static constexpr int BITS = 8 * BYTES;
    static constexpr bool PAIRS = false;
    template <int ODD>
    static F32 keys(const uint8_t* page, int64_t d, int p) {
        return LOAD(page + ((d + ODD) * PAGE + p) * BYTES);
    }
    template <int J, int N>
    static F32 values(const uint8_t* page, int64_t i) {
        return LOAD(page + (i + J * LANES) * BYTES);
    }
};
using LoadF32 = LoadBytes<4, load_f32_bytes>;
struct LoadInt4 {
    static constexpr int BITS = 4;
    // Sixteen bytes hold two registers' elements, the first eight of each sixteen in their lower bits.
    static constexpr bool PAIRS = LANES == 16;
    template <int ODD>
    static F32 keys(const uint8_t* page, int64_t d, int p) {
        return load_u4<4 * ODD>(page + d / 2 * PAGE + p);
    }
    template <int J, int N>
    static F32 values(const uint8_t* page, int64_t i) {
        constexpr int AT = J * LANES;
        if constexpr (PAIRS && N % 2 == 0) {
            return load_u4<J % 2 * 4>(page + i / 2 + J / 2 * LANES);
        } else if constexpr (LANES < 16 && N * LANES % 16 == 0) {
            return load_u4<AT % 16 / 8 * 4>(page + i / 2 + AT / 16 * 8 + AT % 8);
        } else {
            return load_u4_block(page, i + AT);
        }
    }
};

// f.operator()<0>() ... f.operator()<N - 1>(), unrolled.
template <int N, int I = 0, class F>
__attribute__((always_inline)) inline void unrolled(F& f) {
    if constexpr (I < N) {
        f.template operator()<I>();
        unrolled<N, I + 1>(f);
    }
}

template <class F>
inline void with_load(KvType type, F f) {
    switch (type) {
        case KvType::F32:
            return f(LoadF32());
        case KvType::F16:
            return f(LoadBytes<2, load_f16_bytes>());
        case KvType::INT8:
            return f(LoadBytes<1, load_s8>());
        case KvType::FP8:
            return f(LoadBytes<1, load_fp8>());
        case KvType::INT4:
            return f(LoadInt4());
    }
}

// Widened keys and then values, with the scales and minimums [group][position] of `page`.
inline void scale_page(int64_t dim, const PageElements& page, float* widened) {
    for (int64_t d = 0; d < dim; d++) {
        for (int p = 0; p < PAGE; p += LANES) {
            const int64_t group = d / SCALE_GROUP * PAGE + p;
            float* at = widened + d * PAGE + p;
            const F32 minimum = page.key_minimums == nullptr ? zero() : load(page.key_minimums + group);
            store(at, fma(load(at), load(page.key_scales + group), minimum));
        }
    }
    float* values = widened + dim * PAGE;
    for (int64_t p = 0; p < PAGE; p++) {
        for (int64_t d = 0; d < dim; d += LANES) {
            const int64_t group = d / SCALE_GROUP * PAGE + p;
            float* at = values + p * dim + d;
            const float minimum = page.value_minimums == nullptr ? 0 : page.value_minimums[group];
            store(at, fma(load(at), set1(page.value_scales[group]), set1(minimum)));
        }
    }
}

// Scales and minimums out of words of both.
inline void split_words(const float* words, int64_t count, float* scales, float* minimums) {
    for (int64_t i = 0; i < count; i += LANES) {
        F32 scale;
        F32 minimum;
        load_f16_pairs(words + i, scale, minimum);
        store(scales + i, scale);
        store(minimums + i, minimum);
    }
}

// A page as it lies, and where the next one does: pages lie apart from each other, so the processor cannot tell which
// comes next. `words`: room for 4 numbers a group and position.
inline PageElements page_elements(const KvPages& kv, int64_t layer, int64_t page, int64_t next, int64_t head,
                                  float* words) {
    const int64_t bytes = kv.block_bytes();
    const int64_t block = kv.block(layer, page, head);
    const int64_t after = kv.block(layer, next, head);
    const int64_t count = kv.scale_groups() * PAGE;
    const int64_t scales = block * count;
    for (int64_t i = 0; kv.key_scales != nullptr && i < count; i += 64 / sizeof(float)) {
        __builtin_prefetch(kv.key_scales + after * count + i);
        __builtin_prefetch(kv.value_scales + after * count + i);
    }
    PageElements elements{kv.keys + block * bytes,
                          kv.values + block * bytes,
                          kv.key_scales == nullptr ? nullptr : kv.key_scales + scales,
                          kv.value_scales == nullptr ? nullptr : kv.value_scales + scales,
                          nullptr,
                          nullptr,
                          kv.keys + after * bytes,
                          kv.values + after * bytes};
    if (kv.type == KvType::INT4) {
        split_words(elements.key_scales, count, words, words + count);
        split_words(elements.value_scales, count, words + 2 * count, words + 3 * count);
        elements.key_scales = words;
        elements.key_minimums = words + count;
        elements.value_scales = words + 2 * count;
        elements.value_minimums = words + 3 * count;
    }
    return elements;
}

// Prefetches what lies in the next page where elements d and d + 1 of STEP positions do in this one: line by line,
// while this one is computed with, since a processor has room for some tens of lines under way only.
template <class Load, int STEP>
inline void prefetch_next(const PageElements& page, int64_t d) {
    constexpr int BYTES = 2 * STEP * Load::BITS / 8;
    for (int line = 0; line < BYTES; line += 64) {
        __builtin_prefetch(page.next_keys + d / 2 * BYTES + line);
        __builtin_prefetch(page.next_values + d / 2 * BYTES + line);
    }
}

// The same as FP32. Scales and minimums of heads with one group are left to the scores and weights; others are applied
// here.
template <class Load>
inline PageElements widen_page(const KvPages& kv, const PageElements& page, float* scratch) {
    const int64_t count = kv.padded() * PAGE;
    for (int64_t d = 0; d < kv.padded(); d += 2) {
        prefetch_next<Load, PAGE>(page, d);
        for (int p = 0; p < PAGE; p += LANES) {
            store(scratch + d * PAGE + p, Load::template keys<0>(page.keys, d, p));
            store(scratch + (d + 1) * PAGE + p, Load::template keys<1>(page.keys, d, p));
        }
    }
    for (int64_t i = 0; i < count; i += 16) {
        auto lanes = [&]<int J>() __attribute__((always_inline)) {
            store(scratch + count + i + J * LANES, Load::template values<J, 16 / LANES>(page.values, i));
        };
        unrolled<16 / LANES>(lanes);
    }
    PageElements wide = page;
    wide.keys = reinterpret_cast<const uint8_t*>(scratch);
    wide.values = reinterpret_cast<const uint8_t*>(scratch + count);
    wide.next_keys = wide.keys;  // here already: the next page is on its way
    wide.next_values = wide.values;
    if (page.key_scales != nullptr && kv.scale_groups() > 1) {
        scale_page(kv.padded(), page, scratch);
        wide.key_scales = wide.value_scales = wide.key_minimums = wide.value_minimums = nullptr;
    }
    return wide;
}

}  // namespace demitasse::DM_ISA
