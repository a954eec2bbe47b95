// Computes: softmax(cap(scale q.k)) v of query heads over the positions that they see, by the online softmax (Milakov and
//           Gimelshein, 2018); one row at a time.
// Layout:   queries and out rows x heads x head_dim FP32; pages.cuh; a state is [maximum, sum, 2 unused][padded elements].
// Requires: padding of pages is zero; head_dim at most 256, or what the kernel's name says.
// Accuracy: FP32; FP32 operands that meet 16-bit or 8-bit elements keep 22 bits (attention_tensor.cuh). Every segment of 256
//           positions is computed alone, a warp takes every fourth page of it, and warps and segments are merged in order:
//           a query has the same bits in any batch and chunk.
// Launch:   (key heads x groups of HEADS query heads, rows, segments) blocks of 128 threads; those beyond a row's position
//           end at once, so that the launch does not depend on positions. attention_merge: (heads, rows) blocks of 64; it
//           also quantises its rows (quantize.cuh), where wanted and heads are whole groups of 32 elements.
// Moves:    keys and values once for HEADS query heads; 4 operations an element, position and query head.
// Why:      bound by memory, if the operations are few enough: an H100 that reads 3 TB/s meets 3.7e8 pages of 8-bit keys and
//           values with 128 elements a second, and issues 9.3e11 instructions; a page takes about 1,450 of them on sm_90a by tensor
//           cores, and took 3,600 by FP32 operations. Not run on a GPU yet.
#include "demitasse/attention_float.cuh"
#include "demitasse/attention_tensor.cuh"
#include "demitasse/quantize.cuh"

namespace demitasse {

DEVICE float* state_of(const AttentionArgs& a, int64_t row, int64_t head, int64_t segment) {
    return a.states + ((row * a.heads + head) * a.segments + segment) * (STATE_HEADER + a.kv.padded());
}

// The factor of a state whose maximum is `own` where the common one is `all`.
DEVICE float state_factor(float own, float all) { return own == -INFINITY ? 0 : expf(own - all); }

struct AttentionMergeArgs {
    AttentionArgs attention;
    QuantizedRows quantized;  // by groups
};

template <class Attention>
DEVICE void attention_decode(const AttentionArgs& a) {
    const int64_t row = blockIdx.y;
    const int segment = static_cast<int>(blockIdx.z);
    const int position = a.rows.positions[row];
    const int begin = maximum(a.first_seen(position), segment * SEGMENT);
    const int end = minimum(position + 1, (segment + 1) * SEGMENT);
    if (begin >= end) {
        return;
    }
    constexpr int HEADS = Attention::HEADS;
    SHARED(uint32_t, shared, Attention::SHARED_WORDS);
    SHARED(float, states, DECODE_WARPS* HEADS*(STATE_HEADER + Attention::DIM));
    const int padded = a.kv.padded();
    const int group = static_cast<int>(a.heads / a.kv.heads);
    const int passes = (group + HEADS - 1) / HEADS;
    const int64_t kv_head = blockIdx.x / passes;
    const int first_head = static_cast<int>(blockIdx.x % passes) * HEADS;  // within the group
    Attention::store_queries(a, a.q + (row * a.heads + kv_head * group + first_head) * a.kv.head_dim,
                             group - first_head, shared);
    __syncthreads();
    Attention attention(a, shared);
    const int32_t* table = a.rows.pages + a.rows.tables[row];
    for (int page = segment * (SEGMENT / PAGE) + warp(); page * PAGE < end; page += DECODE_WARPS) {
        if ((page + 1) * PAGE > begin) {
            attention.add_page(a.kv.block(a.layer, table[page], kv_head), begin - page * PAGE, end - page * PAGE);
        }
    }
    const int size = STATE_HEADER + padded;
    attention.leave(states + warp() * HEADS * size);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < HEADS * padded; i += DECODE_WARPS * 32) {
        const int h = i / padded;
        const int d = i % padded;
        if (first_head + h >= group) {
            continue;
        }
        float largest = -INFINITY;
        for (int w = 0; w < DECODE_WARPS; w++) {
            largest = fmaxf(largest, states[(w * HEADS + h) * size]);
        }
        float sum = 0;
        float value = 0;
        for (int w = 0; w < DECODE_WARPS; w++) {
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

#define ATTENTION_DECODE(name, BLOCKS, ...)                                                                            \
    KERNEL_BLOCKS(128, BLOCKS) name(const demitasse::AttentionArgs a) { demitasse::attention_decode<__VA_ARGS__>(a); } \
    EXPORT(name)
#define TENSOR_DECODE(name, BLOCKS, TYPE)                                                             \
    ATTENTION_DECODE(name##_dim128, BLOCKS, demitasse::TensorAttention<demitasse::KvType::TYPE, 128>) \
    ATTENTION_DECODE(name##_dim256, 2, demitasse::TensorAttention<demitasse::KvType::TYPE, 256>)

ATTENTION_DECODE(attention_decode_f32_heads1, 3, demitasse::FloatAttention<1>)
ATTENTION_DECODE(attention_decode_f32_heads4, 3, demitasse::FloatAttention<4>)
TENSOR_DECODE(attention_decode_f16_heads8, 2, F16)
TENSOR_DECODE(attention_decode_int8_heads8, 3, INT8)
TENSOR_DECODE(attention_decode_fp8_heads8, 3, FP8)

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
