// Computes: out[r][n] = sum over segments of partial[segment][r][n], in their order, + bias[n]; of weights with a scale
//           a row the sums are integers, which meet their scales here.
// Layout:   partial as gemm_int8 stores it; out rows x outputs, output.cuh.
// Requires: nothing.
// Accuracy: FP32, the order of weights.cuh, or exact integers and one fold; 16-bit results are rounded once.
// Launch:   one thread an element, blocks of 256, of all matrices.
// Moves:    4 bytes read for each segment and 4, or 2, written an element.
// Why:      a second kernel instead of atomics: the order of the sums, and so the bits, stay the same, and nothing has
//           to be zero before.
#include "demitasse/weights.cuh"

namespace demitasse {

// `finish` makes a result of a row and output of what is added up as numbers of type Sum.
template <class Sum, class Finish>
DEVICE void add_segments(const LinearBatch& batch, const Finish& finish) {
    follow_previous();
    int block = static_cast<int>(blockIdx.x);
    const LinearArgs& a = batch.of(block);
    const int64_t i = static_cast<int64_t>(block) * blockDim.x + threadIdx.x;
    const int64_t count = a.rows * a.outputs;
    if (i >= count) {
        return;
    }
    const Sum* partial = reinterpret_cast<const Sum*>(a.partial);
    Sum sum = partial[i];
    for (int s = 1; s < a.segments(); s++) {
        sum += partial[s * count + i];
    }
    const int64_t output = i % a.outputs;
    a.out.store(i, a.with_bias(finish(a, sum, i / a.outputs, output), output));
}

template <Integers KIND>
DEVICE void add_row_segments(const LinearBatch& batch) {
    add_segments<int>(batch, [](const LinearArgs& a, int sum, int64_t row, int64_t output) {
        return a.fold_row<KIND>(sum, a.row_input<KIND>(row), a.groups_of<KIND>(row)->scales[0], output);
    });
}

}  // namespace demitasse

KERNEL(demitasse::ELEMENT_THREADS) linear_finish(const GRID_CONSTANT demitasse::LinearBatch batch) {
    demitasse::add_segments<float>(batch,
                                   [](const demitasse::LinearArgs&, float sum, int64_t, int64_t) { return sum; });
}
EXPORT(linear_finish)

KERNEL(demitasse::ELEMENT_THREADS) linear_finish_int4_per_row(const GRID_CONSTANT demitasse::LinearBatch batch) {
    demitasse::add_row_segments<demitasse::Integers::INT4>(batch);
}
EXPORT(linear_finish_int4_per_row)

KERNEL(demitasse::ELEMENT_THREADS) linear_finish_int8_per_row(const GRID_CONSTANT demitasse::LinearBatch batch) {
    demitasse::add_row_segments<demitasse::Integers::INT8>(batch);
}
EXPORT(linear_finish_int8_per_row)
