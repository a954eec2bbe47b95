// Computes: x = factor x.
// Layout:   FP32 in order; in place.
// Requires: nothing.
// Accuracy: FP32, one multiplication.
// Launch:   a thread an element, blocks of 256.
// Moves:    4 bytes read and 4 written an element.
// Why:      bound by the launch: a row of the residual stream, once a layer.
#include "demitasse/kernel.cuh"

namespace demitasse {

struct ScaleArgs {
    float* x;
    int64_t count;
    Real factor;
};

}  // namespace demitasse

KERNEL(demitasse::ELEMENT_THREADS) scale(const demitasse::ScaleArgs a) {
    demitasse::follow_previous();
    const int64_t i = demitasse::thread_index();
    if (i < a.count) {
        a.x[i] *= a.factor;
    }
}
EXPORT(scale)
