// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for few rows; w = s q (+ m) (weights.h).
// Layout:   weights.h. Activations INT8 in tiles, scales in groups of 32 (quantize_rows), or FP32 rows in order.
// Requires: integers of activations padded to whole tiles, columns with zeros.
// Accuracy: as gemv_int4.cl.
// Launch:   (outputs / 8 of each matrix, rows / ROWS) work-groups of 64 items, an item an output's segment.
// Moves:    weights once for each ROWS rows: a byte an element, and their scales; 2 operations an element and row.
// Why:      as gemv_int4.cl.
#define BITS 8
#define GEMV gemv_int8
#include "gemv.h"
