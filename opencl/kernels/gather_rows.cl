// Computes: out[i] = x[ids[i]], or factors[i] x[ids[i]].
// Layout:   x and out rows x columns FP32; ids in device memory.
// Requires: ids within x; out does not overlap it.
// Accuracy: exact; with factors one rounding.
// Launch:   a work-group of 256 items a row.
// Moves:    4 bytes read and 4 written an element.
// Why:      bound by the launch: the rows whose logits are wanted, few of a batch, and those of experts while decoding;
//           by memory: states that are kept, before drafts and once a prompt, and the experts' rows of a prompt. Where
//           those become integers quantize_rows gathers them.
#include "kernel.h"

typedef struct GatherRowsArgs {
    long x;
    long columns;
    long ids;
    long factors;  // one a row of out, or -1
    long out;
} GatherRowsArgs;

KERNEL(ROW_ITEMS) gather_rows(global const uchar* x, global const uchar* ids, global const uchar* factors,
                              global uchar* out, const GatherRowsArgs a) {
    const long to = (long)get_group_id(0);
    const long from = READ(int, ids, a.ids)[to];
    for (long k = item(); k < a.columns; k += ROW_ITEMS) {
        const float value = READ(float, x, a.x)[from * a.columns + k];
        WRITE(float, out, a.out)[to * a.columns + k] =
            is_there(a.factors) ? READ(float, factors, a.factors)[to] * value : value;
    }
}
