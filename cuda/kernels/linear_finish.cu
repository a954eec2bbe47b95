// Computes: out[r][n] = sum over segments of partial[segment][r][n], in their order, + bias[n].
// Layout:   partial as gemm_int8 stores it; out rows x outputs, output.cuh.
// Requires: nothing.
// Accuracy: FP32, the order of weights.cuh; 16-bit results are rounded once.
// Launch:   one thread an element, blocks of 256, of all matrices.
// Moves:    4 bytes read for each segment and 4, or 2, written an element.
// Why:      a second kernel instead of atomics: the order of the sums, and so the bits, stay the same.
#include "demitasse/weights.cuh"

KERNEL(demitasse::ELEMENT_THREADS) linear_finish(const GRID_CONSTANT demitasse::LinearBatch batch) {
    int block = static_cast<int>(blockIdx.x);
    const demitasse::LinearArgs& a = batch.of(block);
    const int64_t i = static_cast<int64_t>(block) * blockDim.x + threadIdx.x;
    const int64_t count = a.rows * a.outputs;
    if (i >= count) {
        return;
    }
    float sum = a.partial[i];
    for (int s = 1; s < a.segments(); s++) {
        sum += a.partial[s * count + i];
    }
    a.out.store(i, a.with_bias(sum, i % a.outputs));
}
EXPORT(linear_finish)
