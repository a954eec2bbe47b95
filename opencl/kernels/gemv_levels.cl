// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for few rows; w = s times one of sixteen levels (weights.h).
// Layout:   weights.h; activations INT8 by quantize_rows, or FP32 rows in order.
// Requires: columns of integers padded to 32 with zeros; scales of 16 or 32 columns, no minimums.
// Accuracy: as gemv_int4.cl; the bits of gemv_int8 of the same values.
// Launch:   as gemv_int4.cl.
// Moves:    weights once for each ROWS rows: 0.5 bytes an element, and their scales; 2 operations an element and row.
// Why:      as gemv_int4.cl. Some 30 instructions choose the levels of four elements, which pays where memory bounds.
#define ELEMENT 5
#define GEMV gemv_levels
#include "gemv.h"
