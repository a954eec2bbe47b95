// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for few rows; w = s n, or s q + m (weights.cuh).
// Layout:   weights.cuh. Activations INT8 in tiles, scales in groups of 32 (quantize_rows), or FP32 rows in order.
// Requires: integers of activations padded to whole tiles, columns with zeros; at most SEGMENTS warps a block.
// Accuracy: products of a group are integers, 32 x 128 x 127 at most, and exact; FP32 folds in the order of
//           weights.cuh, so a row has the same bits here, in any number of rows, and in gemm_int8. With FP32
//           activations a lane sums its columns in FP32.
// Launch:   (at most outputs / 16 of each matrix, rows / 4 or 8) blocks of 256 threads; with FP32 activations
//           (outputs / 8, rows / 1 or 4). A warp takes a segment of the columns.
// Moves:    weights once for each four or eight rows: 0.5 bytes an element, and their scales; 2 operations an element
//           and row.
// Why:      bound by memory, where latency and instructions do not come first. Weights go to a ring in shared memory,
//           and leave the second-level cache first: by bulk copies of up to four tiles (gemv_bulk.cuh), else by
//           asynchronous copies of 16 bytes a lane. A ring and not registers, since a compiler waits for all loads
//           under way where it wants one. The ring is filled before the kernel before has ended: on an H100 14336 x
//           4096 and one row take 12.4 us in a chain (2.7 TB/s of 3.2), where copies by lanes take 14.2, and 16.2 one
//           after the other. One `mma` takes two groups of eight outputs for up to four rows, or a group of sixteen
//           for up to eight, and adds up lanes; sums come out as FP32 bits, and nibbles as signed bytes, so that a
//           group costs three operations. Two tiles share activations. Eight segments keep eight warps of one block
//           reading, so that small matrices also fill the chip.
#include "demitasse/gemv.cuh"

GEMV(gemv_int4_per32_rows4, INT4, PER32, FourRows, 3)
GEMV(gemv_int4_per32_rows8, INT4, PER32, EightRows, 2)
GEMV(gemv_int4_per32_float_rows1, INT4, PER32, OneFloatRow, 2)
GEMV(gemv_int4_per32_float_rows4, INT4, PER32, FourFloatRows, 1)
GEMV(gemv_int4_per16_rows4, INT4, PER16, FourRows, 2)
GEMV(gemv_int4_per16_rows8, INT4, PER16, EightRows, 1)
GEMV(gemv_int4_per16_float_rows1, INT4, PER16, OneFloatRow, 2)
GEMV(gemv_int4_per16_float_rows4, INT4, PER16, FourFloatRows, 1)
GEMV(gemv_int4_per_row_rows4, INT4, PER_ROW, FourRows, 4)
GEMV(gemv_int4_per_row_rows8, INT4, PER_ROW, EightRows, 3)
GEMV(gemv_int4_per_row_float_rows1, INT4, PER_ROW, OneFloatRow, 2)
GEMV(gemv_int4_per_row_float_rows4, INT4, PER_ROW, FourFloatRows, 1)
