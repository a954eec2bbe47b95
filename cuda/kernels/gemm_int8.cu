// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for many rows; w = s n, or s q + m (weights.cuh); weights INT8
//           or INT4.
// Layout:   weights.cuh; output.cuh; activations INT8 with a scale for 32 columns or for a row (quantize_rows).
// Requires: integers of activations padded to whole tiles, columns with zeros. Dynamic shared memory:
//           gemm_shared_bytes.
// Accuracy: sums of a group are integers and exact (32 x 128 x 127 fits 32 bits; whole rows: up to 131,072 columns);
//           FP32 folds in the order of weights.cuh: the bits of gemv.
// Launch:   (outputs / N of all matrices, rows / M) blocks; or (…, …, segments), each of which stores its sums in
//           `partial` for linear_finish.
// Moves:    weights once for each M rows, activations once for each N outputs; 2 operations an element and row.
// Why:      INT8 tensor cores by mma.m16n8k32. Both operands lie in fragment order, so they go to shared memory as they
//           are and to registers in loads of 16 bytes, which hold two groups. Three stages of asynchronous copies; a
//           thread's addresses are worked out once and move on by a tile. One group of 32 columns is one mma; its four
//           sums a lane then cost three operations each: 22 instructions an mma on sm_90a (m128), where scales,
//           converted once, meet two fragments of rows. That is what bounds grouped weights: 165 TOP/s on an H200 (4096
//           rows), where FP16 matrices of cuBLAS run at 718. With one scale a row (W8A8) there is one fold at the end,
//           and 5.7 instructions an mma: 448 TOP/s.
#include "demitasse/gemm.cuh"

GEMM(gemm_int8_per32_m16, INT8, PER32, Rows16)
GEMM(gemm_int8_per32_m32, INT8, PER32, Rows32)
GEMM(gemm_int8_per32_m64, INT8, PER32, Rows64)
GEMM(gemm_int8_per32_m128, INT8, PER32, Rows128)
GEMM(gemm_int8_per16_m16, INT8, PER16, Rows16)
GEMM(gemm_int8_per16_m32, INT8, PER16, Rows32)
GEMM(gemm_int8_per16_m64, INT8, PER16, Rows64)
GEMM(gemm_int8_per16_m128, INT8, PER16, Rows128)
GEMM(gemm_int8_per_row_m16, INT8, PER_ROW, Rows16)
GEMM(gemm_int8_per_row_m32, INT8, PER_ROW, PerRow32)
GEMM(gemm_int8_per_row_m64, INT8, PER_ROW, PerRow64)
GEMM(gemm_int8_per_row_m128, INT8, PER_ROW, PerRow128)

GEMM(gemm_int4_per32_m16, INT4, PER32, Rows16)
GEMM(gemm_int4_per32_m32, INT4, PER32, Rows32)
GEMM(gemm_int4_per32_m64, INT4, PER32, Rows64)
GEMM(gemm_int4_per32_m128, INT4, PER32, Rows128)
GEMM(gemm_int4_per16_m16, INT4, PER16, Rows16)
GEMM(gemm_int4_per16_m32, INT4, PER16, Rows32)
GEMM(gemm_int4_per16_m64, INT4, PER16, Rows64)
GEMM(gemm_int4_per16_m128, INT4, PER16, Rows128)
GEMM(gemm_int4_per_row_m16, INT4, PER_ROW, Rows16)
GEMM(gemm_int4_per_row_m32, INT4, PER_ROW, PerRow32)
GEMM(gemm_int4_per_row_m64, INT4, PER_ROW, PerRow64)
GEMM(gemm_int4_per_row_m128, INT4, PER_ROW, PerRow128)
