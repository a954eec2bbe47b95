// Computes: out[r] = sum over the row's choices of weight x[place], or of x[place]; and + addend[r], which with logits
//           becomes addend[r] / (1 + exp(-logits[r])) before.
// Layout:   x places x columns, out and addend rows x columns FP32, a logit a row; experts.cuh.
// Requires: what route has written; out, x, addend and logits are apart.
// Accuracy: FP32 in the order of experts' numbers: a row has the same bits in any number of rows. The addend as
//           gate_rows and add have it.
// Launch:   (rows, columns / 256) blocks of 256 threads, one a column.
// Moves:    4 bytes read for each choice and 4 written an element; 4 or 8 more of an addend.
// Why:      bound by the launch while decoding, else by memory. Sums have one order, which additions in memory would
//           not. Not run on a GPU yet.
#include "demitasse/kernel.cuh"

namespace demitasse {

struct CombineArgs {
    const float* x;
    int64_t columns;
    int64_t used;           // places of a row
    const int32_t* places;  // [row][used]
    const float* weights;   // [row][used], or null for ones
    float* out;
    float* addend;        // or null
    const float* logits;  // or null
};

}  // namespace demitasse

KERNEL(demitasse::ROW_THREADS) combine(const demitasse::CombineArgs a) {
    demitasse::follow_previous();
    const int64_t row = blockIdx.x;
    const int64_t column = static_cast<int64_t>(blockIdx.y) * demitasse::ROW_THREADS + threadIdx.x;
    if (column >= a.columns) {
        return;
    }
    float sum = 0;
    for (int64_t i = row * a.used; i < (row + 1) * a.used; i++) {
        sum = fmaf(a.weights == nullptr ? 1 : a.weights[i], a.x[a.places[i] * a.columns + column], sum);
    }
    const int64_t at = row * a.columns + column;
    if (a.addend != nullptr) {
        float addend = a.addend[at];
        if (a.logits != nullptr) {
            addend *= 1 / (1 + expf(-a.logits[row]));
            a.addend[at] = addend;
        }
        sum += addend;
    }
    a.out[at] = sum;
}
EXPORT(combine)
