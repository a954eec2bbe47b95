// Computes: INT8 activations per group of 32 columns, or per row (quantize.cuh).
// Layout:   x rows in order; integers in tiles with their groups, or rows in order with plain scales [row][columns /
//           32].
// Requires: columns with padding a multiple of 32; of 64 for tiles.
// Accuracy: the reference's integers exactly.
// Launch:   (rows, blocks that share a row's groups) blocks of 256 threads; one block where a row has one scale. A lane
//           has a column.
// Moves:    4 bytes read and 1.25 written a column.
// Why:      a group is a warp's width, so that its maximum and its sums are shuffles. Kernels that make activations do
//           the same as they write them; this one is for those of other kernels.
#include "demitasse/quantize.cuh"

namespace demitasse {

struct QuantizeRowsArgs {
    const float* x;
    int64_t columns;
    int8_t* plain;  // or null: rows in order, instead of tiles
    float* scales;  // with `plain`
    QuantizedRows to;
};

}  // namespace demitasse

KERNEL(demitasse::QUANTIZE_THREADS) quantize_rows(const demitasse::QuantizeRowsArgs a) {
    using namespace demitasse;
    SHARED(float, maxima, QUANTIZE_THREADS / 32);
    const int64_t row = blockIdx.x;
    const float* x = a.x + row * a.columns;
    const int columns = static_cast<int>(a.columns);
    float row_largest = 0;
    if (a.to.per_row != 0) {
#pragma unroll 8
        for (int k = static_cast<int>(threadIdx.x); k < columns; k += static_cast<int>(blockDim.x)) {
            row_largest = larger_magnitude(row_largest, x[k]);
        }
        row_largest = block_magnitude(row_largest, maxima);
    }
    const int groups = static_cast<int>(a.plain != nullptr ? a.columns : a.to.padded) / 32;
    const int warps = static_cast<int>(blockDim.x) / 32;
    for (int g = static_cast<int>(blockIdx.y) * warps + warp(); g < groups; g += static_cast<int>(gridDim.y) * warps) {
        const int k = g * 32 + lane();
        const float value = k < columns ? x[k] : 0;
        if (a.plain == nullptr) {
            store_quantized(a.to, row, g, value, row_largest);
            continue;
        }
        const Rounding rounding(warp_magnitude(fabsf(value)), 127);
        a.plain[row * a.columns + k] = static_cast<int8_t>(rounding.integer(value));
        if (lane() == 0) {
            a.scales[row * groups + g] = rounding.scale;
        }
    }
}
EXPORT(quantize_rows)
