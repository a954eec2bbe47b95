// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for few rows; w = s n, or s q + m (weights.h). gemv_int8.cl
//           is the same of INT8 weights.
// Layout:   weights.h; activations INT8 by quantize_rows, or FP32 rows in order.
// Requires: columns of integers padded to 32 with zeros.
// Accuracy: products of 32 columns are integers and exact; FP32 folds in the order of weights.h, so a row has the same
//           bits in any number of rows and in gemm. With FP32 activations an item sums its columns in FP32, and a row
//           that is not finite gives NaN.
// Launch:   (outputs / 16 of each matrix, rows / ROWS) work-groups of 16 / WIDTH items for each of eight segments; with
//           GROUPED (…, tiles), whose rows are by the matrices of their groups (GroupTile).
// Moves:    weights once for each ROWS rows: 0.5 bytes an element, and their scales; 2 operations an element and row.
// Why:      bound by memory. Items stand for outputs: neighbors read side by side, no sum crosses items, and what they
//           share, the activations, is one address. Eight segments keep enough items reading, also of small matrices.
#define ELEMENT 4
#define GEMV gemv_int4
#include "gemv.h"
