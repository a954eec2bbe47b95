// Computes: x[r] = x[r] / (1 + exp(-logits[r])).
// Layout:   x rows x columns FP32, in place; a logit a row.
// Requires: logits are not x.
// Accuracy: FP32.
// Launch:   (columns / 256, rows) work-groups of 256 items, one a column.
// Moves:    4 bytes read and 4 written an element.
// Why:      bound by the launch: the weight of the expert that all tokens have, where combine does not apply
//           it on the way.
#include "kernel.h"

typedef struct GateRowsArgs {
    long x;
    long columns;
    long logits;
} GateRowsArgs;

KERNEL(ROW_ITEMS) gate_rows(global uchar* x, global const uchar* logits, const GateRowsArgs a) {
    const long row = (long)get_group_id(1);
    const long column = (long)get_group_id(0) * ROW_ITEMS + item();
    if (column < a.columns) {
        WRITE(float, x, a.x)[row * a.columns + column] *= 1 / (1 + exp(-READ(float, logits, a.logits)[row]));
    }
}
