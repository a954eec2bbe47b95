// Computes: out[i] = x[ids[i]].
// Layout:   FP32 rows in order.
// Requires: ids within x; out is another buffer.
// Accuracy: exact.
// Launch:   one task.
// Moves:    8 bytes an element.
// Why:      the rows whose logits are wanted, one a sequence: too few to share out. States that are saved, once a
//           prompt, go through it too.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

inline void gather_rows(const Command& command, int, Worker&) {
    const GatherRowsArgs& a = command.gather_rows;
    for (int64_t i = 0; i < a.rows; i++) {
        std::memcpy(a.out + i * a.columns, a.x + a.ids[i] * a.columns, static_cast<size_t>(a.columns) * 4);
    }
}

}  // namespace demitasse::DM_ISA
