// Computes: out = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) weight + bias, of every row. NaN in the whole
//           row where its sum or its sum of squares is beyond FP32.
// Layout:   rows x columns FP32; out may be x; no bias where it is null.
// Requires: nothing.
// Accuracy: FP32; a thread sums its columns in order, lanes and warps are added in a fixed order; the mean is taken off
//           before squares are summed.
// Launch:   a block of 256 threads a row.
// Moves:    4 bytes read and 4 written an element; the second and third reading come from a cache.
// Why:      bound by the launch and by latency: a row is one block's. Few models have such norms, so that nothing is
//           fused with it.
#include "demitasse/kernel.cuh"

namespace demitasse {

struct LayerNormArgs {
    const float* x;
    const float* weight;
    const float* bias;  // or null
    int64_t columns;
    Real epsilon;
    float* out;
};

// The sum over a block's threads, the same in all of them; `sums` has a number for each warp.
DEVICE float block_sum(float value, float* sums) {
    value = warp_sum(value);
    __syncthreads();
    if (lane() == 0) {
        sums[warp()] = value;
    }
    __syncthreads();
    return warp_sum(lane() < ROW_THREADS / 32 ? sums[lane()] : 0);
}

}  // namespace demitasse

KERNEL(demitasse::ROW_THREADS) layer_norm(const demitasse::LayerNormArgs a) {
    using namespace demitasse;
    follow_previous();
    SHARED(float, sums, ROW_THREADS / 32);
    const int64_t first = static_cast<int64_t>(blockIdx.x) * a.columns;
    const float count = static_cast<float>(a.columns);
    float sum = 0;
    for (int64_t k = threadIdx.x; k < a.columns; k += ROW_THREADS) {
        sum += a.x[first + k];
    }
    const float mean = block_sum(sum, sums) / count;
    sum = 0;
    for (int64_t k = threadIdx.x; k < a.columns; k += ROW_THREADS) {
        const float distance = a.x[first + k] - mean;
        sum = fmaf(distance, distance, sum);
    }
    const float squares = block_sum(sum, sums);
    const float factor = is_finite(squares) ? 1 / sqrtf(squares / count + a.epsilon) : not_a_number();
    for (int64_t k = threadIdx.x; k < a.columns; k += ROW_THREADS) {
        const float value = (a.x[first + k] - mean) * factor * a.weight[k];
        a.out[first + k] = a.bias == nullptr ? value : value + a.bias[k];
    }
}
EXPORT(layer_norm)
