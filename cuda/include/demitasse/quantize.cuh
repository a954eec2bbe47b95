// Activations as INT8, written by a kernel of their own or by the one that makes them: q = round(x (127 / max|x|)), ties to
// even, in tiles (weights.cuh), with the scale max|x| / 127 and the sums of each half group of 32 columns.
#pragma once

#include "demitasse/weights.cuh"

namespace demitasse {

// Where rows of activations go as integers.
struct QuantizedRows {
    int8_t* q;           // or null: nowhere
    GroupPair* groups;   // [row][padded / 64]
    int64_t padded;      // columns with those that fill the last tile, which are zeros
    int64_t whole_rows;  // 1: a row has one scale, which its groups repeat
};

// Where column k of a row of activations lies in tiles.
DEVICE int64_t tiled_offset(int64_t row, int k, int64_t padded) {
    const int64_t tile = row / TILE_OUTPUTS * (padded / INPUT_COLUMNS) + k / INPUT_COLUMNS;
    const int chunk = chunk_offset(static_cast<int>(row % TILE_OUTPUTS), k % 16 / 4);
    return tile * TILE_BYTES + chunk + k % INPUT_COLUMNS / 32 * 8 + k % 32 / 16 * 4 + k % 4;
}

// The integer of x where the largest magnitude is `largest`.
DEVICE int quantized(float x, float largest) { return __float2int_rn(x * (largest == 0 ? 0 : 127 / largest)); }

// Sums of lanes 0 to 15 and of lanes 16 to 31, each in its lanes.
DEVICE int half_warp_sum(int value) {
    for (int distance = 8; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, distance);
    }
    return value;
}

// A warp stores group `group` of a row, of which a lane has one column; `row_largest` where the row has one scale.
DEVICE void store_quantized(const QuantizedRows& to, int64_t row, int group, float x, float row_largest) {
    const float largest = to.whole_rows != 0 ? row_largest : warp_max(fabsf(x));
    const int q = quantized(x, largest);
    to.q[tiled_offset(row, group * 32 + lane(), to.padded)] = static_cast<int8_t>(q);
    const int sum = half_warp_sum(q);
    const int second = __shfl_sync(ALL_LANES, sum, 16);
    if (lane() == 0) {
        GroupPair& pair = to.groups[row * (to.padded / 64) + group / 2];
        pair.scales[group % 2] = largest / 127;
        pair.halves[group % 2] = (static_cast<uint32_t>(sum) & 0xFFFF) | static_cast<uint32_t>(second) << 16;
    }
}

// The largest of the threads' values, in all of them; `shared` has a float for each warp.
DEVICE float block_max(float value, float* shared) {
    value = warp_max(value);
    if (lane() == 0) {
        shared[warp()] = value;
    }
    __syncthreads();
    value = shared[0];
    for (int w = 1; w < static_cast<int>(blockDim.x) / 32; w++) {
        value = fmaxf(value, shared[w]);
    }
    return value;
}

}  // namespace demitasse
