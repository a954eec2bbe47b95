// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for many rows; w = s n, or s q + m (weights.h). gemm_int8.cl is
//           the same of INT8 weights.
// Layout:   weights.h; activations INT8 by quantize_rows, or FP32 rows in order.
// Requires: columns of integers padded to 32 with zeros.
// Accuracy: the bits of gemv.
// Launch:   (outputs / 64 of each matrix, rows / 64) work-groups of 64 / WIDTH x 8 items, an item 8 rows; with GROUPED
//           (…, tiles), whose rows are by the matrices of their groups (GroupTile).
// Moves:    weights once for each 64 rows, activations once for each 64 outputs; 2 operations an element and row.
// Why:      bound by arithmetic. Activations become operands of products once, in local memory, where all outputs of a
//           row read one address; weights go to registers as they lie, and an item unpacks its own once for 8 rows.
#define ELEMENT 4
#define GEMM gemm_int4
#include "gemm.h"
