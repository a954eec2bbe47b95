// Computes: causal convolution of each channel over its sequence's positions: bias[c], and the sum over k of
//           weight[k][c] x[t - kernel + 1 + k][c], positions before the first being zero; where wanted
//           v / (1 + exp(-v)) of that.
// Layout:   x and out [row][channel], weight [k][channel], state [slot][k][channel]: of each sequence the rows before
//           those to come; all FP32. A sequence's slot is the number of its first page.
// Requires: a sequence's rows follow each other and what its state has seen; at position 0 the state counts as zeros.
// Accuracy: FP32, products added from the earliest position on.
// Launch:   one task 256 channels of all rows, in their order.
// Moves:    8 bytes an element, and 8 (kernel - 1) of its state; kernel products an element.
// Why:      channels side by side fill registers; the state stays in the cache, a hundredth of what linear reads.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

// One row of LANES channels, or of `count`.
inline void convolve_lanes(const ConvolveArgs& a, int64_t row, int64_t channel, int count) {
    const int64_t kept = a.kernel - 1;
    float* state = a.state + a.rows->pages[row][0] * kept * a.channels + channel;
    const float* weight = a.weight + channel;
    const bool first = a.rows->positions[row] == 0;
    const F32 current = load_lanes(a.x + row * a.channels + channel, count);
    F32 sum = a.bias == nullptr ? zero() : load_lanes(a.bias + channel, count);
    for (int64_t k = 0; k < kept; k++) {
        const F32 before = first ? zero() : load_lanes(state + k * a.channels, count);
        sum = fma(load_lanes(weight + k * a.channels, count), before, sum);
        if (k > 0) {
            store_lanes(state + (k - 1) * a.channels, before, count);
        }
    }
    store_lanes(state + (kept - 1) * a.channels, current, count);
    sum = fma(load_lanes(weight + kept * a.channels, count), current, sum);
    store_lanes(a.out + row * a.channels + channel, a.silu != 0 ? mul(sum, sigmoid(sum)) : sum, count);
}

inline void convolve(const Command& command, int task, Worker&) {
    const ConvolveArgs& a = command.convolve;
    const int64_t from = static_cast<int64_t>(task) * CONVOLVE_CHANNELS;
    const int64_t to = from + CONVOLVE_CHANNELS < a.channels ? from + CONVOLVE_CHANNELS : a.channels;
    for (int64_t row = 0; row < a.rows->count; row++) {
        for_lanes(from, to, [&](int64_t channel, int count) { convolve_lanes(a, row, channel, count); });
    }
}

}  // namespace demitasse::DM_ISA
