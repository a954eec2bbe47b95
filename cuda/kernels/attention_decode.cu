// Computes: softmax(cap(scale q.k)) v of query heads over the positions that they see, by the online softmax (Milakov
//           and Gimelshein, 2018); one row at a time.
// Layout:   queries and out rows x heads x head_dim FP32; pages.cuh; a state is [maximum, sum, 2 unused][padded
//           elements].
// Requires: padding of pages is zero; head_dim at most 256, or what the kernel's name says.
// Accuracy: FP32; FP32 operands that meet 16-bit or 8-bit elements keep 22 bits (attention_tensor.cuh). Every segment
//           of 256 positions is computed alone, and what its warps have and segments are added in order: a query has
//           the same bits in any batch and chunk.
// Launch:   (KV heads x their query heads / HEADS, rows, segments) blocks of 256 threads, a page a warp, for FP32 pages
//           of 128; those beyond a row's position end at once, so that the launch does not depend on positions.
//           attention_merge: (heads, rows) blocks of 256; it also quantizes its rows (quantize.cuh), where wanted and
//           heads are whole groups of 32 elements.
// Moves:    keys and values once for HEADS query heads; 4 operations an element, position and query head.
// Why:      bound by memory, if latency and operations do not come first: a warp prefetches all of its page, and
//           queries are made ready meanwhile. An H200 reads 8-bit pages at 1.8 TB/s (32 sequences of 8,192 positions,
//           128 elements) and issues an instruction every second cycle, about 2,000 a page; half of them are not the
//           page's but the block's: queries, and adding up.
#include "demitasse/attention_float.cuh"
#include "demitasse/attention_tensor.cuh"
#include "demitasse/quantize.cuh"

namespace demitasse {

// The factor of a state whose maximum is `own` where the common one is `all`.
DEVICE float state_factor(float own, float all) { return own == -INFINITY ? 0 : expf(own - all); }

struct AttentionMergeArgs {
    AttentionArgs attention;
    QuantizedRows quantized;  // by groups
};

// The float path: warps take pages in turn, and their states are merged.
template <class Attention>
DEVICE void attention_decode_float(const AttentionArgs& a) {
    constexpr int HEADS = Attention::HEADS;
    constexpr int WARPS = Attention::WARPS;
    SHARED(uint32_t, shared, Attention::SHARED_WORDS);
    SHARED(float, states, WARPS* HEADS*(STATE_HEADER + Attention::DIM));
    const DecodeBlock block(a, HEADS);
    if (block.begin >= block.end) {
        return;
    }
    const int padded = a.kv.padded();
    Attention::store_queries(a, block.q, block.heads, shared);
    __syncthreads();
    Attention attention(a, shared);
    for (int page = block.segment * (SEGMENT / PAGE) + warp(); page * PAGE < block.end; page += WARPS) {
        if ((page + 1) * PAGE > block.begin) {
            attention.add_page(block.page(page), block.begin - page * PAGE, block.end - page * PAGE);
        }
    }
    const int size = STATE_HEADER + padded;
    attention.store_states(states + warp() * HEADS * size);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < block.heads * padded; i += WARPS * 32) {
        const int h = i / padded;
        const int d = i % padded;
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
        float* out = block.state(h);
        out[STATE_HEADER + d] = value;
        if (d == 0) {
            out[0] = largest;
            out[1] = sum;
        }
    }
}

// The merge of a head's states by a block of MERGE_WARPS: a warp has 32 elements, and every so many segments.
constexpr int MERGE_WARPS = MERGE_THREADS / 32;
constexpr int MERGE_SEGMENTS = MERGE_WARPS * 32;  // whose factors are computed at a time, one by a thread

DEVICE float sum_of_warps(const float* of_warps) {
    float sum = of_warps[0];
    for (int w = 1; w < MERGE_WARPS; w++) {
        sum += of_warps[w];
    }
    return sum;
}

// The largest of the threads' values, in all of them; `shared` has a float for each warp.
DEVICE float block_max(float value, float* shared) {
    value = warp_max(value);
    if (lane() == 0) {
        shared[warp()] = value;
    }
    __syncthreads();
    value = shared[0];
    for (int w = 1; w < static_cast<int>(blockDim.x) / 32; w++) {
        value = fmaxf(value, shared[w]);
    }
    return value;
}

