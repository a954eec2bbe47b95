// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for many rows; weights in FP32, FP16 or BF16.
// Layout:   float_weights.cuh; rows in order, x FP32, out as output.cuh says.
//           A row of x that is not finite gives NaN.
// Requires: nothing.
// Accuracy: FP32, columns in order.
// Launch:   (outputs / EDGE, rows / EDGE) blocks of 256 threads, EDGE = 16 EACH.
// Moves:    weights once for each EDGE rows, activations once for each EDGE outputs; 2 operations an element and row.
// Why:      for dense weights where there is no cuBLAS, and for BF16: activations stay FP32, so a tensor core would
//           need them in two or three parts. Bound by FP32 arithmetic: a thread has EACH x EACH sums, for which it
//           reads 2 EACH numbers of shared memory a column; the next columns are on their way to registers meanwhile.
//           27 TFLOP/s on an H200.
#include "demitasse/float_weights.cuh"

namespace demitasse {

template <class Element, int EACH>
struct FloatGemm {
    static constexpr int EDGE = 16 * EACH;  // rows, and outputs, of a block
    static_assert(EDGE == float_gemm_edge(EDGE) && FLOAT_GEMM_THREADS == 16 * 16);
    static constexpr int STEP = 16;  // columns at once
    static constexpr int COUNT = 16 / Element::BYTES;
    static constexpr int X_LOADS = EDGE * STEP / FLOAT_GEMM_THREADS;  // numbers of a thread
    static constexpr int W_LOADS = EDGE * STEP / COUNT;               // of 16 bytes, of all threads
    static constexpr int W_EACH = (W_LOADS + FLOAT_GEMM_THREADS - 1) / FLOAT_GEMM_THREADS;

    const FloatLinearArgs& a;
    float* shared;  // [stage][activations, weights][column][EDGE]
    int first_row, first_output;
    float x[X_LOADS];
    Words4 w[W_EACH];

    DEVICE FloatGemm(const FloatLinearArgs& args, float* memory)
        : a(args),
          shared(memory),
          first_row(static_cast<int>(blockIdx.y) * EDGE),
          first_output(static_cast<int>(blockIdx.x) * EDGE) {}

    DEVICE float* stage(int step) const { return shared + step % 2 * 2 * STEP * EDGE; }

    // Row or output i of the t-th of 16 threads: in fours, so that the threads' loads of 16 bytes meet all banks.
    DEVICE static int spot(unsigned t, int i) { return i / 4 * 64 + static_cast<int>(t) * 4 + i % 4; }

    // Lanes have neighboring rows, so that stores to shared memory meet all banks.
    DEVICE void load(int step) {
#pragma unroll
        for (int i = 0; i < X_LOADS; i++) {
            const int at = static_cast<int>(threadIdx.x) + i * FLOAT_GEMM_THREADS;
            const int row = first_row + at % EDGE;
            const int column = step * STEP + at / EDGE;
            x[i] = row < a.rows && column < a.columns ? a.x[row * a.columns + column] : 0;
        }
#pragma unroll
        for (int i = 0; i < W_EACH; i++) {
            const int at = static_cast<int>(threadIdx.x) + i * FLOAT_GEMM_THREADS;
            const int output = first_output + at % EDGE;
            const int64_t byte = static_cast<int64_t>(step * STEP + at / EDGE * COUNT) * Element::BYTES;
            const bool inside = at < W_LOADS && output < a.outputs && byte < a.stride;
            w[i] = inside ? load16(a.weights + output * a.stride + byte) : Words4{0, 0, 0, 0};
        }
    }

    DEVICE void store(int step) const {
        float* to = stage(step);
#pragma unroll
        for (int i = 0; i < X_LOADS; i++) {
            to[threadIdx.x + i * FLOAT_GEMM_THREADS] = x[i];
        }
        to += STEP * EDGE;
#pragma unroll
        for (int i = 0; i < W_EACH; i++) {
            const int at = static_cast<int>(threadIdx.x) + i * FLOAT_GEMM_THREADS;
            if (at < W_LOADS) {
#pragma unroll
                for (int j = 0; j < COUNT; j++) {
                    to[(at / EDGE * COUNT + j) * EDGE + at % EDGE] = Element::get(w[i], j);
                }
            }
        }
    }

    DEVICE void add(int step, float (&sums)[EACH][EACH]) const {
        const float* rows = stage(step);
        const float* outputs = rows + STEP * EDGE;
#pragma unroll
        for (int k = 0; k < STEP; k++) {
            float r[EACH];
            float n[EACH];
#pragma unroll
            for (int i = 0; i < EACH; i++) {
                r[i] = rows[k * EDGE + spot(threadIdx.x / 16, i)];
                n[i] = outputs[k * EDGE + spot(threadIdx.x % 16, i)];
            }
#pragma unroll
            for (int i = 0; i < EACH; i++) {
#pragma unroll
                for (int j = 0; j < EACH; j++) {
                    sums[i][j] = fmaf(r[i], n[j], sums[i][j]);
                }
            }
        }
    }

    DEVICE void finish(const float (&sums)[EACH][EACH]) const {
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const int64_t row = first_row + spot(threadIdx.x / 16, i);
            bool finite = true;
#pragma unroll
            for (int j = 0; j < EACH; j++) {
                finite &= is_finite(sums[i][j]);
            }
            const bool non_finite = !finite && row < a.rows && has_non_finite(a.x + row * a.columns, a.columns);
#pragma unroll
            for (int j = 0; j < EACH; j++) {
                const int64_t output = first_output + spot(threadIdx.x % 16, j);
                if (row < a.rows && output < a.outputs) {
                    const float sum = non_finite ? not_a_number() : sums[i][j];
                    a.out.store(row * a.outputs + output, a.bias == nullptr ? sum : sum + a.bias[output]);
                }
            }
        }
    }
};

template <class Element, int EACH>
DEVICE void gemm_float(const FloatLinearArgs& a) {
    follow_previous();
    using Gemm = FloatGemm<Element, EACH>;
    SHARED(float, shared, 4 * Gemm::STEP * Gemm::EDGE);
    Gemm gemm(a, shared);
    float sums[EACH][EACH] = {};
    const int steps = static_cast<int>((a.columns + Gemm::STEP - 1) / Gemm::STEP);
    gemm.load(0);
    gemm.store(0);
    for (int step = 0; step < steps; step++) {
        __syncthreads();  // the stage is there for all, and nobody reads the one that is filled next
        if (step + 1 < steps) {
            gemm.load(step + 1);
        }
        gemm.add(step, sums);
        if (step + 1 < steps) {
            gemm.store(step + 1);
        }
    }
    gemm.finish(sums);
}

}  // namespace demitasse

#define GEMM_FLOAT(name, ELEMENT, EACH)                                                                        \
    KERNEL_BLOCKS(demitasse::FLOAT_GEMM_THREADS, EACH == 8 ? 1 : 2) name(const demitasse::FloatLinearArgs a) { \
        demitasse::gemm_float<demitasse::ELEMENT, EACH>(a);                                                    \
    }                                                                                                          \
    EXPORT(name)

GEMM_FLOAT(gemm_f32_m64, F32, 4)
GEMM_FLOAT(gemm_f32_m128, F32, 8)
GEMM_FLOAT(gemm_f16_m64, F16, 4)
GEMM_FLOAT(gemm_f16_m128, F16, 8)
GEMM_FLOAT(gemm_bf16_m64, BF16, 4)
GEMM_FLOAT(gemm_bf16_m128, BF16, 8)
