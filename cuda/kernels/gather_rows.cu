// Computes: out[i] = x[ids[i]], or factors[i] x[ids[i]].
// Layout:   x and out rows x columns FP32; ids in device memory.
// Requires: ids within x; out does not overlap it.
// Accuracy: exact; with factors one rounding.
// Launch:   a block of 256 threads a row.
// Moves:    4 bytes read and 4 written an element.
// Why:      bound by the launch: the rows whose logits are wanted, few of a batch, and those of experts while decoding;
//           by memory: states that are kept, before drafts and once a prompt, and the experts' rows of a prompt. Where
//           those become integers quantize_rows gathers them.
#include "demitasse/kernel.cuh"

namespace demitasse {

struct GatherRowsArgs {
    const float* x;
    int64_t columns;
    const int32_t* ids;
    const float* factors;  // one a row of out, or null
    float* out;
};

}  // namespace demitasse

KERNEL(demitasse::ROW_THREADS) gather_rows(const demitasse::GatherRowsArgs a) {
    demitasse::follow_previous();
    const int64_t row = a.ids[blockIdx.x];
    for (int64_t k = threadIdx.x; k < a.columns; k += blockDim.x) {
        const float value = a.x[row * a.columns + k];
        a.out[blockIdx.x * a.columns + k] = a.factors == nullptr ? value : a.factors[blockIdx.x] * value;
    }
}
EXPORT(gather_rows)
