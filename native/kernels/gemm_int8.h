// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for a block of rows; w = s q, or s q + m.
// Layout:   as gemv_int8; activations of a block [group][row][32]; out rows in order.
// Requires: columns padded to 32; at most ROW_BLOCK rows.
// Accuracy: as gemv_int8, and the same bits.
// Launch:   one task six panels by a block of rows.
// Moves:    weights once a tile of rows, from the second-level cache; 2 operations an element and row.
// Why:      as gemm_int4. Where weights and activations have one scale a row (W8A8), sums stay in registers over all
//           columns and are scaled once.
#pragma once

#include "gemm_amx.h"
#include "gemm_panel.h"
#include "gemm_tile.h"

namespace demitasse::DM_ISA {

inline void gemm_int8(const LinearArgs& a, int64_t from, int64_t to, int64_t first, int64_t rows, float* scratch) {
    if (a.matrix->element == Element::INT6) {
        gemm_panels<Int6Weights>(a, from, to, first, rows, scratch);
    } else if (a.matrix->element == Element::IQ4) {
        gemm_panels<Iq4Weights>(a, from, to, first, rows, scratch);
    } else if (a.matrix->element == Element::FP4) {
        gemm_panels<Fp4Weights>(a, from, to, first, rows, scratch);
    } else {
        gemm_panels<Int8Weights>(a, from, to, first, rows, scratch);
    }
}

}  // namespace demitasse::DM_ISA
