// Computes: out[r][n] = sum_k x[r][k] w[g][n][k] + bias[g][n] for few rows of groups g; w = s n, or s q + m.
// Layout:   as gemv_int4.cu; the groups' matrices at equal distances, their biases behind each other. A list of tiles
//           in device memory (GroupTile) says which rows are whose.
// Requires: as gemv_int4.cu; with integers a tile has GROUPED_ROWS at most.
// Accuracy: the bits of gemv: FP32 folds of exact products of integers, in the same order.
// Launch:   (at most outputs / 16 of each matrix, tiles) blocks of 256 threads; with FP32 activations (outputs / 8,
//           tiles, rows of a tile / 4). Blocks without rows end at once.
// Moves:    a group's weights once for each tile of it; 2 operations an element and row.
// Why:      bound by memory, as gemv_int4.cu: of the experts of a token, each weight is read once. Which they are is
//           known to the device alone, so that the first weights wait for the kernel before. Not run on a GPU yet.
#include "demitasse/gemv.cuh"

GEMV_GROUPED(gemv_int4_per32_grouped, INT4, PER32, FourRows, 2)
GEMV_GROUPED(gemv_int4_per16_grouped, INT4, PER16, FourRows, 1)
GEMV_GROUPED(gemv_int4_per_row_grouped, INT4, PER_ROW, FourRows, 3)
GEMV_GROUPED(gemv_int8_per32_grouped, INT8, PER32, FourRows, 2)
GEMV_GROUPED(gemv_int8_per16_grouped, INT8, PER16, FourRows, 2)
GEMV_GROUPED(gemv_int8_per_row_grouped, INT8, PER_ROW, FourRows, 3)
GEMV_GROUPED(gemv_int4_per32_float_grouped, INT4, PER32, FourFloatRows, 1)
GEMV_GROUPED(gemv_int4_per16_float_grouped, INT4, PER16, FourFloatRows, 1)
GEMV_GROUPED(gemv_int4_per_row_float_grouped, INT4, PER_ROW, FourFloatRows, 1)
GEMV_GROUPED(gemv_int8_per32_float_grouped, INT8, PER32, FourFloatRows, 1)
GEMV_GROUPED(gemv_int8_per16_float_grouped, INT8, PER16, FourFloatRows, 1)
GEMV_GROUPED(gemv_int8_per_row_float_grouped, INT8, PER_ROW, FourFloatRows, 1)
GEMV_GROUPED(gemv_levels_per32_grouped, LEVELS, PER32, FourRows, 2)
GEMV_GROUPED(gemv_levels_per16_grouped, LEVELS, PER16, FourRows, 1)
GEMV_GROUPED(gemv_levels_per32_float_grouped, LEVELS, PER32, FourFloatRows, 1)
GEMV_GROUPED(gemv_levels_per16_float_grouped, LEVELS, PER16, FourFloatRows, 1)
