// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for few rows; w = s n, or s q + m (weights.cuh).
// Layout:   weights.cuh. Activations INT8 in tiles, scales in groups of 32 (quantize_rows), or FP32 rows in order.
// Requires: integers of activations padded to whole tiles, columns with zeros; at most SEGMENTS warps a block.
// Accuracy: products of a group are integers, 32 x 128 x 127 at most, and exact; FP32 folds in the order of
//           weights.cuh, so a row has the same bits here, in any number of rows, and in gemm_int8. With FP32
//           activations a lane sums its columns in FP32.
// Launch:   (at most outputs / 16 of each matrix, rows / 4 or 8) blocks of 256 threads; with FP32 activations
//           (outputs / 8, rows / 1 or 4). A warp takes a segment of the columns.
// Moves:    weights once for each four or eight rows: 1 byte an element, and their scales; 2 operations an element and
//           row.
// Why:      bound by memory, as gemv_int4, which says the rest. An H100 reads 2.8 TB/s (14336 x 4096, one row; 3.2 at
//           most).
#include "demitasse/gemv.cuh"

GEMV(gemv_int8_per32_rows4, INT8, PER32, FourRows, 4)
GEMV(gemv_int8_per32_rows8, INT8, PER32, EightRows, 3)
GEMV(gemv_int8_per32_float_rows1, INT8, PER32, OneFloatRow, 2)
GEMV(gemv_int8_per32_float_rows4, INT8, PER32, FourFloatRows, 1)
GEMV(gemv_int8_per16_rows4, INT8, PER16, FourRows, 2)
GEMV(gemv_int8_per16_rows8, INT8, PER16, EightRows, 2)
GEMV(gemv_int8_per16_float_rows1, INT8, PER16, OneFloatRow, 2)
GEMV(gemv_int8_per16_float_rows4, INT8, PER16, FourFloatRows, 1)
GEMV(gemv_int8_per_row_rows4, INT8, PER_ROW, FourRows, 4)
GEMV(gemv_int8_per_row_rows8, INT8, PER_ROW, EightRows, 3)
GEMV(gemv_int8_per_row_float_rows1, INT8, PER_ROW, OneFloatRow, 2)
GEMV(gemv_int8_per_row_float_rows4, INT8, PER_ROW, FourFloatRows, 1)
