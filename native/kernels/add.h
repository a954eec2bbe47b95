// Computes: x += y.
// Layout:   FP32 elements in order.
// Requires: nothing.
// Accuracy: one rounding.
// Launch:   one task 4,096 elements.
// Moves:    12 bytes and one operation an element.
// Why:      a plain loop that the compiler vectorizes; what counts is that no thread has to be woken for it.
#pragma once

#include "demitasse/kernels.h"

namespace demitasse::DM_ISA {

inline void add(const Command& command, int task, Worker&) {
    const AddArgs& a = command.add;
    int64_t from = static_cast<int64_t>(task) * ADD_BLOCK;
    int64_t to = from + ADD_BLOCK < a.count ? from + ADD_BLOCK : a.count;
    for (int64_t i = from; i < to; i++) {
        a.x[i] += a.y[i];
    }
}

}  // namespace demitasse::DM_ISA
