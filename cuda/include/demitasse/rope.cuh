// Rotary position embedding (Su et al., "RoFormer", 2021) of the heads of a row.
#pragma once

#include "demitasse/kernel.cuh"

namespace demitasse {

struct RopeAngles {
    int64_t rope_dim;     // elements of a head that are rotated
    int64_t interleaved;  // 1: pairs (2 i, 2 i + 1); 0: (i, i + rope_dim / 2)
    const float* angles;  // [row][pair] (cosine, sine)

    // The pair (a, b) of a head becomes (a c - b s, a s + b c).
    DEVICE void apply(float* head, int64_t row, int64_t pair) const {
        const int64_t pairs = rope_dim / 2;
        const float* angle = angles + row * rope_dim + 2 * pair;
        float* x = head + (interleaved != 0 ? 2 * pair : pair);
        const int64_t distance = interleaved != 0 ? 1 : pairs;
        const float first = x[0];
        const float second = x[distance];
        x[0] = first * angle[0] - second * angle[1];
        x[distance] = first * angle[1] + second * angle[0];
    }
};

}  // namespace demitasse
