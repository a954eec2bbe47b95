// Computes: x += y.
// Layout:   FP32 in order; x in place.
// Requires: nothing.
// Accuracy: FP32, one rounding.
// Launch:   an item an element, work-groups of 256.
// Moves:    8 bytes read and 4 written an element.
// Why:      for sums that neither rms_norm nor combine does on the way.
#include "kernel.h"

typedef struct AddArgs {
    long x;
    long y;
    long count;
} AddArgs;

KERNEL(ELEMENT_ITEMS) add(global uchar* x, global const uchar* y, const AddArgs a) {
    const long i = (long)get_global_id(0);
    if (i < a.count) {
        WRITE(float, x, a.x)[i] += READ(float, y, a.y)[i];
    }
}
