// Computes: out[r] = sum over the row's choices of weight x[place], or of x[place].
// Layout:   x places x columns, out rows x columns FP32; experts.h.
// Requires: what route has written; out is not x.
// Accuracy: FP32 in the order of experts' numbers: a row has the same bits in any number of rows.
// Launch:   (columns / 256, rows) work-groups of 256 items, one a column.
// Moves:    4 bytes read for each choice and 4 written an element.
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
} CombineArgs;

KERNEL(ROW_ITEMS) combine(global const uchar* x, global const uchar* routes, global uchar* out, const CombineArgs a) {
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
    WRITE(float, out, a.out)[row * a.columns + column] = sum;
}
