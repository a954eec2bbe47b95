// Computes: x = factor x.
// Layout:   FP32 elements in order.
// Requires: nothing.
// Accuracy: one FP32 multiplication.
// Launch:   one task 4,096 elements.
// Moves:    8 bytes an element.
// Why:      a plain loop that the compiler vectorizes; what counts is that no thread has to be woken for it.
#pragma once

#include "demitasse/kernels.h"

namespace demitasse::DM_ISA {

inline void scale(const Command& command, int task, Worker&) {
    const ScaleArgs& a = command.scale;
    int64_t from = static_cast<int64_t>(task) * ADD_BLOCK;
    int64_t to = from + ADD_BLOCK < a.count ? from + ADD_BLOCK : a.count;
    for (int64_t i = from; i < to; i++) {
        a.x[i] *= a.factor;
    }
}

}  // namespace demitasse::DM_ISA
