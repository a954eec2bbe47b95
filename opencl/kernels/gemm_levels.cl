// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for many rows; w = s times one of sixteen levels (weights.h).
// Layout:   weights.h; activations INT8 by quantize_rows, or FP32 rows in order.
// Requires: columns of integers padded to 32 with zeros; scales of 16 or 32 columns, no minimums.
// Accuracy: the bits of gemv.
// Launch:   as gemm_int4.cl.
// Moves:    weights once for each 64 rows, activations once for each 64 outputs; 2 operations an element and row.
// Why:      as gemm_int4.cl; levels are chosen once for 8 rows.
#define ELEMENT 5
#define GEMM gemm_levels
#include "gemm.h"
