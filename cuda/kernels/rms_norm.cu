// Computes: out = x / sqrt(mean(x^2) + epsilon) weight, of every row; where wanted x += addend before it. NaN in the
//           whole row where the sum of squares is beyond FP32. Where wanted it also quantizes what it writes.
// Layout:   x, addend and out rows x columns FP32; integers as quantize.cuh says.
// Requires: nothing; the integers' padded columns are a multiple of 32.
// Accuracy: FP32; a thread sums its columns in order, lanes and warps are added in a fixed order. Rows of up to 1,024
//           columns have another order than longer ones, and each the same in any number of rows. The bits of add,
//           rms_norm and quantize_rows one after the other.
// Launch:   a block a row, of 256 threads; of 1,024 where there are more columns than that.
// Moves:    4 bytes read (8 with an addend) and 4 written an element, and 4 for its sum, 1.25 for its integer.
// Why:      bound by memory and by the launch: what follows on the same row is done on the way. A thread loads its
//           first eight elements before it uses any.
#include "demitasse/quantize.cuh"

namespace demitasse {

struct RmsNormArgs {
    const float* x;
    const float* weight;
    int64_t columns;
    Real epsilon;
    float* out;
    float* sum;  // or null: x is this, to which `addend` is added first
    const float* addend;
    QuantizedRows quantized;
};

constexpr int NORM_WARPS = NORM_THREADS / 32;  // of a block, at most
constexpr int NORM_HELD = 8;

// A row of rms_norm; threads have columns of their own.
struct NormRow {
    const RmsNormArgs& a;
    int64_t first;  // element of the row
    int columns;

    // x, or x + addend; 0 beyond the columns.
    DEVICE float load(int k) const {
        if (k >= columns) {
            return 0;
        }
        return a.sum == nullptr ? a.x[first + k] : a.x[first + k] + a.addend[first + k];
    }
    DEVICE float weight(int k) const { return k < columns ? a.weight[k] : 0; }
    DEVICE void store_sum(int k, float value) const {
        if (a.sum != nullptr && k < columns) {
            a.sum[first + k] = value;
        }
    }
    // What was loaded, after store_sum of it.
    DEVICE float again(int k) const { return k < columns ? a.x[first + k] : 0; }
    // Stores a normalized element, and a warp's 32 of them as integers up to column `end`.
    DEVICE void finish(int k, int end, float value, float largest) const {
        if (k < columns) {
            a.out[first + k] = value;
        }
        if (a.quantized.q != nullptr && k - lane() < end) {
            store_quantized(a.quantized, blockIdx.x, k / 32, value, largest);
        }
    }
};

}  // namespace demitasse

KERNEL_BLOCKS(demitasse::NORM_THREADS, 1) rms_norm(const demitasse::RmsNormArgs a) {
    using namespace demitasse;
    SHARED(float, sums, NORM_WARPS);
    SHARED(float, maxima, NORM_WARPS);
    const int columns = static_cast<int>(a.columns);
    const int thread = static_cast<int>(threadIdx.x);
    const NormRow x{a, static_cast<int64_t>(blockIdx.x) * columns, columns};
    const int threads = static_cast<int>(blockDim.x);
    const int rest = NORM_HELD * threads;
    float held[NORM_HELD];  // the thread's first elements, all loaded before any is used
    float weights[NORM_HELD];
#pragma unroll
    for (int i = 0; i < NORM_HELD; i++) {
        held[i] = x.load(thread + i * threads);
        weights[i] = x.weight(thread + i * threads);
    }
    float sum = 0;
#pragma unroll
    for (int i = 0; i < NORM_HELD; i++) {
        x.store_sum(thread + i * threads, held[i]);
        sum = fmaf(held[i], held[i], sum);
    }
    for (int k = thread + rest; k < columns; k += threads) {
        const float value = x.load(k);
        x.store_sum(k, value);
        sum = fmaf(value, value, sum);
    }
    sum = warp_sum(sum);
    if (lane() == 0) {
        sums[warp()] = sum;
    }
    __syncthreads();
    sum = warp_sum(lane() < threads / 32 ? sums[lane()] : 0);
    const float factor = is_finite(sum) ? 1 / sqrtf(sum / static_cast<float>(a.columns) + a.epsilon) : not_a_number();
    float largest = 0;
#pragma unroll
    for (int i = 0; i < NORM_HELD; i++) {
        held[i] = held[i] * factor * weights[i];
        largest = larger_magnitude(largest, held[i]);
    }
    if (a.quantized.per_row != 0) {
        for (int k = thread + rest; k < columns; k += threads) {
            largest = larger_magnitude(largest, x.again(k) * factor * x.weight(k));
        }
        largest = block_magnitude(largest, maxima);
    }
    const int end = a.quantized.q != nullptr ? static_cast<int>(a.quantized.padded) : columns;
#pragma unroll
    for (int i = 0; i < NORM_HELD; i++) {
        x.finish(thread + i * threads, end, held[i], largest);
    }
    for (int k = thread + rest; k - lane() < end; k += threads) {
        x.finish(k, end, x.again(k) * factor * x.weight(k), largest);
    }
}
EXPORT(rms_norm)
