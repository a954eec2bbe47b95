// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for many rows; w = s l, where l is one of sixteen levels, which
//           are INT8 (weights.cuh).
// Layout:   as gemm_int8.cu; nibbles are places of levels, in the order that looks them up.
// Requires: as gemm_int8.cu; scales of 16 or 32 columns, no minimums.
// Accuracy: as gemm_int8.cu; the bits of gemv_levels.
// Launch:   as gemm_int8.cu.
// Moves:    weights once for each M rows, activations once for each N outputs; 2 operations an element and row.
// Why:      bound by the folds of its groups, as gemm_int8.cu; looking levels up is five instructions an mma and
//           fragment of rows. Not run on a GPU yet.
#include "demitasse/gemm.cuh"

GEMM(gemm_levels_per32_m16, LEVELS, PER32, Rows16)
GEMM(gemm_levels_per32_m32, LEVELS, PER32, Rows32)
GEMM(gemm_levels_per32_m64, LEVELS, PER32, Rows64)
GEMM(gemm_levels_per32_m128, LEVELS, PER32, Rows128)
GEMM(gemm_levels_per16_m16, LEVELS, PER16, Rows16)
GEMM(gemm_levels_per16_m32, LEVELS, PER16, Rows32)
GEMM(gemm_levels_per16_m64, LEVELS, PER16, Rows64)
GEMM(gemm_levels_per16_m128, LEVELS, PER16, Rows128)
