// embed, gather_rows, add, soft_cap, rope and pack: operations that move data and hardly compute.
//
// Computes: embed: out[i] = scale table[ids[i]]; gather_rows: out[i] = x[ids[i]]; add: x += y; soft_cap: x = cap tanh(x
// / cap);
//           rope: the pair (a, b) becomes (a c - b s, a s + b c).
// Layout:   FP32 rows in order; angles (cosine, sine) a pair; tables in panels of 16 rows (PackedMatrix).
// Requires: ids within the table.
// Accuracy: FP32; soft_cap's tanh is that of simd.h.
// Launch:   one task some rows or a block of elements.
// Moves:    4 to 12 bytes an element.
// Why:      a few microseconds each; what counts is that no thread has to be woken for them.
#pragma once

#include "integer_weights.h"

namespace demitasse::DM_ISA {

inline float table_value(const Matrix& m, int64_t row, int64_t k) {
    int64_t panel = row / PANEL;
    int64_t r = row % PANEL;
    int64_t at = (panel * m.columns + k) * PANEL + r;
    switch (m.element) {
        case Element::F32:
            return reinterpret_cast<const float*>(m.quants)[at];
        case Element::F16:
            return fp16_to_float(reinterpret_cast<const uint16_t*>(m.quants)[at]);
        case Element::BF16: {
            uint32_t bits = static_cast<uint32_t>(reinterpret_cast<const uint16_t*>(m.quants)[at]) << 16;
            float value;
            std::memcpy(&value, &bits, 4);
            return value;
        }
        default:
            break;
    }
    int64_t scale = (panel * m.groups() + k / m.group) * PANEL + r;
    float q;
    if (m.element == Element::INT4) {
        int pair = m.quants[panel * PANEL * m.padded() / 2 + k / 8 * 64 + r * 4 + k % 4];
        q = static_cast<float>((k & 4) == 0 ? pair & 15 : pair >> 4) - (m.mins == nullptr ? 8 : 0);
    } else {
        q = static_cast<float>(static_cast<int8_t>(m.quants[panel * PANEL * m.padded() + k / 4 * 64 + r * 4 + k % 4]));
    }
    float value = scale_value(m, m.scales, scale) * q;
    return m.mins == nullptr ? value : value + scale_value(m, m.mins, scale);
}

inline void embed(const Command& command, int task, Worker&) {
    const EmbedArgs& a = command.embed;
    int64_t last = (task + 1) * 4 < a.rows ? (task + 1) * 4 : a.rows;
    for (int64_t i = task * 4; i < last; i++) {
        for (int64_t k = 0; k < a.table->columns; k++) {
            a.out[i * a.table->columns + k] = table_value(*a.table, a.ids[i], k) * a.scale;
        }
    }
}

inline void gather_rows(const Command& command, int, Worker&) {
    const GatherRowsArgs& a = command.gather_rows;
    for (int64_t i = 0; i < a.rows; i++) {
        std::memcpy(a.out + i * a.columns, a.x + a.ids[i] * a.columns, static_cast<size_t>(a.columns) * 4);
    }
}

inline void add(const Command& command, int task, Worker&) {
    const AddArgs& a = command.add;
    int64_t from = static_cast<int64_t>(task) * ADD_BLOCK;
    int64_t to = from + ADD_BLOCK < a.count ? from + ADD_BLOCK : a.count;
    for (int64_t i = from; i < to; i++) {
        a.x[i] += a.y[i];
    }
}

inline void soft_cap(const Command& command, int task, Worker&) {
    const SoftCapArgs& a = command.soft_cap;
    int64_t from = static_cast<int64_t>(task) * FUNCTION_BLOCK;
    int64_t to = from + FUNCTION_BLOCK < a.count ? from + FUNCTION_BLOCK : a.count;
    for_lanes(from, to, [&](int64_t i, int count) {
        store_lanes(a.x + i, mul(tanh(div(load_lanes(a.x + i, count), set1(a.cap))), set1(a.cap)), count);
    });
}

inline void rope(const Command& command, int task, Worker&) {
    const RopeArgs& a = command.rope;
    int64_t half = a.rope_dim / 2;
    int64_t step = a.interleaved != 0 ? 2 : 1;
    int64_t distance = a.interleaved != 0 ? 1 : half;
    int64_t last = (task + 1) * 4 < a.rows ? (task + 1) * 4 : a.rows;
    for (int64_t row = task * 4; row < last; row++) {
        const float* angles = a.angles + row * a.rope_dim;
        for (int64_t head = 0; head < a.heads; head++) {
            float* x = a.x + (row * a.heads + head) * a.head_dim;
            for (int64_t i = 0; i < half; i++) {
                float first = x[i * step];
                float second = x[i * step + distance];
                x[i * step] = first * angles[2 * i] - second * angles[2 * i + 1];
                x[i * step + distance] = first * angles[2 * i + 1] + second * angles[2 * i];
            }
        }
    }
}

inline int32_t load_word(const uint8_t* at) {
    int32_t value;
    std::memcpy(&value, at, 4);
    return value;
}

// Blocks of 32 columns of a file straight to the words of the packed layout (BlockWords in Java).
inline void pack_block(const PackArgs& a, const uint8_t* block, uint8_t* out) {
    constexpr int32_t LOW = 0x0F0F0F0F;
    if (a.nibbles == 0) {
        for (int i = 0; i < 8; i++) {
            std::memcpy(out + i * 64, block + i * 4, 4);
        }
        return;
    }
    for (int half = 0; half < 2; half++) {
        uint32_t first = static_cast<uint32_t>(load_word(block + half * 8));
        uint32_t second = static_cast<uint32_t>(load_word(block + half * 8 + 4));
        uint32_t low = (first & LOW) | (second & LOW) << 4;
        uint32_t high = (first >> 4 & LOW) | (second & ~static_cast<uint32_t>(LOW));
        std::memcpy(out + half * 64, &low, 4);
        std::memcpy(out + half * 64 + 128, &high, 4);
    }
}

inline void pack(const Command& command, int task, Worker&) {
    const PackArgs& a = command.pack;
    const int64_t groups = a.columns / GROUP;
    const int64_t word_bytes = GROUP * PANEL / (a.nibbles != 0 ? 2 : 1);
    const int64_t first = static_cast<int64_t>(task) * 8 * PANEL;
    const int64_t last = first + 8 * PANEL < a.rows ? first + 8 * PANEL : a.rows;
    for (int64_t row = first; row < last; row++) {
        const uint8_t* block = a.source + row * groups * a.block_bytes;
        const int64_t panel = row / PANEL * groups;
        for (int64_t g = 0; g < groups; g++, block += a.block_bytes) {
            uint16_t scale[2];
            std::memcpy(scale, block, 4);
            pack_block(a, block + (a.minimum != 0 ? 4 : 2), a.quants + (panel + g) * word_bytes + row % PANEL * 4);
            const bool infinite = (scale[0] & 0x7C00) == 0x7C00 || (a.minimum != 0 && (scale[1] & 0x7C00) == 0x7C00);
            if (infinite) {
                __atomic_store_n(a.failed, static_cast<int32_t>(row + 1), __ATOMIC_RELAXED);
            }
            a.scales[(panel + g) * PANEL + row % PANEL] = scale[0];
            if (a.minimum != 0) {
                a.mins[(panel + g) * PANEL + row % PANEL] = scale[1];
            }
        }
    }
}

}  // namespace demitasse::DM_ISA
