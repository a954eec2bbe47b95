// How the states of a row's segments become its results, by the last block of a row and KV head that has stored its
// own: one kernel less than if another did it, and nothing to wait for where the row has one segment.
#pragma once

#include "demitasse/pages.cuh"

namespace demitasse {

// The factor of a state whose maximum is `own` where the common one is `all`.
DEVICE float state_factor(float own, float all) { return own == -INFINITY ? 0 : expf(own - all); }

// A warp stores results of a query head, a lane four elements from `element` on: sums of values by their total weight.
DEVICE void store_head(const AttentionDecodeArgs& args, int64_t row, int64_t head, int element,
                       float (&sums)[LANE_COLUMNS], float total) {
    const AttentionArgs& a = args.attention;
    const int dim = static_cast<int>(a.kv.head_dim);
#pragma unroll
    for (int i = 0; i < LANE_COLUMNS; i++) {
        sums[i] = element + i < dim ? sums[i] / total : 0;
    }
    store_columns(a.out + (row * a.heads + head) * dim, element, dim, sums);
    if (args.quantized.q != nullptr) {  // whose heads are whole groups
        const int64_t column = element < dim ? head * dim + element : args.quantized.padded;
        store_quantized(args.quantized, row, static_cast<int>(column), sums, 0);
    }
}

// Whether this block is the last of its row and KV head; every block calls it once, after it has stored its states.
DEVICE bool is_last_block(const AttentionDecodeArgs& args, const DecodeBlock& block) {
    SHARED(uint32_t, before, 1);
    const auto others = static_cast<uint32_t>(block.blocks() - 1);
    if (others == 0) {
        __syncthreads();
        return true;
    }
    fence_device();
    __syncthreads();
    if (threadIdx.x == 0) {
        uint32_t* counter = args.counters + int64_t{block.row} * gridDim.x + blockIdx.x;
        before[0] = count_atomically(counter);
        if (before[0] == others) {
            *counter = 0;  // for the next launch
        }
    }
    __syncthreads();
    fence_device();
    return before[0] == others;
}

// Merges the states of a query head: a warp, a lane four elements of each 128. Segments are added in their order.
DEVICE void merge_head(const AttentionDecodeArgs& args, const DecodeBlock& block, int head) {
    const AttentionArgs& a = args.attention;
    const float* states = block.state(head, 0);
    const int padded = a.kv.padded();
    const int size = STATE_HEADER + padded;
    float largest = -INFINITY;
    for (int s = lane(); s < block.segments; s += 32) {
        largest = fmaxf(largest, load_fresh(states + s * size));
    }
    largest = warp_max(largest);
    float total = 0;
    for (int s = lane(); s < block.segments; s += 32) {
        total = fmaf(load_fresh(states + s * size + 1), state_factor(load_fresh(states + s * size), largest), total);
    }
    total = warp_sum(total) + a.sink(block.first_head + head, largest);
    for (int first = 0; first < padded; first += 32 * LANE_COLUMNS) {
        const int element = first + lane() * LANE_COLUMNS;
        float sums[LANE_COLUMNS] = {};
        for (int s0 = 0; s0 < block.segments; s0 += 32) {
            const int count = minimum(32, block.segments - s0);
            const float* state = states + (s0 + lane()) * size;
            const float factor = lane() < count ? state_factor(load_fresh(state), largest) : 0;
#pragma unroll 4
            for (int i = 0; i < count; i++) {
                const float of_segment = __shfl_sync(ALL_LANES, factor, i);
                if (element < padded) {
                    float values[LANE_COLUMNS];
                    load_fresh(values, states + (s0 + i) * size + STATE_HEADER + element);
#pragma unroll
                    for (int e = 0; e < LANE_COLUMNS; e++) {
                        sums[e] = fmaf(values[e], of_segment, sums[e]);
                    }
                }
            }
        }
        store_head(args, block.row, block.first_head + head, element, sums, total);
    }
}

}  // namespace demitasse
