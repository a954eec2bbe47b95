// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for few rows; weights in FP32, FP16 or BF16.
// Layout:   weights.h; x FP32 rows in order.
// Requires: nothing.
// Accuracy: FP32 in the order of weights.h: a row has the same bits in any number of rows and in gemm. A row that is
//           not finite gives NaN.
// Launch:   as gemv_int4.cl.
// Moves:    weights once for each ROWS rows; 2 operations an element and row.
// Why:      as gemv_int4.cl.
#define EXACT 1
#define REACH 0
#define PRODUCT 0
#define GEMV gemv_float
#include "gemv.h"
