// Computes: out = gate(g) up; SiLU: g sigmoid(g); GELU (tanh approximation): g sigmoid(2 u) with
//           u = sqrt(2 / pi) (g + 0.044715 g^3), since (1 + tanh u) / 2 = sigmoid(2 u); sigmoid(g); g itself; m
//           sigmoid(1.702 m) (clamp(up, -7, 7) + 1) with m = min(g, 7); max(g, 0); or sigmoid(2 u).
// Layout:   FP32; out may be either input.
// Requires: nothing.
// Accuracy: that of exp in simd.h.
// Launch:   one task 1,024 elements.
// Moves:    12 bytes an element; about 20 operations an element.
// Why:      one exponential instead of a tanh.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

inline void gated_activation(const Command& command, int task, Worker&) {
    const GatedActivationArgs& a = command.gated_activation;
    int64_t from = static_cast<int64_t>(task) * FUNCTION_BLOCK;
    int64_t to = from + FUNCTION_BLOCK < a.count ? from + FUNCTION_BLOCK : a.count;
    for_lanes(from, to, [&](int64_t i, int count) {
        F32 g = load_lanes(a.gate + i, count);
        F32 up = load_lanes(a.up + i, count);
        F32 factor = g;
        if (a.function == Gate::CLAMPED_SWISH) {
            g = min(set1(7), g);  // NaN, which stands second, stays
            up = add(max(set1(-7), min(set1(7), up)), set1(1));
            factor = mul(g, sigmoid(mul(g, set1(1.702f))));
        } else if (a.function == Gate::RELU) {
            factor = max(zero(), g);  // NaN, which stands second, stays
        } else if (a.function != Gate::IDENTITY) {
            F32 argument = g;
            if (a.function == Gate::GELU || a.function == Gate::NORMAL_CDF) {
                argument = mul(mul(add(mul(mul(g, g), set1(0.044715f)), set1(1)), g), set1(1.5957691216f));
            }
            factor = sigmoid(argument);
            if (a.function != Gate::SIGMOID && a.function != Gate::NORMAL_CDF) {
                factor = mul(g, factor);
            }
        }
        store_lanes(a.out + i, mul(factor, up), count);
    });
}

}  // namespace demitasse::DM_ISA
