// The pages of a key-value cache as attention reads them: elements as they lie, or widened to FP32, with the scales and
// minimums of their groups.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

// A page's elements as `Load` reads them, and what they are to be multiplied by.
struct PageElements {
    const uint8_t* keys;          // [element][position]
    const uint8_t* values;        // [position][element]
    const float* key_scales;      // or null
    const float* value_scales;    // or null
    const float* key_minimums;    // or null
    const float* value_minimums;  // or null
};

inline F32 load_f32_bytes(const uint8_t* p) { return load(reinterpret_cast<const float*>(p)); }
inline F32 load_f16_bytes(const uint8_t* p) { return load_f16(reinterpret_cast<const uint16_t*>(p)); }

// How elements of a cache's type become FP32: LANES positions of element d from position p on, and LANES elements of a
// page's values from number i on.
template <int BYTES, F32 (*LOAD)(const uint8_t*)>
struct LoadBytes {
    static F32 keys(const uint8_t* page, int64_t d, int p) { return LOAD(page + (d * PAGE + p) * BYTES); }
    static F32 values(const uint8_t* page, int64_t i) { return LOAD(page + i * BYTES); }
};
using LoadF32 = LoadBytes<4, load_f32_bytes>;
struct LoadInt4 {
    static F32 keys(const uint8_t* page, int64_t d, int p) {
        return load_u4(page + d / 2 * PAGE + p, static_cast<int>(d % 2 * 4));
    }
    static F32 values(const uint8_t* page, int64_t i) { return load_u4_block(page, i); }
};

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

// Pages lie apart from each other, so the processor cannot tell which comes next.
inline void prefetch_lines(const uint8_t* from, int64_t bytes) {
    for (int64_t line = 0; line < bytes; line += 64) {
        __builtin_prefetch(from + line);
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
    uint16_t halves[2][PAGE];
    for (int64_t from = 0; from < count; from += PAGE) {
        for (int i = 0; i < PAGE; i++) {
            uint32_t word;
            std::memcpy(&word, words + from + i, 4);
            halves[0][i] = static_cast<uint16_t>(word);
            halves[1][i] = static_cast<uint16_t>(word >> 16);
        }
        for (int i = 0; i < PAGE; i += LANES) {
            store(scales + from + i, load_f16(halves[0] + i));
            store(minimums + from + i, load_f16(halves[1] + i));
        }
    }
}

// A page as it lies, while the next one is prefetched. `words`: room for 4 numbers a group and position.
inline PageElements page_elements(const KvPages& kv, int64_t layer, int64_t page, int64_t next, int64_t head,
                                  float* words) {
    const int64_t bytes = kv.block_bytes();
    const int64_t block = kv.block(layer, page, head);
    const int64_t after = kv.block(layer, next, head);
    prefetch_lines(kv.keys + after * bytes, bytes);
    prefetch_lines(kv.values + after * bytes, bytes);
    const int64_t scales = block * kv.scale_groups() * PAGE;
    PageElements elements{kv.keys + block * bytes,
                          kv.values + block * bytes,
                          kv.key_scales == nullptr ? nullptr : kv.key_scales + scales,
                          kv.value_scales == nullptr ? nullptr : kv.value_scales + scales,
                          nullptr,
                          nullptr};
    if (kv.type == KvType::INT4) {
        const int64_t count = kv.scale_groups() * PAGE;
        split_words(elements.key_scales, count, words, words + count);
        split_words(elements.value_scales, count, words + 2 * count, words + 3 * count);
        elements.key_scales = words;
        elements.key_minimums = words + count;
        elements.value_scales = words + 2 * count;
        elements.value_minimums = words + 3 * count;
    }
    return elements;
}

// The same as FP32. Scales and minimums of heads with one group are left to the scores and weights; others are applied
// here.
template <class Load>
inline PageElements widen_page(const KvPages& kv, const PageElements& page, float* scratch) {
    const int64_t count = kv.padded() * PAGE;
    for (int64_t d = 0; d < kv.padded(); d++) {
        for (int p = 0; p < PAGE; p += LANES) {
            store(scratch + d * PAGE + p, Load::keys(page.keys, d, p));
        }
    }
    for (int64_t i = 0; i < count; i += LANES) {
        store(scratch + count + i, Load::values(page.values, i));
    }
    PageElements wide = page;
    wide.keys = reinterpret_cast<const uint8_t*>(scratch);
    wide.values = reinterpret_cast<const uint8_t*>(scratch + count);
    if (page.key_scales != nullptr && kv.scale_groups() > 1) {
        scale_page(kv.padded(), page, scratch);
        wide.key_scales = wide.value_scales = wide.key_minimums = wide.value_minimums = nullptr;
    }
    return wide;
}

}  // namespace demitasse::DM_ISA
