// Computes: out[i] = x[ids[i]].
// Layout:   FP32 rows in order.
// Requires: ids within x; out is another buffer.
// Accuracy: exact.
// Launch:   one task GATHER_ELEMENTS, or a row.
// Moves:    8 bytes an element.
// Why:      bound by memory: states of megabytes that are kept before drafts, and restored. The rows whose logits are
//           wanted, one a sequence, are one task.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

inline void gather_rows(const Command& command, int task, Worker&) {
    const GatherRowsArgs& a = command.gather_rows;
    int64_t rows = gathered_rows(a.columns);
    int64_t last = (task + 1) * rows < a.rows ? (task + 1) * rows : a.rows;
    for (int64_t i = task * rows; i < last; i++) {
        std::memcpy(a.out + i * a.columns, a.x + a.ids[i] * a.columns, static_cast<size_t>(a.columns) * 4);
    }
}

}  // namespace demitasse::DM_ISA
