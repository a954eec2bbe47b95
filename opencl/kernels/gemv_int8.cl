// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for few rows; w = s q (+ m) (weights.h).
// Layout:   weights.h; activations INT8 by quantize_rows, or FP32 rows in order.
// Requires: columns of integers padded to 32 with zeros.
// Accuracy: as gemv_int4.cl.
// Launch:   as gemv_int4.cl.
// Moves:    weights once for each ROWS rows: a byte an element, and their scales; 2 operations an element and row.
// Why:      as gemv_int4.cl.
#define ELEMENT 3
#define GEMV gemv_int8
#include "gemv.h"
