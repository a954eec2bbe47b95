// Computes: out[r][n] = sum_k x[r][k] w[n][k] for a block of rows; w = s (q - 8), or s q + m.
// Layout:   as gemv_int4; activations of a block [group][row][32]; out [row][16] FP32 a panel.
// Requires: columns padded to 32; at most ROW_BLOCK rows.
// Accuracy: as gemv_int4, and the same bits.
// Launch:   one task two panels by a block of rows.
// Moves:    weights once a block; 2 operations an element and row.
// Why:      bound by arithmetic: a group of a register of rows is unpacked once for all rows of the block and stays in
//           registers; a row costs 8 multiply-adds of bytes and 5 FP32 operations for 8 (AVX2) x 32 elements.
#pragma once

#include "integer_weights.h"

namespace demitasse::DM_ISA {

inline void gemm_int4(const Matrix& m, int64_t panel, const int8_t* q, const GroupActivation* activations,
                      bool whole_rows, int64_t rows, int32_t* partial, float* out) {
    IntegerPanel p(m, panel, Int4Weights::GROUP_BYTES);
    if (whole_rows) {
        gemm_panel_whole<Int4Weights>(p, q, activations, rows, partial, out);
    } else if (m.group == 16) {
        gemm_panel<Int4Weights, true>(p, q, activations, rows, partial, out);
    } else {
        gemm_panel<Int4Weights, false>(p, q, activations, rows, partial, out);
    }
}

}  // namespace demitasse::DM_ISA