DEVICE void attention_merge_states(const AttentionMergeArgs& merge) {
    SHARED(float, maxima, MERGE_WARPS);
    SHARED(float, totals, MERGE_WARPS);
    SHARED(float, factors, MERGE_SEGMENTS);
    SHARED(float, values, MERGE_WARPS * 32);
    const AttentionArgs& a = merge.attention;
    const int64_t head = blockIdx.x;
    const int64_t row = blockIdx.y;
    const int position = a.rows.positions[row];
    const int first = a.first_seen(position) / SEGMENT;
    const int segments = position / SEGMENT + 1 - first;
    const int thread = static_cast<int>(threadIdx.x);
    const float* states = a.state(row, head, first);
    const int size = STATE_HEADER + a.kv.padded();
    float largest = -INFINITY;
    for (int s = thread; s < segments; s += MERGE_SEGMENTS) {
        largest = fmaxf(largest, states[static_cast<int64_t>(s) * size]);
    }
    largest = block_max(largest, maxima);
    const int chunks = (static_cast<int>(a.kv.head_dim) + 31) / 32;  // at most MERGE_WARPS
    const int ways = MERGE_WARPS / chunks;                           // warps that share a chunk of elements
    const int chunk = warp() % chunks;
    const int way = warp() / chunks;
    const int element = chunk * 32 + lane();
    float total = 0;
    float value = 0;
    for (int at = 0; at < segments; at += MERGE_SEGMENTS) {
        const int count = minimum(MERGE_SEGMENTS, segments - at);
        const float* state = states + static_cast<int64_t>(at) * size;
        __syncthreads();
        if (thread < count) {
            factors[thread] = state_factor(state[thread * size], largest);
            total = fmaf(state[thread * size + 1], factors[thread], total);
        }
        __syncthreads();
        if (way < ways && element < a.kv.padded()) {
#pragma unroll 4
            for (int s = way; s < count; s += ways) {
                value = fmaf(state[s * size + STATE_HEADER + element], factors[s], value);
            }
        }
    }
    total = warp_sum(total);
    if (lane() == 0) {
        totals[warp()] = total;
    }
    values[thread] = value;
    __syncthreads();
    if (way == 0) {
        float sum = values[thread];
        for (int w = 1; w < ways; w++) {
            sum += values[(w * chunks + chunk) * 32 + lane()];
        }
        const float result = element < a.kv.head_dim ? sum / sum_of_warps(totals) : 0;
        if (element < a.kv.head_dim) {
            a.out[(row * a.heads + head) * a.kv.head_dim + element] = result;
        }
        if (merge.quantized.q != nullptr) {
            store_quantized(merge.quantized, row, static_cast<int>(head * a.kv.head_dim + element) / 32, result, 0);
        }
    }
}

}  // namespace demitasse

#define FLOAT_DECODE(name, HEADS)                                                           \
    KERNEL_BLOCKS(demitasse::decode_threads(4), 3) name(const demitasse::AttentionArgs a) { \
        demitasse::attention_decode_float<demitasse::FloatAttention<HEADS>>(a);             \
    }                                                                                       \
    EXPORT(name)
#define TENSOR_DECODE(name, TYPE, DIM, BLOCKS)                                                           \
    KERNEL_BLOCKS(demitasse::decode_threads(1), BLOCKS) name(const demitasse::AttentionArgs a) {         \
        demitasse::attention_decode_tensor<demitasse::TensorAttention<demitasse::KvType::TYPE, DIM>>(a); \
    }                                                                                                    \
    EXPORT(name)

FLOAT_DECODE(attention_decode_f32_heads1, 1)
FLOAT_DECODE(attention_decode_f32_heads4, 4)
TENSOR_DECODE(attention_decode_f16_heads8_dim128, F16, 128, 1)
TENSOR_DECODE(attention_decode_f16_heads8_dim256, F16, 256, 1)
TENSOR_DECODE(attention_decode_int8_heads8_dim128, INT8, 128, 2)
TENSOR_DECODE(attention_decode_int8_heads8_dim256, INT8, 256, 1)
TENSOR_DECODE(attention_decode_fp8_heads8_dim128, FP8, 128, 2)
TENSOR_DECODE(attention_decode_fp8_heads8_dim256, FP8, 256, 1)

KERNEL(demitasse::MERGE_THREADS) attention_merge(const demitasse::AttentionMergeArgs merge) {
    demitasse::attention_merge_states(merge);
}
EXPORT(attention_merge)
