// Computes: softmax(cap(scale q.k)) v of query heads over the positions that they see, by the online softmax (Milakov and
//           Gimelshein, 2018); one row at a time.
// Layout:   queries and out rows x heads x head_dim FP32; pages.cuh; a state is [maximum, sum, 2 unused][padded elements].
// Requires: padding of pages is zero; head_dim at most 256.
// Accuracy: FP32. Every segment of 256 positions is computed alone, a warp takes every fourth page of it, and warps and
//           segments are merged in order: a query has the same bits in any batch and chunk.
// Launch:   (key heads x groups of HEADS query heads, rows, segments) blocks of 128 threads; those beyond a row's position
//           end at once, so that the launch does not depend on positions. attention_merge: (heads, rows) blocks of 64; it
//           also quantises its rows (quantize.cuh), where wanted and heads are whole groups of 32 elements.
// Moves:    keys and values once for HEADS query heads; 4 operations an element, position and query head.
// Why:      bound by memory. A lane is a position for the scores, so that no sum crosses lanes, and holds 16 bytes of
//           elements for the values; both read side by side. Scales of INT8 and FP8 go into scores and weights where a head
//           has one group. Not run on a GPU yet.
#include "demitasse/pages.cuh"
#include "demitasse/quantize.cuh"

namespace demitasse {

constexpr int WARPS = 4;
constexpr int MOST_DIM = 256;
constexpr int STATE_HEADER = 4;

DEVICE float* state_of(const AttentionArgs& a, int64_t row, int64_t head, int64_t segment) {
    return a.states + ((row * a.heads + head) * a.segments + segment) * (STATE_HEADER + a.kv.padded());
}

// A warp's part of a segment for HEADS query heads of one key head.
template <KvType TYPE, int HEADS>
struct WarpAttention {
    using Element = KvElement<TYPE>;
    static constexpr int CHUNK = Element::CHUNK;
    // 16-byte chunks of values that a lane holds: a position's elements fill at most 32 lanes, FP32 heads twice that.
    static constexpr int UNROLL = CHUNK == 16 ? 1 : 2;  // loads at once: more, and registers are spilled
    static constexpr int ROUNDS = MOST_DIM / CHUNK > 32 ? 2 : 1;

    const AttentionArgs& a;
    const float* queries;  // [head][padded], shared
    float* weights;        // [head][position], shared, of the warp
    const float inverse_cap;
    float largest[HEADS];
    float sums[HEADS] = {};  // of the lane's positions
    float values[HEADS][ROUNDS][CHUNK] = {};

    DEVICE WarpAttention(const AttentionArgs& args, const float* q, float* w)
        : a(args), queries(q), weights(w), inverse_cap(args.inverse_cap()) {
        for (int h = 0; h < HEADS; h++) {
            largest[h] = -INFINITY;
        }
    }

    // Positions [from, to) of a page.
    DEVICE void add_page(int64_t block, int from, int to) {
        const int padded = a.kv.padded();
        const int64_t bytes = static_cast<int64_t>(padded) * PAGE * Element::BYTES;
        float scores[HEADS] = {};
        add_scores(a.kv.keys + block * bytes, block, scores);
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
        add_values(a.kv.values + block * bytes, block);
        __syncwarp();
    }

    DEVICE void add_scores(const uint8_t* keys, int64_t block, float (&scores)[HEADS]) const {
        const int padded = a.kv.padded();
        for (int from = 0; from < padded; from += SCALE_GROUP) {
            float sum[HEADS] = {};
#pragma unroll UNROLL
            for (int d = from; d < minimum(from + SCALE_GROUP, padded); d += CHUNK) {
                const Words4 w = load16(keys + (d / CHUNK * PAGE + lane()) * 16);
#pragma unroll
                for (int i = 0; i < CHUNK; i++) {
                    const float key = Element::get(w, i);
#pragma unroll
                    for (int h = 0; h < HEADS; h++) {
                        sum[h] = fmaf(key, queries[h * padded + d + i], sum[h]);
                    }
                }
            }
            float scale = 1;
            if constexpr (Element::SCALED) {
                scale = a.kv.key_scales[(block * a.kv.scale_groups() + from / SCALE_GROUP) * PAGE + lane()];
            }
#pragma unroll
            for (int h = 0; h < HEADS; h++) {
                scores[h] = fmaf(sum[h], scale, scores[h]);
            }
        }
    }

