// Computes: INT8 activations per group of 32 columns, or per row: q = round(x (127 / max|x|)), ties to even, with the scale
//           max|x| / 127; and the sums of the integers of each half group.
// Layout:   x rows in order; q in tiles (weights.cuh) with zeros beyond the columns, or rows of `padded` bytes; groups
//           [row][padded / 32], or plain scales [row][columns / 32].
// Requires: padded a multiple of 32; of 64 for tiles.
// Accuracy: the reference's integers exactly.
// Launch:   one block of 256 threads a row; a warp takes every eighth group, a lane a column.
// Moves:    4 bytes read and 1.25 written a column.
// Why:      a group is a warp's width, so that its maximum and its sums are shuffles. Not run on a GPU yet.
#include "demitasse/weights.cuh"

namespace demitasse {

struct QuantizeRowsArgs {
    const float* x;
    int64_t rows;
    int64_t columns;
    int64_t padded;
    int64_t whole_rows;  // 1: a row has one scale, which its groups repeat
    int64_t tiled;       // 1: q in tiles, 0: in rows
    int8_t* q;
    ActivationGroup* groups;  // or null
    float* scales;            // or null
};

// Where column k of a row of activations lies in tiles.
DEVICE int64_t tiled_offset(int64_t row, int k, int64_t padded) {
    const int64_t tile = row / TILE_OUTPUTS * (padded / INPUT_COLUMNS) + k / INPUT_COLUMNS;
    const int chunk = chunk_offset(static_cast<int>(row % TILE_OUTPUTS), k % 16 / 4);
    return tile * TILE_BYTES + chunk + k % INPUT_COLUMNS / 32 * 8 + k % 32 / 16 * 4 + k % 4;
}

DEVICE float row_maximum(const float* x, int columns, float* shared) {
    float largest = 0;
    for (int k = static_cast<int>(threadIdx.x); k < columns; k += static_cast<int>(blockDim.x)) {
        largest = fmaxf(largest, fabsf(x[k]));
    }
    largest = warp_max(largest);
    if (lane() == 0) {
        shared[warp()] = largest;
    }
    __syncthreads();
    largest = shared[0];
    for (int w = 1; w < static_cast<int>(blockDim.x) / 32; w++) {
        largest = fmaxf(largest, shared[w]);
    }
    return largest;
}

// Sums of lanes 0 to 15 and of lanes 16 to 31, each in its lanes.
DEVICE int half_warp_sum(int value) {
    for (int distance = 8; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, distance);
    }
    return value;
}

}  // namespace demitasse

KERNEL(256) quantize_rows(const demitasse::QuantizeRowsArgs a) {
    using namespace demitasse;
    SHARED(float, maxima, 8);
    const int64_t row = blockIdx.x;
    const float* x = a.x + row * a.columns;
    const int columns = static_cast<int>(a.columns);
    const float row_largest = a.whole_rows != 0 ? row_maximum(x, columns, maxima) : 0;
    for (int g = warp(); g < a.padded / 32; g += static_cast<int>(blockDim.x) / 32) {
        const int k = g * 32 + lane();
        const float value = k < columns ? x[k] : 0;
        const float largest = a.whole_rows != 0 ? row_largest : warp_max(fabsf(value));
        const float inverse = largest == 0 ? 0 : 127 / largest;
        const int q = __float2int_rn(value * inverse);
        a.q[a.tiled != 0 ? tiled_offset(row, k, a.padded) : row * a.padded + k] = static_cast<int8_t>(q);
        const int sum = half_warp_sum(q);
        const int second = __shfl_sync(ALL_LANES, sum, 16);
        if (lane() == 0) {
            const float scale = largest / 127;
            if (a.groups != nullptr) {
                a.groups[row * (a.padded / 32) + g] = {scale,
                                                       {static_cast<int16_t>(sum), static_cast<int16_t>(second)}};
            }
            if (a.scales != nullptr) {
                a.scales[row * (a.padded / 32) + g] = scale;
            }
        }
    }
}
EXPORT(quantize_rows)
