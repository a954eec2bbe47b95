// Computes: INT8 activations per group of 32 columns, or per row (quantize.cuh); quantize_gathered: of the rows
//           out[i] = x[ids[i]], or factors[i] x[ids[i]], which it also stores.
// Layout:   x rows in order; ids in device memory; integers in tiles with their groups, or rows in order with plain
//           scales [row][columns / 32].
// Requires: columns with padding a multiple of 32; of 64 for tiles. ids within x, which out does not overlap.
// Accuracy: the reference's integers exactly; rows as gather_rows has them.
// Launch:   (rows, blocks that share a row's groups) blocks of 512 threads; one block where a row has one scale. A lane
//           has four columns.
// Moves:    4 bytes read and 1.25 written a column; 4 more written of rows that are gathered.
// Why:      bound by memory. A thread loads all of its columns, up to 32, before it uses any, and a row that has one
//           scale stays in registers between its maximum and its integers. Kernels that make activations do the same as
//           they write them; this one is for those of other kernels.
#include "demitasse/quantize.cuh"

namespace demitasse {

struct QuantizeRowsArgs {
    const float* x;
    int64_t columns;
    int8_t* plain;  // or null: rows in order, instead of tiles
    float* scales;  // with `plain`
    QuantizedRows to;
    const int32_t* ids;    // quantize_gathered: rows of x
    const float* factors;  // of rows, or null
    float* out;            // where rows go
};

constexpr int QUANTIZE_HELD = 8;  // times four columns of a thread
static_assert(QUANTIZE_COLUMNS == QUANTIZE_THREADS * LANE_COLUMNS);

template <bool GATHERED>
DEVICE void quantize_rows(const QuantizeRowsArgs& a) {
    follow_previous();
    SHARED(float, maxima, QUANTIZE_THREADS / 32);
    const int64_t row = blockIdx.x;
    const float* x = a.x + (GATHERED ? a.ids[row] : row) * a.columns;
    const int columns = static_cast<int>(a.columns);
    const int end = static_cast<int>(a.plain != nullptr ? a.columns : a.to.padded);
    const int step = static_cast<int>(gridDim.y) * QUANTIZE_COLUMNS;
    const int first = static_cast<int>(blockIdx.y) * QUANTIZE_COLUMNS + static_cast<int>(threadIdx.x) * LANE_COLUMNS;
    const int first_of_warp = first - lane() * LANE_COLUMNS;
    auto load = [&](float(&to)[LANE_COLUMNS], int k) {
        load_columns(to, x, k, columns);
        if constexpr (GATHERED) {
#pragma unroll
            for (int i = 0; i < LANE_COLUMNS; i++) {
                to[i] = a.factors == nullptr ? to[i] : a.factors[row] * to[i];
            }
            store_columns(a.out + row * a.columns, k, columns, to);
        }
    };
    float held[QUANTIZE_HELD][LANE_COLUMNS] = {};
#pragma unroll
    for (int i = 0; i < QUANTIZE_HELD; i++) {
        if (first_of_warp + i * step < end) {
            load(held[i], first + i * step);
        }
    }
    float largest = 0;
    if (a.to.per_row != 0) {
#pragma unroll
        for (int i = 0; i < QUANTIZE_HELD; i++) {
            largest = larger_magnitude(largest, held[i]);
        }
        for (int k = first + QUANTIZE_HELD * step; k < columns; k += step) {
            load(held[0], k);
            largest = larger_magnitude(largest, held[0]);
        }
        largest = block_magnitude(largest, maxima);
    }
    auto store = [&](int k, const float(&values)[LANE_COLUMNS]) {
        if (a.plain == nullptr) {
            store_quantized(a.to, row, k, values, largest);
            return;
        }
        const Rounding rounding(group_magnitude(values), 127);
        int sum;
        const uint32_t word = rounded(rounding, values, sum);
        if (k < end) {
            *reinterpret_cast<uint32_t*>(a.plain + row * columns + k) = word;
        }
        if (k < end && k % INPUT_GROUP == 0) {
            a.scales[(row * columns + k) / INPUT_GROUP] = rounding.scale;
        }
    };
    if (a.to.per_row != 0 && first_of_warp + QUANTIZE_HELD * step < end) {
        load(held[0], first);  // it held others of a long row
    }
#pragma unroll
    for (int i = 0; i < QUANTIZE_HELD; i++) {
        if (first_of_warp + i * step < end) {
            store(first + i * step, held[i]);
        }
    }
    for (int at = first_of_warp + QUANTIZE_HELD * step; at < end; at += step) {
        const int k = at + lane() * LANE_COLUMNS;
        load(held[0], k);
        store(k, held[0]);
    }
}

}  // namespace demitasse

KERNEL(demitasse::QUANTIZE_THREADS) quantize_rows(const demitasse::QuantizeRowsArgs a) {
    demitasse::quantize_rows<false>(a);
}
EXPORT(quantize_rows)

KERNEL(demitasse::QUANTIZE_THREADS) quantize_gathered(const demitasse::QuantizeRowsArgs a) {
    demitasse::quantize_rows<true>(a);
}
EXPORT(quantize_gathered)
