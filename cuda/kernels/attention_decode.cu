// Computes: softmax(cap(scale q.k)) v of query heads over the positions that they see, by the online softmax (Milakov
//           and Gimelshein, 2018); one row at a time.
// Layout:   queries and out rows x heads x head_dim FP32; pages.cuh; a state is [maximum, sum, 2 unused][padded
//           elements].
// Requires: padding of pages is zero (of INT4: its levels); head_dim at most what the kernel's name says, 256 where it
//           says none.
// Accuracy: FP32; FP32 operands that meet elements of 16 bits and fewer keep 22 bits (attention_tensor.cuh). Every
//           segment of 256 positions is computed alone, and what its warps have and segments are added in order: a
//           query has the same bits in any batch and chunk.
// Launch:   (KV heads x their query heads / HEADS, rows, at most segments) blocks of 256 threads, a page a warp, for
//           FP32 pages of 128. The blocks of a row share its segments; those for which there is none end at once, so
//           that the launch does not depend on positions.
//           The last of a row's blocks for the same heads merges their segments (attention_merge.cuh); it also
//           quantizes its rows (quantize.cuh), where wanted and heads are whole groups of 32 elements.
// Moves:    keys and values once for HEADS query heads; 4 operations an element, position and query head.
// Why:      bound by memory, if latency and operations do not come first: a warp prefetches all of its page, and
//           queries are made ready meanwhile. An H100, which reads 3.2 TB/s, reads 16-bit pages at 2.6 and 8-bit pages
//           at 2.0 (32 sequences of 8,192 positions, 128 elements); half of the instructions are not the page's but the
//           block's: queries, and adding up. So a block takes several segments where there are enough blocks.
#include "demitasse/attention_float.cuh"
#include "demitasse/attention_tensor.cuh"

namespace demitasse {

// The float path: warps take pages in turn, and their states are merged.
template <class Attention>
DEVICE void attention_decode_float(const AttentionDecodeArgs& args) {
    follow_previous();
    const AttentionArgs& a = args.attention;
    constexpr int HEADS = Attention::HEADS;
    constexpr int WARPS = Attention::WARPS;
    SHARED(uint32_t, shared, Attention::SHARED_WORDS);
    SHARED(float, states, WARPS* HEADS*(STATE_HEADER + Attention::DIM));
    DecodeBlock block(a, HEADS);
    if (!block.has_segment()) {
        return;
    }
    const int padded = a.kv.padded();
    const int size = STATE_HEADER + padded;
    Attention::store_queries(a, block.queries(), block.heads, shared);
    __syncthreads();
#pragma unroll 1
    for (; block.has_segment(); block.next_segment()) {
        Attention attention(a, shared);
        for (int page = block.first_page() + warp(); page * PAGE < block.end(); page += WARPS) {
            if ((page + 1) * PAGE > block.begin()) {
                attention.add_page(block.page(page), block.begin() - page * PAGE, block.end() - page * PAGE);
            }
        }
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
            float* out = block.state(h, block.segment);
            out[STATE_HEADER + d] = value;
            if (d == 0) {
                out[0] = largest;
                out[1] = sum;
            }
        }
        __syncthreads();
    }
    if (is_last_block(args, block)) {
        for (int h = warp(); h < block.heads; h += WARPS) {
            merge_head(args, block, h);
        }
    }
}

}  // namespace demitasse

#define FLOAT_DECODE(name, HEADS, DIM)                                                                              \
    KERNEL_BLOCKS(demitasse::decode_threads(32), DIM <= 256 ? 3 : 1) name(const demitasse::AttentionDecodeArgs a) { \
        demitasse::attention_decode_float<demitasse::FloatAttention<HEADS, DIM>>(a);                                \
    }                                                                                                               \
    EXPORT(name)
#define TENSOR_DECODE(name, TYPE, DIM, BLOCKS)                                                           \
    KERNEL_BLOCKS(demitasse::decode_threads(8), BLOCKS) name(const demitasse::AttentionDecodeArgs a) {   \
        demitasse::attention_decode_tensor<demitasse::TensorAttention<demitasse::KvType::TYPE, DIM>>(a); \
    }                                                                                                    \
    EXPORT(name)

FLOAT_DECODE(attention_decode_f32_heads1, 1, 256)
FLOAT_DECODE(attention_decode_f32_heads4, 4, 256)
FLOAT_DECODE(attention_decode_f32_heads1_dim512, 1, 512)
FLOAT_DECODE(attention_decode_f32_heads4_dim512, 4, 512)
FLOAT_DECODE(attention_decode_f32_heads1_dim576, 1, 576)
FLOAT_DECODE(attention_decode_f32_heads4_dim576, 4, 576)
TENSOR_DECODE(attention_decode_f16_heads8_dim128, F16, 128, 1)
TENSOR_DECODE(attention_decode_f16_heads8_dim256, F16, 256, 1)
TENSOR_DECODE(attention_decode_f16_heads8_dim512, F16, 512, 1)
TENSOR_DECODE(attention_decode_f16_heads8_dim576, F16, 576, 1)
TENSOR_DECODE(attention_decode_int8_heads8_dim128, INT8, 128, 2)
TENSOR_DECODE(attention_decode_int8_heads8_dim256, INT8, 256, 1)
TENSOR_DECODE(attention_decode_int8_heads8_dim512, INT8, 512, 1)
TENSOR_DECODE(attention_decode_int8_heads8_dim576, INT8, 576, 1)
TENSOR_DECODE(attention_decode_fp8_heads8_dim128, FP8, 128, 2)
TENSOR_DECODE(attention_decode_fp8_heads8_dim256, FP8, 256, 1)
TENSOR_DECODE(attention_decode_fp8_heads8_dim512, FP8, 512, 1)
TENSOR_DECODE(attention_decode_fp8_heads8_dim576, FP8, 576, 1)
TENSOR_DECODE(attention_decode_int4_heads8_dim128, INT4, 128, 2)
TENSOR_DECODE(attention_decode_int4_heads8_dim256, INT4, 256, 1)
TENSOR_DECODE(attention_decode_int4_heads8_dim512, INT4, 512, 1)
TENSOR_DECODE(attention_decode_int4_heads8_dim576, INT4, 576, 1)
