// Decode attention over FP32 pages. A lane is a position for the scores, so that no sum crosses lanes, and holds 16
// bytes of elements for the values; both read side by side.
#pragma once

#include "demitasse/attention_merge.cuh"

namespace demitasse {

// A warp's part of a segment for HEADS query heads of one KV head.
template <int HEADS_, int DIM_>
struct FloatAttention {
    static constexpr int HEADS = HEADS_;
    static constexpr int DIM = DIM_;
    static constexpr int WARPS = decode_threads(32) / 32;
    static_assert(HEADS == decode_heads(32, HEADS) && DIM == decode_dim(32, DIM));
    static constexpr int CHUNK = 4;
    static constexpr int SHARED_WORDS = HEADS * (DIM + WARPS * PAGE);  // of a block: queries, and weights
    static constexpr int ROUNDS = (DIM / CHUNK + 31) / 32;             // 16-byte chunks of values that a lane holds

    const AttentionArgs& a;
    const float* queries;  // [head][padded], shared
    float* weights;        // [head][position], shared, of the warp
    const float inverse_cap;
    float largest[HEADS];
    float sums[HEADS] = {};  // of the lane's positions
    float values[HEADS][ROUNDS][CHUNK] = {};

    DEVICE FloatAttention(const AttentionArgs& args, uint32_t* shared)
        : a(args),
          queries(reinterpret_cast<const float*>(shared)),
          weights(reinterpret_cast<float*>(shared) + HEADS * (DIM + warp() * PAGE)),
          inverse_cap(args.inverse_cap()) {
        for (int h = 0; h < HEADS; h++) {
            largest[h] = -INFINITY;
        }
    }

    // All threads of a block store its queries: `count` heads at q.
    static DEVICE void store_queries(const AttentionArgs& a, const float* q, int count, uint32_t* shared) {
        const int padded = a.kv.padded();
        const int dim = static_cast<int>(a.kv.head_dim);
        for (int i = static_cast<int>(threadIdx.x); i < HEADS * padded; i += static_cast<int>(blockDim.x)) {
            const int head = i / padded;
            const int d = i % padded;
            reinterpret_cast<float*>(shared)[i] = head < count && d < dim ? q[head * dim + d] : 0;
        }
    }

    // Positions [from, to) of a page.
    DEVICE void add_page(int64_t block, int from, int to) {
        const int padded = a.kv.padded();
        const int64_t bytes = static_cast<int64_t>(padded) * PAGE * 4;
        float scores[HEADS] = {};
        add_scores(a.kv.keys + block * bytes, scores);
        const bool seen = lane() >= from && lane() < to;
#pragma unroll
        for (int h = 0; h < HEADS; h++) {
            const float score = seen ? a.score(scores[h], inverse_cap) : -INFINITY;
            const float now = fmaxf(largest[h], warp_max(score));
            const float correction = largest[h] == now ? 1 : expf(largest[h] - now);
            const float weight = seen ? expf(score - now) : 0;
            largest[h] = now;
            sums[h] = sums[h] * correction + weight;
            for (int round = 0; round < ROUNDS; round++) {
                for (int i = 0; i < CHUNK; i++) {
                    values[h][round][i] *= correction;
                }
            }
            weights[h * PAGE + lane()] = weight;
        }
        __syncwarp();
        add_values(a.kv.values + block * bytes, from, to);
        __syncwarp();
    }

    DEVICE void add_scores(const uint8_t* keys, float (&scores)[HEADS]) const {
        const int padded = a.kv.padded();
#pragma unroll 4
        for (int d = 0; d < padded; d += CHUNK) {
            const Words4 w = load16(keys + (d / CHUNK * PAGE + lane()) * 16);
#pragma unroll
            for (int i = 0; i < CHUNK; i++) {
                const float key = KvElement<KvType::F32>::get(w, i);
#pragma unroll
                for (int h = 0; h < HEADS; h++) {
                    scores[h] = fmaf(key, queries[h * padded + d + i], scores[h]);
                }
            }
        }
    }

    // Lanes hold chunks of elements of as many positions as fit the warp.
    DEVICE void add_values(const uint8_t* page, int from, int to) {
        const int padded = a.kv.padded();
        const int chunks = padded / CHUNK;
        const int step = chunks < 32 ? 32 / chunks : 1;
        const int first = chunks < 32 ? lane() / chunks : 0;
        if (first >= step) {
            return;
        }
#pragma unroll 2
        for (int p = first; p < PAGE; p += step) {
            if (p < from || p >= to) {
                continue;  // there may be NaN
            }
#pragma unroll
            for (int round = 0; round < ROUNDS; round++) {
                const int chunk = chunks < 32 ? lane() % chunks : lane() + round * 32;
                if (chunk >= chunks || (round > 0 && chunks <= 32)) {
                    continue;
                }
                const Words4 w = load16(page + (static_cast<int64_t>(p) * padded + chunk * CHUNK) * 4);
#pragma unroll
                for (int h = 0; h < HEADS; h++) {
                    const float weight = weights[h * PAGE + p];
#pragma unroll
                    for (int i = 0; i < CHUNK; i++) {
                        values[h][round][i] = fmaf(KvElement<KvType::F32>::get(w, i), weight, values[h][round][i]);
                    }
                }
            }
        }
    }

    // Stores the warp's states: [head][maximum, sum, 2 unused][padded], shared.
    DEVICE void store_states(float* states) const {
        const int padded = a.kv.padded();
        const int chunks = padded / CHUNK;
        const int step = chunks < 32 ? 32 / chunks : 1;
        const int first = chunks < 32 ? lane() / chunks : 0;
#pragma unroll
        for (int h = 0; h < HEADS; h++) {
            float* state = states + h * (STATE_HEADER + padded);
            const float sum = warp_sum(sums[h]);
            if (lane() == 0) {
                state[0] = largest[h];
                state[1] = sum;
            }
            for (int turn = 0; turn < step; turn++) {  // one after the other: always the same order
#pragma unroll
                for (int round = 0; round < ROUNDS; round++) {
                    const int chunk = chunks < 32 ? lane() % chunks : lane() + round * 32;
                    if (first != turn || chunk >= chunks || (round > 0 && chunks <= 32)) {
                        continue;
                    }
#pragma unroll
                    for (int i = 0; i < CHUNK; i++) {
                        float& to = state[STATE_HEADER + chunk * CHUNK + i];
                        to = turn == 0 ? values[h][round][i] : to + values[h][round][i];
                    }
                }
                __syncwarp();
            }
        }
    }
};

}  // namespace demitasse
