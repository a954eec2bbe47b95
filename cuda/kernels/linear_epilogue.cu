// Computes: what is done around a product of dense weights by cuBLAS. to_fp16: out = the nearest FP16 of x, the largest
//           for what is larger, NaN for what is not finite. propagate_nan: out = NaN in rows where x has an element
//           that is not finite. add_bias: out = x + bias in every row, also in 16 bits.
// Layout:   rows in order, FP32; out of add_bias as output.cuh says.
// Requires: nothing.
// Accuracy: one rounding each; the rule for rows that are not finite is that of every kernel of linear.
// Launch:   to_fp16, add_bias: a thread an element, blocks of 256; propagate_nan: a block of 256 a row.
// Moves:    each element once; propagate_nan writes where a row is not finite only.
// Why:      cuBLAS computes products alone. The integer kernels and gemv_float, gemm_float do all of this on the way.
#include "demitasse/fp16_tiles.cuh"
#include "demitasse/output.cuh"

namespace demitasse {

struct ToFp16Args {
    const float* x;
    int64_t count;
    uint16_t* out;
};

struct PropagateNanArgs {
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

KERNEL(demitasse::ELEMENT_THREADS) to_fp16(const demitasse::ToFp16Args a) {
    demitasse::follow_previous();
    const int64_t i = demitasse::thread_index();
    if (i < a.count) {
        a.out[i] = demitasse::float_to_fp16(demitasse::within_fp16(a.x[i]));
    }
}
EXPORT(to_fp16)

KERNEL(demitasse::ROW_THREADS) propagate_nan(const demitasse::PropagateNanArgs a) {
    using namespace demitasse;
    follow_previous();
    SHARED(int, non_finite, 1);
    if (threadIdx.x == 0) {
        non_finite[0] = 0;
    }
    __syncthreads();
    const int64_t row = blockIdx.x;
    for (int64_t k = threadIdx.x; k < a.columns; k += blockDim.x) {
        if (!is_finite(a.x[row * a.columns + k])) {
            non_finite[0] = 1;
        }
    }
    __syncthreads();
    for (int64_t n = threadIdx.x; non_finite[0] != 0 && n < a.outputs; n += blockDim.x) {
        a.out[row * a.outputs + n] = not_a_number();
    }
}
EXPORT(propagate_nan)

KERNEL(demitasse::ELEMENT_THREADS) add_bias(const demitasse::AddBiasArgs a) {
    demitasse::follow_previous();
    const int64_t i = demitasse::thread_index();
    if (i < a.count) {
        a.out.store(i, a.bias == nullptr ? a.x[i] : a.x[i] + a.bias[i % a.columns]);
    }
}
EXPORT(add_bias)
