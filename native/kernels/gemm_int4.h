// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for a block of rows; w = s (q - 8), or s q + m.
// Layout:   as gemv_int4; activations of a block [group][row][32]; out rows in order.
// Requires: columns padded to 32; at most ROW_BLOCK rows.
// Accuracy: as gemv_int4, and the same bits.
// Launch:   one task six panels by a block of rows.
// Moves:    weights once a tile of rows, from the second-level cache; 2 operations an element and row.
// Why:      bound by arithmetic. With a dot product of bytes (gemm_tile.h) sums of a tile stay in registers, and
//           nibbles are unpacked beside the multiply-adds; a part ends with 2 FP32 multiply-adds, or 3 with a minimum,
//           for 8 of bytes. Without one (gemm_panel.h) a group is unpacked once for all rows of the block.
#pragma once

#include "gemm_amx.h"
#include "gemm_panel.h"
#include "gemm_tile.h"

namespace demitasse::DM_ISA {

inline void gemm_int4(const LinearArgs& a, int64_t from, int64_t to, int64_t first, int64_t rows, float* scratch) {
    gemm_panels<Int4Weights>(a, from, to, first, rows, scratch);
}

}  // namespace demitasse::DM_ISA
