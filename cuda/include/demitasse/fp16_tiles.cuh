// FP16 operands of wgmma in tiles of 512 bytes as those of integers (weights.cuh): 8 outputs, or rows of activations,
// by 32 columns in their order, so that a row of a tile is 64 bytes; chunk c of row r, columns 8 c to 8 c + 7, is the
// (c ^ r / 2 % 4)-th. Tiles of the same outputs, or rows, follow each other.
#pragma once

#include "demitasse/weights.cuh"

namespace demitasse {

static_assert(FP16_TILE_COLUMNS * 2 == TILE_ROW_BYTES);

// What a number is as an operand in FP16, before it is rounded: the largest for what is larger, NaN for what is not
// finite, so that a row with such activations has NaN for its results.
DEVICE float within_fp16(float x) { return is_finite(x) ? fminf(fmaxf(x, -65504), 65504) : not_a_number(); }

// Four of them in two words.
DEVICE void narrow_to_fp16(uint32_t (&words)[2], const float (&x)[4]) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
        words[i] = floats_to_fp16(within_fp16(x[2 * i]), within_fp16(x[2 * i + 1]));
    }
}

}  // namespace demitasse
