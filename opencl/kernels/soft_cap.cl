// Computes: x = cap tanh(x / cap).
// Layout:   FP32 in order; in place.
// Requires: a cap above 0.
// Accuracy: FP32, by the device's tanh (at most 5 units in the last place).
// Launch:   an item an element, work-groups of 256.
// Moves:    4 bytes read and 4 written an element.
// Why:      for logits, once a step.
#include "kernel.h"

typedef struct SoftCapArgs {
    long x;
    long count;
    Real cap;
} SoftCapArgs;

KERNEL(ELEMENT_ITEMS) soft_cap(global uchar* x, const SoftCapArgs a) {
    const long i = (long)get_global_id(0);
    if (i < a.count) {
        global float* element = WRITE(float, x, a.x) + i;
        *element = a.cap.value * tanh(*element / a.cap.value);
    }
}
