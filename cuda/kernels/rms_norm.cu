// Computes: out = x / sqrt(mean(x^2) + epsilon) weight, of every row; where wanted x += addend before it. NaN in the
//           whole row where the sum of squares is beyond FP32. Where wanted it also quantizes what it writes.
// Layout:   x, addend and out rows x columns FP32; integers as quantize.cuh says. Row r has the weights of group r mod
//           groups.
// Requires: nothing; the integers' padded columns are a multiple of 32.
// Accuracy: FP32; a thread sums its columns in order, lanes and warps are added in a fixed order, which depends on the
//           columns of a row, not on the number of rows. The bits of add, rms_norm and quantize_rows one after the
//           other.
// Launch:   a block a row, of 256, 512 or 1,024 threads (rms_norm_threads); a lane has four columns.
// Moves:    4 bytes read (8 with an addend) and 4 written an element, and 4 for its sum, 1.25 for its integer.
// Why:      bound by the launch and by latency: a row is one block's, and what follows on the same row is done on the
//           way. Weights are loaded before the kernel before this one has ended, and a thread loads its first eight
//           columns before it uses any. Four columns a lane: a group's maximum and sums are five shuffles for four
//           columns, not ten for each, which took a third of the time.
#include "demitasse/quantize.cuh"

namespace demitasse {

struct RmsNormArgs {
    const float* x;
    const float* weight;
    int64_t groups;
    int64_t columns;
    Real epsilon;
    float* out;
    float* sum;  // or null: x is this, to which `addend` is added first
    const float* addend;
    QuantizedRows quantized;
};

constexpr int NORM_WARPS = NORM_THREADS / 32;  // of a block, at most
constexpr int NORM_HELD = 2;                   // times four columns of a thread

// A row of rms_norm; threads have columns of their own, four from k on.
struct NormRow {
    const RmsNormArgs& a;
    const float* weight;  // of the row
    int64_t first;        // element of the row
    int columns;

    // x, or x + addend, which is stored as x.
    DEVICE void load(float (&x)[LANE_COLUMNS], int k) const {
        load_columns(x, a.x + first, k, columns);
        if (a.sum == nullptr) {
            return;
        }
        float more[LANE_COLUMNS];
        load_columns(more, a.addend + first, k, columns);
#pragma unroll
        for (int i = 0; i < LANE_COLUMNS; i++) {
            x[i] += more[i];
        }
        store_columns(a.sum + first, k, columns, x);
    }
    DEVICE void normalize(float (&x)[LANE_COLUMNS], const float (&weights)[LANE_COLUMNS], float factor) const {
#pragma unroll
        for (int i = 0; i < LANE_COLUMNS; i++) {
            x[i] = x[i] * factor * weights[i];
        }
    }
    // The normalized elements of what was loaded before, and summed.
    DEVICE void load_normalized(float (&x)[LANE_COLUMNS], int k, float factor) const {
        float weights[LANE_COLUMNS];
        load_columns(x, a.x + first, k, columns);
        load_columns(weights, weight, k, columns);
        normalize(x, weights, factor);
    }
    // Stores normalized elements, and a warp's as integers.
    DEVICE void finish(int k, const float (&x)[LANE_COLUMNS], float largest) const {
        store_columns(a.out + first, k, columns, x);
        if (a.quantized.q != nullptr) {
            store_quantized(a.quantized, blockIdx.x, k, x, largest);
        }
    }
};

DEVICE float add_squares(float sum, const float (&x)[LANE_COLUMNS]) {
#pragma unroll
    for (int i = 0; i < LANE_COLUMNS; i++) {
        sum = fmaf(x[i], x[i], sum);
    }
    return sum;
}

}  // namespace demitasse

KERNEL_BLOCKS(demitasse::NORM_THREADS, 1) rms_norm(const demitasse::RmsNormArgs a) {
    using namespace demitasse;
    launch_dependents();
    SHARED(float, sums, NORM_WARPS);
    SHARED(float, maxima, NORM_WARPS);
    const int columns = static_cast<int>(a.columns);
    const float* weight = a.groups == 1 ? a.weight : a.weight + blockIdx.x % a.groups * a.columns;
    const NormRow row{a, weight, static_cast<int64_t>(blockIdx.x) * columns, columns};
    const int threads = static_cast<int>(blockDim.x);
    const int step = threads * LANE_COLUMNS;
    const int first = static_cast<int>(threadIdx.x) * LANE_COLUMNS;
    const int rest = first + NORM_HELD * step;
    float held[NORM_HELD][LANE_COLUMNS];  // the thread's first columns, all loaded before any is used
    float weights[NORM_HELD][LANE_COLUMNS];
#pragma unroll
    for (int i = 0; i < NORM_HELD; i++) {
        load_columns(weights[i], weight, first + i * step, columns);
    }
    await_previous();  // weights do not depend on it
#pragma unroll
    for (int i = 0; i < NORM_HELD; i++) {
        row.load(held[i], first + i * step);
    }
    float sum = 0;
#pragma unroll
    for (int i = 0; i < NORM_HELD; i++) {
        sum = add_squares(sum, held[i]);
    }
    float x[LANE_COLUMNS];
    for (int k = rest; k < columns; k += step) {
        row.load(x, k);
        sum = add_squares(sum, x);
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
        row.normalize(held[i], weights[i], factor);
        largest = larger_magnitude(largest, held[i]);
    }
    if (a.quantized.per_row != 0) {
        for (int k = rest; k < columns; k += step) {
            row.load_normalized(x, k, factor);
            largest = larger_magnitude(largest, x);
        }
        largest = block_magnitude(largest, maxima);
    }
    const int end = a.quantized.q != nullptr ? static_cast<int>(a.quantized.padded) : columns;
    const int of_lane = lane() * LANE_COLUMNS;
#pragma unroll
    for (int i = 0; i < NORM_HELD; i++) {
        if (first - of_lane + i * step < end) {
            row.finish(first + i * step, held[i], largest);
        }
    }
    for (int k = rest; k - of_lane < end; k += step) {
        row.load_normalized(x, k, factor);
        row.finish(k, x, largest);
    }
}
EXPORT(rms_norm)
