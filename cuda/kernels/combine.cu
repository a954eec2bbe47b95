// Computes: out[r] = sum over the row's choices of weight x[place], or of x[place].
// Layout:   x places x columns, out rows x columns FP32; experts.cuh.
// Requires: what route has written; out is not x.
// Accuracy: FP32 in the order of experts' numbers: a row has the same bits in any number of rows.
// Launch:   (rows, columns / 256) blocks of 256 threads, one a column.
// Moves:    4 bytes read for each choice and 4 written an element.
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
    a.out[row * a.columns + column] = sum;
}
EXPORT(combine)
