// Computes: out[i] = scale table[ids[i]].
// Layout:   the table in panels of 16 rows (PackedMatrix), of any weight layout; out FP32 rows in order.
// Requires: ids within the table.
// Accuracy: one rounding of scale times quant, of the minimum added, and of the factor each.
// Launch:   one task four rows.
// Moves:    a row of the table read, 4 bytes written a column; up to 3 operations a column.
// Why:      a few microseconds a token, so elements are taken one by one; they lie 16 rows apart in a panel.
#pragma once

#include "integer_weights.h"

namespace demitasse::DM_ISA {

inline float table_value(const Matrix& m, int64_t row, int64_t k, IntegerRow& integers) {
    int64_t panel = row / PANEL;
    int64_t r = row % PANEL;
    int64_t at = (panel * m.columns + k) * PANEL + r;
    switch (m.element) {
        case Element::F32:
            return reinterpret_cast<const float*>(m.quants)[at];
        case Element::F16:
            return fp16_to_float(reinterpret_cast<const uint16_t*>(m.quants)[at]);
        case Element::BF16: {
            uint32_t bits = static_cast<uint32_t>(reinterpret_cast<const uint16_t*>(m.quants)[at]) << 16;
            float value;
            std::memcpy(&value, &bits, 4);
            return value;
        }
        default:
            break;
    }
    return integers(k);
}

inline void embed(const Command& command, int task, Worker&) {
    const EmbedArgs& a = command.embed;
    int64_t last = (task + 1) * 4 < a.rows ? (task + 1) * 4 : a.rows;
    for (int64_t i = task * 4; i < last; i++) {
        IntegerRow integers(*a.table, a.ids[i] / PANEL, a.ids[i] % PANEL);
        for (int64_t k = 0; k < a.table->columns; k++) {
            a.out[i * a.table->columns + k] = table_value(*a.table, a.ids[i], k, integers) * a.scale;
        }
    }
}

}  // namespace demitasse::DM_ISA
