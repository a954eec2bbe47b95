// Computes: blocks of 32 columns of a file to the words of the packed layout (BlockOrder in Java).
// Layout:   source [row][block]: an FP16 scale, an FP16 minimum where there is one, then 16 bytes of nibbles (low ones
//           are columns 0 to 15) or 32 of INT8; out in panels of 16 rows (PackedMatrix).
// Requires: columns divisible by 32; out is as large as whole panels.
// Accuracy: exact; the row of a scale or minimum that is not finite is reported.
// Launch:   one task eight panels.
// Moves:    a block read and as many bytes written.
// Why:      one pass, with no buffer between the mapped file and the panels.
#pragma once

#include "demitasse/kernels.h"

namespace demitasse::DM_ISA {

inline int32_t load_word(const uint8_t* at) {
    int32_t value;
    std::memcpy(&value, at, 4);
    return value;
}

// Blocks of 32 columns of a file straight to the words of the packed layout (BlockOrder in Java).
inline void pack_block(const PackArgs& a, const uint8_t* block, uint8_t* out) {
    constexpr int32_t LOW = 0x0F0F0F0F;
    if (a.nibbles == 0) {
        for (int i = 0; i < 8; i++) {
            std::memcpy(out + i * 64, block + i * 4, 4);
        }
        return;
    }
    for (int part = 0; part < 2; part++) {
        uint32_t first = static_cast<uint32_t>(load_word(block + part * 8));
        uint32_t second = static_cast<uint32_t>(load_word(block + part * 8 + 4));
        uint32_t low = (first & LOW) | (second & LOW) << 4;
        uint32_t high = (first >> 4 & LOW) | (second & ~static_cast<uint32_t>(LOW));
        std::memcpy(out + part * 64, &low, 4);
        std::memcpy(out + part * 64 + 128, &high, 4);
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
