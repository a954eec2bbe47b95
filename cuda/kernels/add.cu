// Computes: x += y.
// Layout:   FP32 in order; x in place.
// Requires: nothing.
// Accuracy: FP32, one rounding.
// Launch:   a thread an element, blocks of 256.
// Moves:    8 bytes read and 4 written an element.
// Why:      for sums that neither rms_norm nor combine does on the way.
#include "demitasse/kernel.cuh"

namespace demitasse {

struct AddArgs {
    float* x;
    const float* y;
    int64_t count;
};

}  // namespace demitasse

KERNEL(demitasse::ELEMENT_THREADS) add(const demitasse::AddArgs a) {
    demitasse::follow_previous();
    const int64_t i = demitasse::thread_index();
    if (i < a.count) {
        a.x[i] += a.y[i];
    }
}
EXPORT(add)
