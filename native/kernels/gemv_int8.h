// Computes: out[n] = sum_k x[k] w[n][k] for one row of activations; w = s q, or s q + m.
// Layout:   weights INT8, INT6, IQ4 or FP4 in panels of 16 rows (PackedMatrix); activations INT8 per 32
//           (quantize_rows); out 16 FP32 a panel.
// Requires: columns padded to 32; padding meets activations of zero.
// Accuracy: pairs of at most 128 x 127 fit 16 bits, 32 products 32 bits; FP32 folds, group after group.
// Launch:   one task some panels, about 64 KiB of weights.
// Moves:    one byte, 6 or 4 bits an element, and a scale and minimum for 32 columns (16, or longer groups) of 4, 2 or
//           1 byte each, of 1 byte those of super-scales too; 2 operations an element.
// Why:      as gemv_int4. INT8 weights that fit six bits, as those of 5- and 6-bit types, are stored so, and those that
//           are levels of a table as nibbles: less to read.
#pragma once

#include "integer_weights.h"

namespace demitasse::DM_ISA {

template <class W>
inline void gemv_int8(const Matrix& m, int64_t panel, const int8_t* q, const GroupActivation* activations, bool per_row,
                      float* out) {
    IntegerPanel p(m, panel, W::GROUP_BYTES);
    if (per_row) {
        gemv_panel_per_row<W>(p, q, activations, out);
    } else if (m.group == 16) {
        gemv_panel<W, true>(p, q, activations, out);
    } else {
        gemv_panel<W, false>(p, q, activations, out);
    }
}

inline void gemv_int8(const Matrix& m, int64_t panel, const int8_t* q, const GroupActivation* activations, bool per_row,
                      float* out) {
    if (m.element == Element::INT6) {
        gemv_int8<Int6Weights>(m, panel, q, activations, per_row, out);
    } else if (m.element == Element::IQ4) {
        gemv_int8<Iq4Weights>(m, panel, q, activations, per_row, out);
    } else if (m.element == Element::FP4) {
        gemv_int8<Fp4Weights>(m, panel, q, activations, per_row, out);
    } else {
        gemv_int8<Int8Weights>(m, panel, q, activations, per_row, out);
    }
}

}  // namespace demitasse::DM_ISA
