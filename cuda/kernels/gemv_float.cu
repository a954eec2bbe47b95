// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for weights in FP32, FP16 or BF16.
// Layout:   weights rows in order, each padded to 16 bytes with zeros; x and out rows in order, FP32.
// Requires: nothing.
// Accuracy: FP32; a lane sums its columns in order, lanes are added in a fixed order: a row has the same bits in any
//           number of rows.
// Launch:   (outputs / 8, rows / ROWS) blocks of 256 threads; a warp an output.
// Moves:    weights once for each ROWS rows; 2 operations an element and row.
// Why:      bound by memory for few rows: 16 bytes a lane, side by side. Many rows read weights again for each four; dense
//           weights are the exception. Not run on a GPU yet.
#include "demitasse/kernel.cuh"

namespace demitasse {

struct FloatLinearArgs {
    const uint8_t* weights;
    int64_t stride;  // bytes of a row
    int64_t outputs;
    int64_t columns;
    const float* x;
    int64_t rows;
    const float* bias;  // or null
    float* out;
};

struct F32 {
    static constexpr int BYTES = 4;
    static DEVICE float get(const Words4& w, int i) {
        return __uint_as_float(i == 0 ? w.x : i == 1 ? w.y : i == 2 ? w.z : w.w);
    }
};

struct F16 {
    static constexpr int BYTES = 2;
    static DEVICE float get(const Words4& w, int i) {
        const uint32_t word = i < 2 ? w.x : i < 4 ? w.y : i < 6 ? w.z : w.w;
        return half_to_float(static_cast<uint16_t>(word >> 16 * (i % 2)));
    }
};

struct BF16 {
    static constexpr int BYTES = 2;
    static DEVICE float get(const Words4& w, int i) {
        const uint32_t word = i < 2 ? w.x : i < 4 ? w.y : i < 6 ? w.z : w.w;
        return __uint_as_float(word >> 16 * (i % 2) << 16);
    }
};

template <class Element, int ROWS>
DEVICE void gemv_float(const FloatLinearArgs& a) {
    constexpr int COUNT = 16 / Element::BYTES;
    const int64_t output = static_cast<int64_t>(blockIdx.x) * 8 + warp();
    const int first_row = static_cast<int>(blockIdx.y) * ROWS;
    if (output >= a.outputs) {
        return;
    }
    float sums[ROWS] = {};
    for (int64_t at = lane() * 16; at < a.stride; at += 512) {
        const Words4 w = load_once(a.weights + output * a.stride + at);
        const int column = static_cast<int>(at) / Element::BYTES;
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float* x = a.x + minimum(first_row + r, static_cast<int>(a.rows) - 1) * a.columns;
#pragma unroll
            for (int i = 0; i < COUNT; i++) {
                if (column + i < a.columns) {
                    sums[r] = fmaf(Element::get(w, i), x[column + i], sums[r]);
                }
            }
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const float sum = warp_sum(sums[r]);
        if (lane() == 0 && first_row + r < a.rows) {
            a.out[(first_row + r) * a.outputs + output] = a.bias == nullptr ? sum : sum + a.bias[output];
        }
    }
}

}  // namespace demitasse

#define GEMV_FLOAT(name, ELEMENT, ROWS)                                                                          \
    KERNEL(256) name(const demitasse::FloatLinearArgs a) { demitasse::gemv_float<demitasse::ELEMENT, ROWS>(a); } \
    EXPORT(name)

GEMV_FLOAT(gemv_f32_rows1, F32, 1)
GEMV_FLOAT(gemv_f32_rows4, F32, 4)
GEMV_FLOAT(gemv_f16_rows1, F16, 1)
GEMV_FLOAT(gemv_f16_rows4, F16, 4)
GEMV_FLOAT(gemv_bf16_rows1, BF16, 1)
GEMV_FLOAT(gemv_bf16_rows4, BF16, 4)