    // Lanes hold chunks of elements of as many positions as fit the warp.
    DEVICE void add_values(const uint8_t* from, int64_t block) {
        const int padded = a.kv.padded();
        const int chunks = padded / CHUNK;
        const int step = chunks < 32 ? 32 / chunks : 1;
        const int first = chunks < 32 ? lane() / chunks : 0;
        if (first >= step) {
            return;
        }
#pragma unroll UNROLL
        for (int p = first; p < PAGE; p += step) {
#pragma unroll
            for (int round = 0; round < ROUNDS; round++) {
                const int chunk = chunks < 32 ? lane() % chunks : lane() + round * 32;
                if (chunk >= chunks || (round > 0 && chunks <= 32)) {
                    continue;
                }
                const Words4 w = load16(from + (static_cast<int64_t>(p) * padded + chunk * CHUNK) * Element::BYTES);
                float scale = 1;
                if constexpr (Element::SCALED) {
                    scale = a.kv.value_scales[(block * a.kv.scale_groups() + chunk * CHUNK / SCALE_GROUP) * PAGE + p];
                }
#pragma unroll
                for (int h = 0; h < HEADS; h++) {
                    const float weight = weights[h * PAGE + p] * scale;
#pragma unroll
                    for (int i = 0; i < CHUNK; i++) {
                        values[h][round][i] = fmaf(Element::get(w, i), weight, values[h][round][i]);
                    }
                }
            }
        }
    }

    // Leaves the warp's states: [head][maximum, sum, 2 unused][padded], shared.
    DEVICE void leave(float* states) const {
        const int padded = a.kv.padded();
        const int chunks = padded / CHUNK;
        const int step = chunks < 32 ? 32 / chunks : 1;
        const int first = chunks < 32 ? lane() / chunks : 0;
        for (int h = 0; h < HEADS; h++) {
            float* state = states + h * (STATE_HEADER + padded);
            const float sum = warp_sum(sums[h]);
            if (lane() == 0) {
                state[0] = largest[h];
                state[1] = sum;
            }
            for (int turn = 0; turn < step; turn++) {  // one after the other: always the same order
                for (int round = 0; round < ROUNDS; round++) {
                    const int chunk = chunks < 32 ? lane() % chunks : lane() + round * 32;
                    const bool holds = first == turn && chunk < chunks && (round == 0 || chunks > 32);
                    for (int i = 0; holds && i < CHUNK; i++) {
                        float& to = state[STATE_HEADER + chunk * CHUNK + i];
                        to = turn == 0 ? values[h][round][i] : to + values[h][round][i];
                    }
                }
                __syncwarp();
            }
        }
    }
};

// The factor of a state whose maximum is `own` where the common one is `all`.
DEVICE float state_factor(float own, float all) { return own == -INFINITY ? 0 : expf(own - all); }

struct AttentionMergeArgs {
    AttentionArgs attention;
    QuantizedRows quantized;  // by groups
};

template <KvType TYPE, int HEADS>
DEVICE void attention_decode(const AttentionArgs& a) {
    const int64_t row = blockIdx.y;
    const int segment = static_cast<int>(blockIdx.z);
    const int position = a.rows.positions[row];
    const int begin = maximum(a.first_seen(position), segment * SEGMENT);
    const int end = minimum(position + 1, (segment + 1) * SEGMENT);
    if (begin >= end) {
        return;
    }
    SHARED(float, queries, HEADS* MOST_DIM);
    SHARED(float, weights, WARPS* HEADS* PAGE);
    SHARED(float, states, WARPS* HEADS*(STATE_HEADER + MOST_DIM));
    const int padded = a.kv.padded();
    const int dim = static_cast<int>(a.kv.head_dim);
    const int group = static_cast<int>(a.heads / a.kv.heads);
    const int passes = (group + HEADS - 1) / HEADS;
    const int64_t kv_head = blockIdx.x / passes;
    const int first_head = static_cast<int>(blockIdx.x % passes) * HEADS;  // within the group
    for (int i = static_cast<int>(threadIdx.x); i < HEADS * padded; i += WARPS * 32) {
        const int head = first_head + i / padded;
        const int d = i % padded;
        queries[i] = head < group && d < dim ? a.q[(row * a.heads + kv_head * group + head) * dim + d] : 0;
    }
    __syncthreads();
    WarpAttention<TYPE, HEADS> attention(a, queries, weights + warp() * HEADS * PAGE);
    const int32_t* table = a.rows.pages + a.rows.tables[row];
    for (int page = segment * (SEGMENT / PAGE) + warp(); page * PAGE < end; page += WARPS) {
        if ((page + 1) * PAGE > begin) {
            attention.add_page(a.kv.block(a.layer, table[page], kv_head), begin - page * PAGE, end - page * PAGE);
        }
    }
    const int size = STATE_HEADER + padded;
    attention.leave(states + warp() * HEADS * size);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < HEADS * padded; i += WARPS * 32) {
        const int h = i / padded;
        const int d = i % padded;
        if (first_head + h >= group) {
            continue;
        }
        float largest = -INFINITY;
        for (int w = 0; w < WARPS; w++) {
            largest = fmaxf(largest, states[(w * HEADS + h) * size]);
        }
        float sum = 0;
        float value = 0;
        for (int w = 0; w < WARPS; w++) {
            const float* state = states + (w * HEADS + h) * size;
            const float factor = state_factor(state[0], largest);
            sum = fmaf(state[1], factor, sum);
            value = fmaf(state[STATE_HEADER + d], factor, value);
        }
        float* out = state_of(a, row, kv_head * group + first_head + h, segment);
        out[STATE_HEADER + d] = value;
        if (d == 0) {
            out[0] = largest;
            out[1] = sum;
        }
    }
}

}  // namespace demitasse

