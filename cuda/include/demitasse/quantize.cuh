// Activations as INT8, written by a kernel of their own or by the one that makes them: q = round(x (127 / max|x|)),
// ties to even, in tiles (weights.cuh), with the scale max|x| / 127 and the sums of each 16 columns. Where 127 / max|x|
// is infinite (max|x| below 3.7e-37) numbers count as zeros, with scale 0; where one is NaN or infinite the integers
// are 0 and the scale is NaN, which makes all results of the row NaN.
#pragma once

#include "demitasse/weights.cuh"

namespace demitasse {

// Where rows of activations go as integers.
struct QuantizedRows {
    int8_t* q;          // or null: nowhere
    GroupPair* groups;  // [row][padded / 64]
    int64_t padded;     // columns with those that fill the last tile, which are zeros
    int64_t per_row;    // 1: a row has one scale, which its groups repeat
};

// Where column k of a row of activations lies in tiles.
DEVICE int64_t tiled_offset(int64_t row, int k, int64_t padded) {
    const int64_t tile = row / TILE_OUTPUTS * (padded / INPUT_COLUMNS) + k / INPUT_COLUMNS;
    const int chunk = chunk_offset(static_cast<int>(row % TILE_OUTPUTS), k % 16 / 4);
    return tile * TILE_BYTES + chunk + k % INPUT_COLUMNS / 32 * 8 + k % 32 / 16 * 4 + k % 4;
}

// What numbers of which the largest magnitude is `largest` are multiplied by and rounded, and what stands for one of
// the results; 0 and 0, or 0 and NaN, where they cannot be.
struct Rounding {
    float inverse;
    float scale;

    DEVICE Rounding(float largest, float limit) : inverse(limit / largest), scale(largest / limit) {
        if (!(inverse > 0 && is_finite(inverse))) {
            inverse = 0;
            scale = largest < 1 ? 0 : not_a_number();
        }
    }

    DEVICE float scaled(float x) const { return inverse == 0 ? 0 : x * inverse; }
    DEVICE int integer(float x) const { return __float2int_rn(scaled(x)); }
};

// Sums of lanes 0 to 15 and of lanes 16 to 31, each in its lanes.
DEVICE int sum_of_16_lanes(int value) {
    for (int distance = 8; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, distance);
    }
    return value;
}

// A warp stores group `group` of a row, of which a lane has one column; `row_largest` where the row has one scale.
DEVICE void store_quantized(const QuantizedRows& to, int64_t row, int group, float x, float row_largest) {
    const Rounding rounding(to.per_row != 0 ? row_largest : warp_magnitude(fabsf(x)), 127);
    const int q = rounding.integer(x);
    to.q[tiled_offset(row, group * 32 + lane(), to.padded)] = static_cast<int8_t>(q);
    const int sum = sum_of_16_lanes(q);
    const int second = __shfl_sync(ALL_LANES, sum, 16);
    if (lane() == 0) {
        GroupPair& pair = to.groups[row * (to.padded / 64) + group / 2];
        pair.scales[group % 2] = rounding.scale;
        pair.sums16[group % 2] = (static_cast<uint32_t>(sum) & 0xFFFF) | static_cast<uint32_t>(second) << 16;
    }
}

// The largest of the threads' magnitudes, NaN where one is, in all of them; `shared` has a float for each warp.
DEVICE float block_magnitude(float value, float* shared) {
    value = warp_magnitude(value);
    if (lane() == 0) {
        shared[warp()] = value;
    }
    __syncthreads();
    value = shared[0];
    for (int w = 1; w < static_cast<int>(blockDim.x) / 32; w++) {
        value = larger_magnitude(value, shared[w]);
    }
    return value;
}

}  // namespace demitasse
