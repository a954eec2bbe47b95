// Computes: x = cap tanh(x / cap).
// Layout:   FP32 elements in order.
// Requires: cap is not 0.
// Accuracy: tanh is that of simd.h.
// Launch:   one task 1,024 elements.
// Moves:    8 bytes an element; about 25 operations an element.
// Why:      the last elements are computed in a full register too, so that every element has the same function.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

inline void soft_cap(const Command& command, int task, Worker&) {
    const SoftCapArgs& a = command.soft_cap;
    int64_t from = static_cast<int64_t>(task) * FUNCTION_BLOCK;
    int64_t to = from + FUNCTION_BLOCK < a.count ? from + FUNCTION_BLOCK : a.count;
    for_lanes(from, to, [&](int64_t i, int count) {
        store_lanes(a.x + i, mul(tanh(div(load_lanes(a.x + i, count), set1(a.cap))), set1(a.cap)), count);
    });
}

}  // namespace demitasse::DM_ISA