using demitasse::AttentionArgs;
using demitasse::KvType;

#define ATTENTION_DECODE(name, TYPE, HEADS)                                                                    \
    KERNEL_BLOCKS(128, 3) name(const AttentionArgs a) { demitasse::attention_decode<KvType::TYPE, HEADS>(a); } \
    EXPORT(name)

ATTENTION_DECODE(attention_decode_f32_heads1, F32, 1)
ATTENTION_DECODE(attention_decode_f32_heads4, F32, 4)
ATTENTION_DECODE(attention_decode_f16_heads1, F16, 1)
ATTENTION_DECODE(attention_decode_f16_heads4, F16, 4)
ATTENTION_DECODE(attention_decode_int8_heads1, INT8, 1)
ATTENTION_DECODE(attention_decode_int8_heads4, INT8, 4)
ATTENTION_DECODE(attention_decode_fp8_heads1, FP8, 1)
ATTENTION_DECODE(attention_decode_fp8_heads4, FP8, 4)

KERNEL(64) attention_merge(const demitasse::AttentionMergeArgs merge) {
    using namespace demitasse;
    const AttentionArgs& a = merge.attention;
    const int64_t head = blockIdx.x;
    const int64_t row = blockIdx.y;
    const int position = a.rows.positions[row];
    const int first = a.first_seen(position) / SEGMENT;
    const int last = position / SEGMENT;
    float largest = -INFINITY;
    for (int s = first; s <= last; s++) {
        largest = fmaxf(largest, state_of(a, row, head, s)[0]);
    }
    for (int d = static_cast<int>(threadIdx.x); d < a.kv.head_dim; d += 64) {
        float sum = 0;
        float value = 0;
        for (int s = first; s <= last; s++) {
            const float* state = state_of(a, row, head, s);
            const float factor = state_factor(state[0], largest);
            sum = fmaf(state[1], factor, sum);
            value = fmaf(state[STATE_HEADER + d], factor, value);
        }
        const float result = value / sum;
        a.out[(row * a.heads + head) * a.kv.head_dim + d] = result;
        if (merge.quantized.q != nullptr) {
            store_quantized(merge.quantized, row, static_cast<int>(head * a.kv.head_dim + d) / 32, result, 0);
        }
    }
}
EXPORT(attention_merge)
