// Computes: stores the keys and values of a batch's rows in a layer of the cache; INT8: q = round(x / s) with
//           s = max|x| / 127; FP8 E4M3: nearest to x / s with s = max|x| / 448; both per position and 64 elements of a
//           head.
//           A group with limit / max|x| infinite counts as zeros, with scale 0; one with NaN or an infinity has
//           elements 0 and scale NaN. FP16: what is beyond 65,504 becomes infinite. INT4: sixteen steps from a minimum
//           on, both FP16, the best of four such pairs (ScaledElements in Java).
// Layout:   keys and values rows x heads x head_dim FP32; pages as KvPages in command.h.
// Requires: pages hold the rows' positions.
// Accuracy: FP16, FP8 and INT8 are rounded to nearest, ties to even; INT4 to the nearest step.
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
constexpr float FP16_MAXIMUM = 65504;

// Stores elements of a head's vector side by side.
inline void append_elements(const float* x, int64_t dim, KvType type, uint8_t* at) {
    if (type == KvType::F32) {
        std::memcpy(at, x, static_cast<size_t>(dim) * sizeof *x);
        return;
    }
    uint16_t* to = reinterpret_cast<uint16_t*>(at);
    for_lanes(0, dim, [&](int64_t from, int count) {
        uint16_t rounded[LANES];
        store_f16(rounded, load_lanes(x + from, count));
        std::memcpy(to + from, rounded, static_cast<size_t>(count) * sizeof *rounded);
    });
}

