// Computes: out[r][n] = sum_k x[r][k] w[g][n][k] + bias[g][n] for many rows of groups g; w = s n, or s q + m.
// Layout:   as gemm_int8.cu; the groups' matrices at equal distances, their biases behind each other. A list of tiles
//           in device memory (GroupTile) says which rows are whose.
// Requires: as gemm_int8.cu; a group's first row is a multiple of TILE_OUTPUTS, a tile has GROUPED_MANY_ROWS at most.
// Accuracy: the bits of gemm_int8, and so of gemv: FP32 folds of exact products of integers.
// Launch:   (outputs / 64 of all matrices, tiles) blocks; those of tiles without rows end at once.
// Moves:    a group's weights once for each tile of it; 2 operations an element and row.
// Why:      as gemm_int8.cu. Which experts rows have is known to the device alone, so the launch has as many tiles as
//           there can be; tiles of 32 rows, since an expert has few of a batch. Not run on a GPU yet.
#include "demitasse/gemm.cuh"

GEMM_GROUPED(gemm_int4_per32_grouped, INT4, PER32, Rows32)
GEMM_GROUPED(gemm_int4_per16_grouped, INT4, PER16, Rows32)
GEMM_GROUPED(gemm_int4_per_row_grouped, INT4, PER_ROW, Rows32)
GEMM_GROUPED(gemm_int8_per32_grouped, INT8, PER32, Rows32)
GEMM_GROUPED(gemm_int8_per16_grouped, INT8, PER16, Rows32)
GEMM_GROUPED(gemm_int8_per_row_grouped, INT8, PER_ROW, PerRow32)
GEMM_GROUPED(gemm_levels_per32_grouped, LEVELS, PER32, Rows32)
GEMM_GROUPED(gemm_levels_per16_grouped, LEVELS, PER16, Rows32)
