// Computes: every run of n elements of a head becomes H x / sqrt(n) (rotate.cuh); where wanted it also quantizes them.
// Layout:   x rows x heads x head_dim FP32, in place; integers in tiles (quantize.cuh).
// Requires: head_dim at most 576; to quantize, heads that are whole groups of 32 elements.
// Accuracy: FP32, log2(n) sums and a product an element: the bits of kv_append, which does the same where it follows.
// Launch:   a warp a head, blocks of 8.
// Moves:    8 bytes an element; log2(n) operations an element.
// Why:      bound by the launch: strides below 32 are shuffles, others registers. Not run on a GPU yet.
#include "demitasse/quantize.cuh"
#include "demitasse/rotate.cuh"

namespace demitasse {

struct RotateArgs {
    float* x;
    int64_t rows;
    int64_t heads;
    int64_t head_dim;
    QuantizedRows quantized;
};

}  // namespace demitasse

KERNEL(demitasse::ROTATE_THREADS) rotate(const demitasse::RotateArgs a) {
    using namespace demitasse;
    follow_previous();
    const int64_t head = static_cast<int64_t>(blockIdx.x) * ROTATE_HEADS + warp();  // of all rows
    if (head >= a.rows * a.heads) {
        return;
    }
    const int dim = static_cast<int>(a.head_dim);
    float* at = a.x + head * dim;
    float x[MOST_HEAD_DIM / 32];
    load_head(x, at, dim);
    rotate_head(x, dim & -dim);
    store_head(at, x, dim);
    if (a.quantized.q == nullptr) {
        return;
    }
    __syncwarp();
    for (int from = 0; from < dim; from += 32 * LANE_COLUMNS) {
        const int k = from + lane() * LANE_COLUMNS;
        float columns[LANE_COLUMNS];
        load_columns(columns, at, k, dim);
        const int64_t column = head % a.heads * dim + k;
        store_quantized(a.quantized, head / a.heads, static_cast<int>(k < dim ? column : a.quantized.padded), columns,
                        0);
    }
}
EXPORT(rotate)
