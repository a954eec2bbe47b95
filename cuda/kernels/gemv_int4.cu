// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for few rows; w = s (q - zero), or s q + m.
// Layout:   weights.cuh. Activations INT8 in tiles, scales in groups of 32 (quantize_rows), or FP32 rows in order.
// Requires: integers of activations padded to whole tiles, columns with zeros; at most SEGMENTS warps a block.
// Accuracy: products of a group are integers, 32 x 128 x 127 at most, and exact; FP32 folds in the order of weights.cuh,
//           so a row has the same bits here, in any number of rows, and in gemm_int8. With FP32 activations a lane sums
//           its columns in FP32.
// Launch:   rows4: (outputs / 8 of all matrices, rows / 4) blocks of 256 threads; rows8: (outputs / 16, rows / 8); with FP32
//           activations (outputs / 8, rows / 1 or 4). A warp takes a segment of the columns.
// Moves:    weights once for each four or eight rows: 0.5 bytes an element, and their scales; 2 operations an element and row.
// Why:      bound by memory. Lanes read 16 bytes each, side by side; weights leave the caches first. One `mma` takes two groups
//           of eight outputs for up to four rows, or a group of sixteen for up to eight, and adds up lanes: 58 instructions a
//           tile of 512 bytes on sm_90a, 65 with minimums, 75 for eight rows, against 195 with dot products of four bytes and
//           shuffles. An H100 that reads 3 TB/s meets 5.2e9 tiles a second, and issues 9.3e11 instructions. Two or three
//           tiles of a warp, with their scales, are on their way at a time, and registers are for four blocks of a
//           multiprocessor: 48 KB that are asked for, twice what bandwidth times latency wants. Eight segments keep eight
//           warps of one block reading, so that small matrices also fill the chip. Not run on a GPU yet.
#include "demitasse/gemv.cuh"

GEMV_PARTS(gemv_int4, 4)
