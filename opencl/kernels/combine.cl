// Computes: out[r] = sum over the row's choices of weight x[place], or of x[place]; and + addend[r], which with logits
//           becomes addend[r] / (1 + exp(-logits[r])) before.
// Layout:   x places x columns, out and addend rows x columns FP32, a logit a row; experts.h.
// Requires: what route has written; out, x, addend and logits are apart.
// Accuracy: FP32 in the order of experts' numbers: a row has the same bits in any number of rows. The addend as
//           gate_rows and add have it.
// Launch:   (columns / 256, rows) work-groups of 256 items, one a column.
// Moves:    4 bytes read for each choice and 4 written an element; 4 or 8 more of an addend.
// Why:      bound by the launch while decoding, else by memory. Sums have one order, which additions in memory would
//           not.
#include "kernel.h"

typedef struct CombineArgs {
    long x;
    long columns;
    long used;     // places of a row
    long places;   // [row][used]
    long weights;  // [row][used], or -1 for ones
    long out;
    long addend;  // or -1
    long logits;  // or -1
} CombineArgs;

KERNEL(ROW_ITEMS) combine(global const uchar* x, global const uchar* routes, global uchar* out, global uchar* addends,
                          global const uchar* logits, const CombineArgs a) {
    const long row = (long)get_group_id(1);
    const long column = (long)get_group_id(0) * ROW_ITEMS + item();
    if (column >= a.columns) {
        return;
    }
    float sum = 0;
    for (long i = row * a.used; i < (row + 1) * a.used; i++) {
        const float weight = is_there(a.weights) ? READ(float, routes, a.weights)[i] : 1;
        const long place = READ(int, routes, a.places)[i];
        sum = fma(weight, READ(float, x, a.x)[place * a.columns + column], sum);
    }
    const long at = row * a.columns + column;
    if (is_there(a.addend)) {
        float addend = READ(float, addends, a.addend)[at];
        if (is_there(a.logits)) {
            addend *= 1 / (1 + exp(-READ(float, logits, a.logits)[row]));
            WRITE(float, addends, a.addend)[at] = addend;
        }
        sum += addend;
    }
    WRITE(float, out, a.out)[at] = sum;
}
