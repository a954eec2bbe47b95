// Computes: out[r][n] = sum_k x[r][k] w[n][k] for a block of rows; w = s q, or s q + m.
// Layout:   as gemv_int8; activations of a block [group][row][32]; out [row][16] FP32 a panel.
// Requires: columns padded to 32; at most ROW_BLOCK rows.
// Accuracy: as gemv_int8, and the same bits.
// Launch:   one task two panels by a block of rows.
// Moves:    weights once a block; 2 operations an element and row.
// Why:      as gemm_int4. Without a dot product of bytes a row costs 32 operations for 8 (AVX2) x 32 elements, with
//           one 8.
#pragma once

#include "integer_weights.h"

namespace demitasse::DM_ISA {

template <class W>
inline void gemm_int8(const Matrix& m, int64_t panel, const int8_t* q, const GroupActivation* activations,
                      bool whole_rows, int64_t rows, int32_t* partial, float* out) {
    IntegerPanel p(m, panel, W::GROUP_BYTES);
    if (whole_rows) {
        gemm_panel_whole<W>(p, q, activations, rows, partial, out);
    } else if (m.group == 16) {
        gemm_panel<W, true>(p, q, activations, rows, partial, out);
    } else {
        gemm_panel<W, false>(p, q, activations, rows, partial, out);
    }
}

inline void gemm_int8(const Matrix& m, int64_t panel, const int8_t* q, const GroupActivation* activations,
                      bool whole_rows, int64_t rows, int32_t* partial, float* out) {
    if (m.maximum <= SmallInt8Weights::MAXIMUM) {
        gemm_int8<SmallInt8Weights>(m, panel, q, activations, whole_rows, rows, partial, out);
    } else {
        gemm_int8<Int8Weights>(m, panel, q, activations, whole_rows, rows, partial, out);
    }
}

}  // namespace demitasse::DM_ISA
