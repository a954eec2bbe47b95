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

// Rows are read and written by fours: a lane has four columns, eight lanes a group of 32, a warp 128 columns.
constexpr int LANE_COLUMNS = 4;

// Whether columns k to k + 3, k a multiple of 4, are 16 bytes that can be read or written at once.
DEVICE bool are_one_word(const float* row, int k, int columns) {
    return (reinterpret_cast<uintptr_t>(row) & 15) == 0 && k + LANE_COLUMNS <= columns;
}

// Columns k to k + 3 of a row of `columns`; zeros beyond its end.
DEVICE void load_columns(float (&x)[LANE_COLUMNS], const float* row, int k, int columns) {
    if (are_one_word(row, k, columns)) {
        uint32_t words[LANE_COLUMNS];
        load_words(words, row + k);
#pragma unroll
        for (int i = 0; i < LANE_COLUMNS; i++) {
            x[i] = __uint_as_float(words[i]);
        }
    } else {
#pragma unroll
        for (int i = 0; i < LANE_COLUMNS; i++) {
            x[i] = k + i < columns ? row[k + i] : 0;
        }
    }
}
// Stores those of them that there are.
DEVICE void store_columns(float* row, int k, int columns, const float (&x)[LANE_COLUMNS]) {
    if (are_one_word(row, k, columns)) {
        store16(row + k,
                Words4{__float_as_uint(x[0]), __float_as_uint(x[1]), __float_as_uint(x[2]), __float_as_uint(x[3])});
    } else {
#pragma unroll
        for (int i = 0; i < LANE_COLUMNS; i++) {
            if (k + i < columns) {
                row[k + i] = x[i];
            }
        }
    }
}

DEVICE float larger_magnitude(float magnitude, const float (&x)[LANE_COLUMNS]) {
#pragma unroll
    for (int i = 0; i < LANE_COLUMNS; i++) {
        magnitude = larger_magnitude(magnitude, x[i]);
    }
    return magnitude;
}

// The largest magnitude of the group of which the lane has four columns; NaN where one is.
DEVICE float group_magnitude(const float (&x)[LANE_COLUMNS]) {
    float largest = larger_magnitude(0, x);
#pragma unroll
    for (int distance = INPUT_GROUP / LANE_COLUMNS / 2; distance > 0; distance /= 2) {
        largest = larger_magnitude(largest, __shfl_xor_sync(ALL_LANES, largest, distance));
    }
    return largest;
}

// A lane's four columns as integers in a word, the first in its low byte.
DEVICE uint32_t rounded(const Rounding& rounding, const float (&x)[LANE_COLUMNS], int& sum) {
    uint32_t word = 0;
    sum = 0;
#pragma unroll
    for (int i = 0; i < LANE_COLUMNS; i++) {
        const int q = rounding.integer(x[i]);
        sum += q;
        word |= (static_cast<uint32_t>(q) & 0xFF) << 8 * i;
    }
    return word;
}

// A warp stores columns of a row, a lane those from k on, as far as there are padded ones; `row_largest` where the row
// has one scale.
DEVICE void store_quantized(const QuantizedRows& to, int64_t row, int k, const float (&x)[LANE_COLUMNS],
                            float row_largest) {
    const Rounding rounding(to.per_row != 0 ? row_largest : group_magnitude(x), 127);
    int sum;
    const uint32_t word = rounded(rounding, x, sum);
    sum += __shfl_xor_sync(ALL_LANES, sum, 1);
    sum += __shfl_xor_sync(ALL_LANES, sum, 2);
    const int second = __shfl_xor_sync(ALL_LANES, sum, 4);
    if (k >= to.padded) {
        return;
    }
    *reinterpret_cast<uint32_t*>(to.q + tiled_offset(row, k, to.padded)) = word;
    if (k % INPUT_GROUP == 0) {
        const int group = k / INPUT_GROUP;
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
