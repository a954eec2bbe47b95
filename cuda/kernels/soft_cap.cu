// Computes: x = cap tanh(x / cap).
// Layout:   FP32 in order; in place.
// Requires: a cap above 0.
// Accuracy: FP32, by tanhf.
// Launch:   a thread an element, blocks of 256.
// Moves:    4 bytes read and 4 written an element.
// Why:      for logits, once a step.
#include "demitasse/kernel.cuh"

namespace demitasse {

struct SoftCapArgs {
    float* x;
    int64_t count;
    Real cap;
};

}  // namespace demitasse

KERNEL(demitasse::ELEMENT_THREADS) soft_cap(const demitasse::SoftCapArgs a) {
    demitasse::follow_previous();
    const int64_t i = demitasse::thread_index();
    if (i < a.count) {
        a.x[i] = a.cap * tanhf(a.x[i] / a.cap);
    }
}
EXPORT(soft_cap)
