// Computes: every run of n elements of a head becomes H x / sqrt(n) (rotate.h); where wanted it also quantizes them.
// Layout:   x rows x heads x head_dim FP32, in place; integers as quantize.h says.
// Requires: head_dim at most 256; to quantize, heads that are whole groups of 32 elements.
// Accuracy: FP32, log2(n) sums and a product an element: the bits of kv_append, which does the same where it follows.
// Launch:   (heads, rows) work-groups of 64 items.
// Moves:    8 bytes an element; log2(n) operations an element.
// Why:      bound by the launch; in local memory, where every step of the transform meets all items. `rotate` is a
//           function of OpenCL C.
#include "quantize.h"
#include "rotate.h"

typedef struct RotateArgs {
    long x;
    long rows;
    long heads;
    long head_dim;
    QuantizedRows quantized;
} RotateArgs;

// QUANTIZES 1: it also writes integers.
KERNEL(ROTATE_ITEMS) rotate_heads(global uchar* x, global uchar* integers, const RotateArgs a) {
    local float head[MOST_HEAD_DIM];
#if QUANTIZES
    local float shared[ROTATE_ITEMS];
#endif
    const int dim = (int)a.head_dim;
    const long number = (long)get_group_id(0);
    const long row = (long)get_group_id(1);
    global float* at = WRITE(float, x, a.x) + (row * a.heads + number) * dim;
    const float factor = rotation_factor(rotation_run(dim));
    for (int d = item(); d < dim; d += ROTATE_ITEMS) {
        head[d] = at[d] * factor;
    }
    rotate_head(head, dim, ROTATE_ITEMS);
    for (int d = item(); d < dim; d += ROTATE_ITEMS) {
        at[d] = head[d];
    }
#if QUANTIZES
    const int element = item() * 4;
    const long column = element < dim ? number * dim + element : a.quantized.padded;
    const float4 four = element < dim ? vload4((size_t)item(), head) : (float4)(0);
    store_quantized(integers, a.quantized, row, (int)column, four, 0, shared);
#endif
}
