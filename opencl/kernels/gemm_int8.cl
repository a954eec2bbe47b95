// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for many rows; w = s q (+ m) (weights.h).
// Layout:   weights.h; activations INT8 by quantize_rows, or FP32 rows in order.
// Requires: columns of integers padded to 32 with zeros.
// Accuracy: the bits of gemv.
// Launch:   as gemm_int4.cl.
// Moves:    weights once for each 64 rows, activations once for each 64 outputs; 2 operations an element and row.
// Why:      as gemm_int4.cl.
#define ELEMENT 3
#define GEMM gemm_int8
#include "gemm.h"
