// Computes: what is left to do around a product of dense weights by cuBLAS. to_half: out = the nearest FP16 of x, the largest
//           for what is larger, NaN for what is not finite. spoil_rows: out = NaN in rows where x has an element that is not
//           finite. add_bias: out = x + bias in every row, also in 16 bits.
// Layout:   rows in order, FP32; out of add_bias as output.cuh says.
// Requires: nothing.
// Accuracy: one rounding each; the rule for rows that are not finite is that of every kernel of linear.
// Launch:   to_half, add_bias: a thread an element, blocks of 256; spoil_rows: a block of 256 a row.
// Moves:    each element once; spoil_rows writes where a row is not finite only.
// Why:      cuBLAS computes products alone. The integer kernels and gemv_float, gemm_float do all of this on the way.
#include "demitasse/output.cuh"

namespace demitasse {

struct ToHalfArgs {
    const float* x;
    int64_t count;
    uint16_t* out;
};

struct SpoilRowsArgs {
    const float* x;
    int64_t columns;
    float* out;
    int64_t outputs;
};

struct AddBiasArgs {
    const float* x;
    int64_t count;
    const float* bias;  // or null
    int64_t columns;
    Output out;  // may be x
};

}  // namespace demitasse

KERNEL(demitasse::ELEMENT_THREADS) to_half(const demitasse::ToHalfArgs a) {
    const int64_t i = demitasse::thread_index();
    if (i < a.count) {
        const float x = a.x[i];
        a.out[i] = demitasse::is_finite(x) ? demitasse::float_to_half(fminf(fmaxf(x, -65504), 65504)) : 0x7FFF;
    }
}
EXPORT(to_half)

KERNEL(demitasse::ROW_THREADS) spoil_rows(const demitasse::SpoilRowsArgs a) {
    using namespace demitasse;
    SHARED(int, spoilt, 1);
    if (threadIdx.x == 0) {
        spoilt[0] = 0;
    }
    __syncthreads();
    const int64_t row = blockIdx.x;
    for (int64_t k = threadIdx.x; k < a.columns; k += blockDim.x) {
        if (!is_finite(a.x[row * a.columns + k])) {
            spoilt[0] = 1;
        }
    }
    __syncthreads();
    for (int64_t n = threadIdx.x; spoilt[0] != 0 && n < a.outputs; n += blockDim.x) {
        a.out[row * a.outputs + n] = not_a_number();
    }
}
EXPORT(spoil_rows)

KERNEL(demitasse::ELEMENT_THREADS) add_bias(const demitasse::AddBiasArgs a) {
    const int64_t i = demitasse::thread_index();
    if (i < a.count) {
        a.out.store(i, a.bias == nullptr ? a.x[i] : a.x[i] + a.bias[i % a.columns]);
    }
}
EXPORT(add_bias)
