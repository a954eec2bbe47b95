// Computes: causal convolution of each channel over its sequence's positions: bias[c], and the sum over k of
//           weight[k][c] x[t - kernel + 1 + k][c], positions before the first being zero; where wanted
//           v / (1 + exp(-v)) of that.
// Layout:   x and out rows x channels, weight kernel x channels, state slots x (kernel - 1) x channels, all FP32: of
//           each sequence the rows before those to come (states.cuh).
// Requires: a sequence's rows follow each other and what its state has seen; at position 0 the state counts as zeros.
// Accuracy: FP32, products added from the earliest position on.
// Launch:   (rows, channels / 256) blocks of 256 threads, a thread a channel of all rows of the sequence that begins
//           with the block's row; other blocks have nothing to do.
// Moves:    4 (kernel + 2) bytes an element, mostly from the cache; kernel products an element.
// Why:      bound by the launch where a sequence has one row. A thread that has all rows of a channel writes the state
//           when no other needs the old one. Not run on a GPU yet.
#include "demitasse/states.cuh"

namespace demitasse {

struct ConvolveArgs {
    const float* x;
    const float* weight;
    const float* bias;  // or null
    int64_t channels;
    int64_t kernel;
    int64_t silu;
    float* state;
    StateRows rows;
    float* out;
};

// A sequence's channel: what went into it, in this batch and before.
struct ConvolvedChannel {
    const ConvolveArgs& a;
    const int64_t channel;
    const int64_t first;  // row
    const int64_t kept;
    float* state;

    DEVICE float at(int64_t row) const {
        if (row >= first) {
            return a.x[row * a.channels + channel];
        }
        return a.rows.rows.positions[first] == 0 ? 0 : state[(kept + row - first) * a.channels];
    }
};

}  // namespace demitasse

KERNEL(demitasse::ELEMENT_THREADS) convolve(const demitasse::ConvolveArgs a) {
    using namespace demitasse;
    follow_previous();
    const int64_t first = blockIdx.x;
    const int64_t channel = static_cast<int64_t>(blockIdx.y) * ELEMENT_THREADS + threadIdx.x;
    if (channel >= a.channels || !a.rows.begins(first)) {
        return;
    }
    const int64_t kept = a.kernel - 1;
    const int64_t end = a.rows.end(first);
    const ConvolvedChannel x{a, channel, first, kept, a.state + a.rows.slot(first) * kept * a.channels + channel};
#pragma unroll 1
    for (int64_t row = first; row < end; row++) {
        float sum = a.bias == nullptr ? 0 : a.bias[channel];
#pragma unroll 1
        for (int64_t k = 0; k <= kept; k++) {
            sum = fmaf(a.weight[k * a.channels + channel], x.at(row - kept + k), sum);
        }
        a.out[row * a.channels + channel] = a.silu != 0 ? sum / (1 + expf(-sum)) : sum;
    }
#pragma unroll 1
    for (int64_t k = 0; k < kept; k++) {  // from the earliest on: what is read lies behind what is written
        x.state[k * a.channels] = x.at(end - kept + k);
    }
}
EXPORT(convolve)
