// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for many rows; weights in FP32, FP16 or BF16.
// Layout:   weights.h; x FP32 rows in order.
// Requires: nothing.
// Accuracy: the bits of gemv_float.
// Launch:   as gemm_int4.cl.
// Moves:    weights once for each 64 rows, activations once for each 64 outputs; 2 operations an element and row.
// Why:      as gemm_int4.cl.
#define EXACT 1
#define REACH 0
#define PRODUCT 0
#define GEMM gemm_float
#include "gemm.h"
