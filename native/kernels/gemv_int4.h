// Computes: out[n] = sum_k x[k] w[n][k] for one row of activations; w = s (q - 8), or s q + m.
// Layout:   weights INT4 in panels of 16 rows (PackedMatrix); activations INT8 per 32 (quantize_rows); out 16 FP32 a
//           panel.
// Requires: columns padded to 32; padding meets activations of zero.
// Accuracy: 32 products of at most 15 x 127 fit 16 bits in pairs and 32 bits in all; FP32 folds, group after group.
// Launch:   one task some panels, about 64 KiB of weights.
// Moves:    4 bits an element, scales and minimums as gemv_int8; 2 operations an element.
// Why:      bound by memory: every byte of a line is used when it arrives, and nothing is summed across lanes.
#pragma once

#include "integer_weights.h"

namespace demitasse::DM_ISA {

inline void gemv_int4(const Matrix& m, int64_t panel, const int8_t* q, const GroupActivation* activations, bool per_row,
                      float* out) {
    IntegerPanel p(m, panel, Int4Weights::GROUP_BYTES);
    if (per_row) {
        gemv_panel_per_row<Int4Weights>(p, q, activations, out);
    } else if (m.group == 16) {
        gemv_panel<Int4Weights, true>(p, q, activations, out);
    } else {
        gemv_panel<Int4Weights, false>(p, q, activations, out);
    }
}

}  // namespace demitasse::DM_ISA
