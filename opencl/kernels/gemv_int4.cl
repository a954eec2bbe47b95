// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for few rows; w = s n, or s q + m (weights.h). gemv_int8.cl is
//           the same of INT8 weights.
// Layout:   weights.h. Activations INT8 in tiles, scales in groups of 32 (quantize_rows), or FP32 rows in order.
// Requires: integers of activations padded to whole tiles, columns with zeros.
// Accuracy: products of a group are integers, 32 x 128 x 127 at most, and exact; FP32 folds in the order of weights.h,
//           so a row has the same bits in any number of rows. With FP32 activations an item sums its columns in FP32,
//           and a row that is not finite gives NaN.
// Launch:   (outputs / 8 of each matrix, rows / ROWS) work-groups of 64 items, an item an output's segment.
// Moves:    weights once for each ROWS rows: 0.5 bytes an element, and their scales; 2 operations an element and row.
// Why:      bound by memory. An item has a whole row of a tile, 64 bytes, so that a group's sum crosses no items;
//           neighbors read neighboring lines. Eight segments keep enough items reading, also of small matrices.
#define BITS 4
#define GEMV gemv_int4
#include "gemv.h"
