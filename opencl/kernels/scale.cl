// Computes: x = factor x.
// Layout:   FP32 in order; in place.
// Requires: nothing.
// Accuracy: FP32, one multiplication.
// Launch:   an item an element, work-groups of 256.
// Moves:    4 bytes read and 4 written an element.
// Why:      bound by the launch: a row of the residual stream, once a layer.
#include "kernel.h"

typedef struct ScaleArgs {
    long x;
    long count;
    Real factor;
} ScaleArgs;

KERNEL(ELEMENT_ITEMS) scale(global uchar* x, const ScaleArgs a) {
    const long i = (long)get_global_id(0);
    if (i < a.count) {
        global float* element = WRITE(float, x, a.x) + i;
        *element = a.factor.value * *element;
    }
}
