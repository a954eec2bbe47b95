// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for few rows; weights in FP32, FP16 or BF16.
// Layout:   float_weights.cuh; rows in order, x FP32, out as output.cuh says.
//           A row of x that is not finite gives NaN.
// Requires: nothing.
// Accuracy: FP32; a lane sums its columns in order, lanes are added in a fixed order: a row has the same bits in any
//           number of rows.
// Launch:   (outputs / 8, rows / ROWS) blocks of 256 threads; a warp an output. Grouped: (outputs / 8, tiles, rows of
//           a tile / 4), rows by the matrices of their groups (GroupTile).
// Moves:    weights once for each ROWS rows; 2 operations an element and row.
// Why:      bound by memory: 16 bytes a lane, side by side. An H200 reads 3.6 TB/s (14336 x 4096, one row).
#include "demitasse/float_weights.cuh"

namespace demitasse {

// ROWS rows from `first_row` on.
template <class Element, int ROWS>
DEVICE void gemv_float(const FloatLinearArgs& a, int first_row) {
    constexpr int COUNT = 16 / Element::BYTES;
    const int64_t output = static_cast<int64_t>(blockIdx.x) * FLOAT_GEMV_OUTPUTS + warp();
    if (output >= a.outputs) {
        return;
    }
    const bool whole = a.columns % 4 == 0;  // rows of x begin at multiples of 16 bytes
    float sums[ROWS] = {};
    for (int64_t at = lane() * 16; at < a.stride; at += 512) {
        const Words4 w = load_once(a.weights + output * a.stride + at);
        const int column = static_cast<int>(at) / Element::BYTES;
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float* x = a.x + minimum(first_row + r, static_cast<int>(a.rows) - 1) * a.columns + column;
            if (whole && column + COUNT <= a.columns) {
#pragma unroll
                for (int i = 0; i < COUNT; i += 4) {
                    const Words4 inputs = load16(x + i);
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        sums[r] = fmaf(Element::get(w, i + j), F32::get(inputs, j), sums[r]);
                    }
                }
                continue;
            }
#pragma unroll
            for (int i = 0; i < COUNT; i++) {
                if (column + i < a.columns) {
                    sums[r] = fmaf(Element::get(w, i), x[i], sums[r]);
                }
            }
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const float sum = warp_sum(sums[r]);
        if (lane() == 0 && first_row + r < a.rows) {
            const bool non_finite = !is_finite(sum) && has_non_finite(a.x + (first_row + r) * a.columns, a.columns);
            const float result = non_finite ? not_a_number() : sum;
            a.out.store((first_row + r) * a.outputs + output, a.bias == nullptr ? result : result + a.bias[output]);
        }
    }
}

template <class Element, int ROWS>
DEVICE void gemv_float(const FloatLinearArgs& a) {
    follow_previous();
    gemv_float<Element, ROWS>(a, static_cast<int>(blockIdx.y) * ROWS);
}

// The rows of a tile, by the matrix of their group.
template <class Element, int ROWS>
DEVICE void gemv_float_grouped(const FloatLinearArgs& all) {
    follow_previous();
    const GroupTile tile = all.tiles[blockIdx.y];
    const int first_row = tile.begin + static_cast<int>(blockIdx.z) * ROWS;
    if (first_row < tile.end) {
        gemv_float<Element, ROWS>(all.of(tile), first_row);
    }
}

}  // namespace demitasse

#define GEMV_FLOAT_OF(function, name, ELEMENT, ROWS)                                 \
    KERNEL(demitasse::FLOAT_GEMV_THREADS) name(const demitasse::FloatLinearArgs a) { \
        demitasse::function<demitasse::ELEMENT, ROWS>(a);                            \
    }                                                                                \
    EXPORT(name)
#define GEMV_FLOAT(name, ELEMENT, ROWS) GEMV_FLOAT_OF(gemv_float, name, ELEMENT, ROWS)
#define GEMV_FLOAT_GROUPED(name, ELEMENT) GEMV_FLOAT_OF(gemv_float_grouped, name, ELEMENT, 4)

GEMV_FLOAT(gemv_f32_rows1, F32, 1)
GEMV_FLOAT(gemv_f32_rows4, F32, 4)
GEMV_FLOAT(gemv_f16_rows1, F16, 1)
GEMV_FLOAT(gemv_f16_rows4, F16, 4)
GEMV_FLOAT(gemv_bf16_rows1, BF16, 1)
GEMV_FLOAT(gemv_bf16_rows4, BF16, 4)

GEMV_FLOAT_GROUPED(gemv_f32_grouped, F32)
GEMV_FLOAT_GROUPED(gemv_f16_grouped, F16)
GEMV_FLOAT_GROUPED(gemv_bf16_grouped, BF16)
