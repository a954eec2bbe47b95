// Computes: x[r] = x[r] / (1 + exp(-logits[r])).
// Layout:   x rows x columns FP32, in place; a logit a row.
// Requires: logits are not x.
// Accuracy: FP32.
// Launch:   (rows, columns / 256) blocks of 256 threads, one a column.
// Moves:    4 bytes read and 4 written an element.
// Why:      bound by the launch: the weight of the expert that all tokens have, where combine does not apply
//           it on the way. Not run on a GPU yet.
#include "demitasse/kernel.cuh"

namespace demitasse {

struct GateRowsArgs {
    float* x;
    int64_t columns;
    const float* logits;
};

}  // namespace demitasse

KERNEL(demitasse::ROW_THREADS) gate_rows(const demitasse::GateRowsArgs a) {
    demitasse::follow_previous();
    const int64_t row = blockIdx.x;
    const int64_t column = static_cast<int64_t>(blockIdx.y) * demitasse::ROW_THREADS + threadIdx.x;
    if (column < a.columns) {
        a.x[row * a.columns + column] *= 1 / (1 + expf(-a.logits[row]));
    }
}
EXPORT(gate_rows)
