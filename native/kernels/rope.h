// Computes: the pair (a, b) of a head becomes (a c - b s, a s + b c), for the first rope_dim elements of each head.
// Layout:   x [row][head][element] FP32; angles [row][pair] (cosine, sine); pairs are (2 i, 2 i + 1) where interleaved,
//           else (i, i + rope_dim / 2).
// Requires: rope_dim even, at most head_dim.
// Accuracy: FP32, two products and a sum an element.
// Launch:   one task four rows.
// Moves:    8 bytes an element; 3 operations an element.
// Why:      angles come from the caller, once for all layers, so no function of them is computed here.
#pragma once

#include "demitasse/kernels.h"

namespace demitasse::DM_ISA {

inline void rope(const Command& command, int task, Worker&) {
    const RopeArgs& a = command.rope;
    int64_t pairs = a.rope_dim / 2;
    int64_t step = a.interleaved != 0 ? 2 : 1;
    int64_t distance = a.interleaved != 0 ? 1 : pairs;
    int64_t last = (task + 1) * 4 < a.rows ? (task + 1) * 4 : a.rows;
    for (int64_t row = task * 4; row < last; row++) {
        const float* angles = a.angles + row * a.rope_dim;
        for (int64_t head = 0; head < a.heads; head++) {
            float* x = a.x + (row * a.heads + head) * a.head_dim;
            for (int64_t i = 0; i < pairs; i++) {
                float first = x[i * step];
                float second = x[i * step + distance];
                x[i * step] = first * angles[2 * i] - second * angles[2 * i + 1];
                x[i * step + distance] = first * angles[2 * i + 1] + second * angles[2 * i];
            }
        }
    }
}

}  // namespace demitasse::DM_ISA
