// Computes: stores the keys and values of a batch's rows in a layer of the cache; INT8: q = round(x / s) with
//           s = max|x| / 127; FP8 E4M3: nearest to x / s with s = max|x| / 448; both per position and 64 elements of a
//           head.
//           A group with limit / max|x| infinite counts as zeros, with scale 0; one with NaN or an infinity has
//           elements 0 and scale NaN. FP16: what is beyond 65,504 becomes infinite.
// Layout:   keys and values rows x heads x head_dim FP32; pages as KvPages in command.h.
// Requires: pages hold the rows' positions.
// Accuracy: FP16, FP8 and INT8 are rounded to nearest, ties to even.
// Launch:   one task 16 rows.
// Moves:    8 bytes read and 2 elements written a key element.
// Why:      keys are stored with positions side by side, so that scores of a page need no sums across lanes.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

// Scales of FP8 are stored times 2^8, which load_fp8 leaves out.
constexpr float FP8_MAXIMUM = 448;
constexpr float FP8_FACTOR = 256;

// Stores elements of a head's vector at stride elements from each other.
inline void append_elements(const float* x, int64_t dim, KvType type, uint8_t* at, int64_t stride) {
    if (type == KvType::F32) {
        for (int64_t d = 0; d < dim; d++) {
            reinterpret_cast<float*>(at)[d * stride] = x[d];
        }
        return;
    }
    uint16_t* to = reinterpret_cast<uint16_t*>(at);
    for_lanes(0, dim, [&](int64_t from, int count) {
        uint16_t rounded[LANES];
        store_f16(rounded, load_lanes(x + from, count));
        for (int i = 0; i < count; i++) {
            to[(from + i) * stride] = rounded[i];
        }
    });
}

// The same of a group of elements that is rounded to bytes; returns its scale.
inline float append_group(const float* x, int64_t count, KvType type, uint8_t* at, int64_t stride) {
    uint32_t most = 0;  // bits of magnitudes are ordered as integers, and NaN is the largest
    for (int64_t d = 0; d < count; d++) {
        uint32_t bits;
        std::memcpy(&bits, x + d, 4);
        bits &= 0x7FFFFFFF;
        most = bits > most ? bits : most;
    }
    float largest;
    std::memcpy(&largest, &most, 4);
    const float limit = type == KvType::INT8 ? 127 : FP8_MAXIMUM;
    const float inverse = limit / largest;
    if (!(inverse > 0 && inverse <= __FLT_MAX__)) {
        for (int64_t d = 0; d < count; d++) {
            at[d * stride] = 0;
        }
        return largest < 1 ? 0 : __builtin_nanf("");
    }
    for (int64_t d = 0; d < count; d++) {
        float value = x[d] * inverse;
        if (type == KvType::INT8) {
            at[d * stride] = static_cast<uint8_t>(static_cast<int8_t>(value + 12582912.0f - 12582912.0f));
        } else {
            value = value > FP8_MAXIMUM ? FP8_MAXIMUM : value < -FP8_MAXIMUM ? -FP8_MAXIMUM : value;
            at[d * stride] = float_to_fp8(value);
        }
    }
    return largest / limit * (type == KvType::FP8 ? FP8_FACTOR : 1);
}

// A head's vector; scales: of the position, one a group, PAGE apart, or null.
inline void append_vector(const float* x, const KvPages& kv, uint8_t* at, int64_t stride, float* scales) {
    if (scales == nullptr) {
        append_elements(x, kv.head_dim, kv.type, at, stride);
        return;
    }
    for (int64_t from = 0; from < kv.head_dim; from += SCALE_GROUP, scales += PAGE) {
        int64_t count = kv.head_dim - from < SCALE_GROUP ? kv.head_dim - from : SCALE_GROUP;
        *scales = append_group(x + from, count, kv.type, at + from * stride, stride);
    }
}

inline void kv_append(const Command& command, int task, Worker&) {
    const KvAppendArgs& a = command.kv_append;
    const KvPages& kv = *a.kv;
    const BatchRows& rows = *a.rows;
    int64_t last = (task + 1) * APPEND_ROWS < rows.count ? (task + 1) * APPEND_ROWS : rows.count;
    for (int64_t row = task * APPEND_ROWS; row < last; row++) {
        int32_t position = rows.positions[row];
        int32_t page = rows.pages[row][position / PAGE];
        int64_t slot = position % PAGE;
        for (int64_t head = 0; head < kv.heads; head++) {
            int64_t block = kv.block(a.layer, page, head);
            int64_t source = (row * kv.heads + head) * kv.head_dim;
            uint8_t* k = kv.keys + block * kv.block_bytes() + slot * kv.element_bytes();
            uint8_t* v = kv.values + block * kv.block_bytes() + slot * kv.padded() * kv.element_bytes();
            int64_t scale = block * kv.scale_groups() * PAGE + slot;
            append_vector(a.keys + source, kv, k, PAGE, kv.key_scales == nullptr ? nullptr : kv.key_scales + scale);
            append_vector(a.values + source, kv, v, 1, kv.value_scales == nullptr ? nullptr : kv.value_scales + scale);
        }
    }
}

}  // namespace demitasse::DM_ISA
