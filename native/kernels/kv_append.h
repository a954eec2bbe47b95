// Computes: stores the keys and values of a batch's rows in a layer of the cache; INT8: q = round(x / s), s = max|x| /
// 127;
//           FP8 E4M3: nearest to x / s, s = max|x| / 448; both per position and head.
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

// Stores one head's vector at stride elements from each other; returns the scale.
inline float append_vector(const float* x, int64_t dim, KvType type, uint8_t* at, int64_t stride) {
    if (type == KvType::F32) {
        for (int64_t d = 0; d < dim; d++) {
            reinterpret_cast<float*>(at)[d * stride] = x[d];
        }
        return 1;
    }
    if (type == KvType::F16) {
        for (int64_t d = 0; d < dim; d++) {
            reinterpret_cast<uint16_t*>(at)[d * stride] = float_to_half(x[d]);
        }
        return 1;
    }
    float largest = 0;
    for (int64_t d = 0; d < dim; d++) {
        float magnitude = x[d] < 0 ? -x[d] : x[d];
        largest = magnitude > largest ? magnitude : largest;
    }
    const float limit = type == KvType::INT8 ? 127 : FP8_MAXIMUM;
    const float inverse = largest == 0 ? 0 : limit / largest;
    for (int64_t d = 0; d < dim; d++) {
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
            float key_scale = append_vector(a.keys + source, kv.head_dim, kv.type, k, PAGE);
            float value_scale = append_vector(a.values + source, kv.head_dim, kv.type, v, 1);
            if (kv.key_scales != nullptr) {
                kv.key_scales[block * PAGE + slot] = key_scale;
                kv.value_scales[block * PAGE + slot] = value_scale;
            }
        }
    }
}

}  // namespace demitasse::DM_ISA
