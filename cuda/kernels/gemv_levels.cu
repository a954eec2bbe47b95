// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for few rows; w = s l, where l is one of sixteen levels, which
//           are INT8 (weights.cuh).
// Layout:   as gemv_int4.cu; nibbles are places of levels, in the order that looks them up.
// Requires: as gemv_int4.cu; scales of 16 or 32 columns, no minimums.
// Accuracy: as gemv_int4.cu: products of a group are integers and exact, and a row has the same bits in any number
//           of rows and in gemm_levels.
// Launch:   as gemv_int4.cu.
// Moves:    weights once for each four or eight rows: 0.5 bytes an element, and their scales; 2 operations an element
//           and row.
// Why:      bound by memory, as gemv_int4.cu, and half of what the same weights are as INT8. Eleven instructions look
//           eight places up, six of which select bytes; INT4 takes three. Not run on a GPU yet.
#include "demitasse/gemv.cuh"

GEMV(gemv_levels_per32_rows4, LEVELS, PER32, FourRows, 2)
GEMV(gemv_levels_per32_rows8, LEVELS, PER32, EightRows, 2)
GEMV(gemv_levels_per32_float_rows1, LEVELS, PER32, OneFloatRow, 2)
GEMV(gemv_levels_per32_float_rows4, LEVELS, PER32, FourFloatRows, 1)
GEMV(gemv_levels_per16_rows4, LEVELS, PER16, FourRows, 2)
GEMV(gemv_levels_per16_rows8, LEVELS, PER16, EightRows, 1)
GEMV(gemv_levels_per16_float_rows1, LEVELS, PER16, OneFloatRow, 2)
GEMV(gemv_levels_per16_float_rows4, LEVELS, PER16, FourFloatRows, 1)