// Stores elements of a head's vectors at `count` positions in a row, vectors `stride` apart, positions side by side:
// element by element, so that a line of the cache is written at once.
inline void append_transposed(const float* x, int64_t stride, int count, int64_t dim, KvType type, uint8_t* at) {
    for_lanes(0, dim, [&](int64_t from, int lanes) {
        if (type == KvType::F32) {
            float* to = reinterpret_cast<float*>(at) + from * PAGE;
            for (int i = 0; i < lanes; i++) {
                for (int r = 0; r < count; r++) {
                    to[i * PAGE + r] = x[r * stride + from + i];
                }
            }
            return;
        }
        uint16_t rounded[APPEND_ROWS][LANES];
        for (int r = 0; r < count; r++) {
            store_f16(rounded[r], load_lanes(x + r * stride + from, lanes));
        }
        uint16_t* to = reinterpret_cast<uint16_t*>(at) + from * PAGE;
        for (int i = 0; i < lanes; i++) {
            for (int r = 0; r < count; r++) {
                to[i * PAGE + r] = rounded[r][i];
            }
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

// Sixteen steps from a minimum on. Numbers are laid out on sixteenths of a step, so that errors are integers, whose
// sums have no order.
struct FourBits {
    static constexpr int SUBSTEPS = 16;
    float minimum;
    float step;

    // Without a step where FP16 rounds the lowest number above the highest; no minimum is a negative zero.
    FourBits(float lowest, float highest) : minimum(fp16_to_float(float_to_fp16(lowest + 0.0f))) {
        const float exact = (highest - minimum) * (1.0f / 15);
        step = fp16_to_float(float_to_fp16(exact > 0 ? exact : 0));
    }

    // Sixteenths of a step above the minimum of the numbers from x on; to: room for SCALE_GROUP.
    void substeps(const float* x, int64_t count, int32_t* to) const {
        const float inverse = step > 0 ? SUBSTEPS / step : 0;
        for_lanes(0, count, [&](int64_t i, int lanes) {
            const F32 steps = mul(sub(load_lanes(x + i, lanes), set1(minimum)), set1(inverse));
            int32_t integers[LANES];
            store_i(integers, to_i32(max(set1(-2.0f * SUBSTEPS), min(set1(17.0f * SUBSTEPS), steps))));
            for (int k = 0; k < lanes; k++) {
                to[i + k] = integers[k];
            }
        });
    }

    static int32_t level(int32_t substeps) {
        const int32_t level = (substeps + SUBSTEPS / 2) >> 4;
        return level < 0 ? 0 : level > 15 ? 15 : level;
    }

    float squared_error(const int32_t* substeps, int64_t count) const {
        int32_t error = 0;
        for (int64_t i = 0; i < count; i++) {
            const int32_t rest = substeps[i] - SUBSTEPS * level(substeps[i]);
            error += rest * rest;
        }
        return static_cast<float>(error) * (step * step);
    }

    uint32_t word() const { return static_cast<uint32_t>(float_to_fp16(minimum)) << 16 | float_to_fp16(step); }
};

// A group of elements rounded to four bits, a byte each; returns scale and minimum as a word.
inline uint32_t round_to_four_bits(const float* x, int64_t count, uint8_t* levels) {
    float lowest = x[0];
    float highest = x[0];
    bool numbers = true;
    for (int64_t i = 0; i < count; i++) {
        lowest = x[i] < lowest ? x[i] : lowest;
        highest = x[i] > highest ? x[i] : highest;
        numbers = numbers && x[i] >= -FP16_MAXIMUM && x[i] <= FP16_MAXIMUM;
    }
    if (!numbers) {
        std::memset(levels, 0, static_cast<size_t>(count));
        return 0x7E00u << 16;
    }
    const float inward = (highest - lowest) * (1.0f / 32);
    int32_t substeps[2][SCALE_GROUP];
    int best = 0;
    FourBits steps(lowest, highest);
    steps.substeps(x, count, substeps[0]);
    float least = steps.squared_error(substeps[0], count);
    for (int ends = 1; ends < 4; ends++) {
        const FourBits other((ends & 2) == 0 ? lowest : lowest + inward, (ends & 1) == 0 ? highest : highest - inward);
        if (other.step == 0) {
            continue;  // it would seem to have no error
        }
        other.substeps(x, count, substeps[1 - best]);
        const float error = other.squared_error(substeps[1 - best], count);
        if (error < least) {
            least = error;
            steps = other;
            best = 1 - best;
        }
    }
    for (int64_t i = 0; i < count; i++) {
        levels[i] = static_cast<uint8_t>(FourBits::level(substeps[best][i]));
    }
    return steps.word();
}

// Keys as bytes [pair of elements][position], values as [8 bytes of 16 elements]: command.h.
inline void append_four_bits(const float* x, const KvPages& kv, bool keys, uint8_t* at, float* scales) {
    uint8_t levels[SCALE_GROUP];
    for (int64_t from = 0; from < kv.head_dim; from += SCALE_GROUP, scales += PAGE) {
        const int64_t count = kv.head_dim - from < SCALE_GROUP ? kv.head_dim - from : SCALE_GROUP;
        std::memset(levels, 0, sizeof levels);
        const uint32_t word = round_to_four_bits(x + from, count, levels);
        std::memcpy(scales, &word, 4);
        const int64_t padded = (count + ELEMENT_MULTIPLE - 1) / ELEMENT_MULTIPLE * ELEMENT_MULTIPLE;
        for (int64_t i = 0; i < padded / 2; i++) {
            if (keys) {
                at[(from / 2 + i) * PAGE] = static_cast<uint8_t>(levels[2 * i] | levels[2 * i + 1] << 4);
            } else {
                const uint8_t* first = levels + i / 8 * 16 + i % 8;
                at[from / 2 + i] = static_cast<uint8_t>(first[0] | first[8] << 4);
            }
        }
    }
}

// A head's vector of rounded numbers; scales: of the position, one a group, PAGE apart.
inline void append_scaled(const float* x, const KvPages& kv, bool keys, uint8_t* at, float* scales) {
    const int64_t stride = keys ? PAGE : 1;
    if (kv.type == KvType::INT4) {
        append_four_bits(x, kv, keys, at, scales);
        return;
    }
    for (int64_t from = 0; from < kv.head_dim; from += SCALE_GROUP, scales += PAGE) {
        int64_t count = kv.head_dim - from < SCALE_GROUP ? kv.head_dim - from : SCALE_GROUP;
        *scales = append_group(x + from, count, kv.type, at + from * stride, stride);
    }
}

// Rows from `row` on that are at positions in a row of one page: at least one, at most those before `last`.
inline int rows_of_page(const BatchRows& rows, int64_t row, int64_t last) {
    const int32_t position = rows.positions[row];
    int count = 1;
    while (row + count < last && (position + count) % PAGE != 0 && rows.positions[row + count] == position + count &&
           rows.pages[row + count] == rows.pages[row]) {
        count++;
    }
    return count;
}

// The vectors of a head at `count` positions of a page, from slot on.
inline void append_head(const KvAppendArgs& a, int64_t row, int count, int64_t head, int64_t block, int64_t slot) {
    const KvPages& kv = *a.kv;
    const int64_t stride = kv.heads * kv.head_dim;
    uint8_t* k = kv.keys + block * kv.block_bytes() + slot * ((kv.element_bits() + 7) / 8);
    uint8_t* v = kv.values + block * kv.block_bytes() + slot * kv.padded() * kv.element_bits() / 8;
    const float* keys = a.keys + row * stride + head * kv.head_dim;
    const float* values = a.values + row * stride + head * kv.head_dim;
    const int64_t bytes = kv.padded() * kv.element_bits() / 8;
    const bool scaled = kv.key_scales != nullptr;
    if (!scaled) {
        append_transposed(keys, stride, count, kv.head_dim, kv.type, k);
    }
    for (int r = 0; r < count; r++) {
        if (scaled) {
            const int64_t scale = block * kv.scale_groups() * PAGE + slot + r;
            append_scaled(keys + r * stride, kv, true, k + r, kv.key_scales + scale);
            append_scaled(values + r * stride, kv, false, v + r * bytes, kv.value_scales + scale);
        } else {
            append_elements(values + r * stride, kv.head_dim, kv.type, v + r * bytes);
        }
    }
}

inline void kv_append(const Command& command, int task, Worker&) {
    const KvAppendArgs& a = command.kv_append;
    const KvPages& kv = *a.kv;
    const BatchRows& rows = *a.rows;
    int64_t last = (task + 1) * APPEND_ROWS < rows.count ? (task + 1) * APPEND_ROWS : rows.count;
    for (int64_t row = task * APPEND_ROWS; row < last;) {
        const int count = rows_of_page(rows, row, last);
        const int32_t position = rows.positions[row];
        const int32_t page = rows.pages[row][position / PAGE];
        for (int64_t head = 0; head < kv.heads; head++) {
            append_head(a, row, count, head, kv.block(a.layer, page, head), position % PAGE);
        }
        row += count;
    }
}

}  // namespace demitasse::DM_ISA
