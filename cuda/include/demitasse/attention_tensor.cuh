// Decode attention over FP16, INT8 and FP8 pages by tensor cores, which FP32 queries and weights enter as two FP16 numbers
// each: the nearest one, and the nearest to what is left.
//
// One `mma` multiplies sixteen rows: eight query heads' first numbers, and their second ones; both sums are added. 16-bit and
// 8-bit elements are FP16 numbers exactly (FP8 times 2^-8), so that a product has 22 bits of the FP32 operand, or an error of
// 2^-40 of the largest weight of a page. To keep operands in FP16's range, queries of a head are divided by a power of two,
// and weights times the scales of values by the largest of a page.
#pragma once

#include "demitasse/pages.cuh"

namespace demitasse {

// Two FP16 numbers in a word for each of two FP32 numbers: the nearest, and the nearest to the rest.
struct SplitPair {
    uint32_t high, low;

    DEVICE SplitPair(float first, float second) : high(floats_to_halves(first, second)) {
        low = floats_to_halves(first - half_to_float(static_cast<uint16_t>(high)),
                               second - half_to_float(static_cast<uint16_t>(high >> 16)));
    }
};

// Elements as pairs of FP16 numbers.
template <KvType TYPE>
struct HalfPairs {
    // Element i of word a and element k of word b.
    static DEVICE uint32_t of(uint32_t a, int i, uint32_t b, int k) {
        if constexpr (TYPE == KvType::F16) {
            return byte_perm(a, b, i == 0 ? (k == 0 ? 0x5410 : 0x7610) : (k == 0 ? 0x5432 : 0x7632));
        } else if constexpr (TYPE == KvType::INT8) {
            // 1024 + 128 + x, whose bits are 0x6400 + (x ^ 0x80), less 1152
            const uint32_t bytes = byte_perm(a, b, static_cast<unsigned>(i | (4 + k) << 8));
            return subtract_halves(((bytes ^ 0x00800080u) & 0x00FF00FFu) | 0x64006400u, 0x64806480u);
        } else {
            const uint32_t bytes = byte_perm(a, b, static_cast<unsigned>(i << 4 | (4 + k) << 12));
            return (bytes & 0x80008000u) | (bytes >> 1 & 0x3F803F80u);
        }
    }
};

// A warp's part of a segment for up to eight query heads, of at most DIM_ elements, of one key head. Lane 4 g + c has head g: the scores of positions
// 8 i + 2 c and of the next.
template <KvType TYPE, int DIM_>
struct TensorAttention {
    static constexpr int HEADS = 8;
    static constexpr int DIM = DIM_;
    using Element = KvElement<TYPE>;
    static constexpr int CHUNK = Element::CHUNK;
    static constexpr int STEPS = CHUNK / 4;  // of a quad of chunks: a lane gives four elements to each mma
    // What weights are multiplied by, so that small ones keep their bits: the rest of 2^-10 of the largest is a normal number.
    static constexpr float WEIGHT_FACTOR = 32768;
    static constexpr int VALUE_WORDS = 2 * Element::BYTES;  // eight elements of a position
    static constexpr int OPERANDS = DIM / 16 * 32 * 4;
    static constexpr int SHARED_WORDS = OPERANDS + HEADS;  // of a block: queries, and what they were divided by

    const AttentionArgs& a;
    const uint32_t* queries;
    float factor;  // what a score is multiplied by
    float inverse_cap;
    float largest = -INFINITY;
    float sum = 0;                      // of the lane's positions
    float values[DIM / 64][8][2] = {};  // [64 elements][element][n = 2 c, 2 c + 1]: element 64 j + 8 n + e

    DEVICE TensorAttention(const AttentionArgs& args, const uint32_t* shared)
        : a(args),
          queries(shared),
          factor(__uint_as_float(shared[OPERANDS + lane() / 4])),
          inverse_cap(args.inverse_cap()) {}

    // All threads of a block store its queries: `count` heads at q.
    static DEVICE void store_queries(const AttentionArgs& a, const float* q, int count, uint32_t* shared) {
        const int dim = static_cast<int>(a.kv.head_dim);
        for (int head = warp(); head < HEADS; head += static_cast<int>(blockDim.x) / 32) {
            float largest = 0;
            for (int d = lane(); head < count && d < dim; d += 32) {
                largest = fmaxf(largest, fabsf(q[head * dim + d]));
            }
            const uint32_t exponent = __float_as_uint(warp_max(largest)) & 0x7F800000u;
            if (lane() == 0) {
                shared[OPERANDS + head] = exponent == 0 || exponent == 0x7F800000u ? __float_as_uint(1.0f) : exponent;
            }
        }
        __syncthreads();
        const int steps = (a.kv.padded() + 4 * CHUNK - 1) / (4 * CHUNK) * STEPS;
        for (int i = static_cast<int>(threadIdx.x); i < steps * 32; i += static_cast<int>(blockDim.x)) {
            const int step = i / 32;
            const int head = i % 32 / 4;
            const int first = (step / STEPS * 4 + i % 4) * CHUNK + step % STEPS * 4;
            const float inverse = 1 / __uint_as_float(shared[OPERANDS + head]);
            float x[4];
            for (int k = 0; k < 4; k++) {
                x[k] = head < count && first + k < dim ? q[head * dim + first + k] * inverse : 0;
            }
            const SplitPair low(x[0], x[1]);
            const SplitPair high(x[2], x[3]);
            store16(shared + i * 4, Words4{low.high, low.low, high.high, high.low});
        }
    }

    // Positions [from, to) of a page.
    DEVICE void add_page(int64_t block, int from, int to) {
        const int64_t bytes = static_cast<int64_t>(a.kv.padded()) * PAGE * Element::BYTES;
        float weights[8] = {};
        add_scores(a.kv.keys + block * bytes, block, weights);
        float now = largest;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const int position = position_of(i);
            weights[i] = position >= from && position < to ? a.score(weights[i] * factor, inverse_cap) : -INFINITY;
            now = fmaxf(now, weights[i]);
        }
        now = quad_max(now);
        const float correction = largest == now ? 1 : expf(largest - now);
        largest = now;
        sum *= correction;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            weights[i] = weights[i] == -INFINITY ? 0 : expf(weights[i] - now);
            sum += weights[i];
        }
        add_values(a.kv.values + block * bytes, block, from, to, weights, correction);
    }

    // The lane's i-th position of a page.
    static DEVICE int position_of(int i) { return i / 2 * 8 + lane() % 4 * 2 + i % 2; }

    // The scales of the lane's positions for 64 elements.
    static DEVICE void load_scales(float (&scales)[8], const float* from) {
#pragma unroll
        for (int i = 0; i < 8; i += 2) {
            uint32_t words[2];
            load_words(words, from + position_of(i));
            scales[i] = __uint_as_float(words[0]);
            scales[i + 1] = __uint_as_float(words[1]);
        }
    }

    DEVICE void add_scores(const uint8_t* keys, int64_t block, float (&scores)[8]) const {
        const int chunks = a.kv.padded() / CHUNK;
        for (int j = 0; 4 * j < chunks; j++) {  // 64 elements of 8 bits, 32 of 16
            const int chunk = 4 * j + lane() % 4;
            uint32_t k[4][4] = {};
#pragma unroll
            for (int i = 0; i < 4; i++) {
                if (chunk < chunks) {
                    load_words(k[i], keys + (chunk * PAGE + i * 8 + lane() / 4) * 16);
                }
            }
            float products[4][4] = {};
#pragma unroll
            for (int step = 0; step < STEPS; step++) {
                uint32_t rows[4];
                load_words(rows, queries + ((j * STEPS + step) * 32 + lane()) * 4);
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    if constexpr (TYPE == KvType::F16) {
                        mma_f16(products[i], rows, k[i][2 * step], k[i][2 * step + 1]);
                    } else {
                        mma_f16(products[i], rows, HalfPairs<TYPE>::of(k[i][step], 0, k[i][step], 1),
                                HalfPairs<TYPE>::of(k[i][step], 2, k[i][step], 3));
                    }
                }
            }
            float scales[8] = {1, 1, 1, 1, 1, 1, 1, 1};
            if constexpr (Element::SCALED) {
                load_scales(scales, a.kv.key_scales + (block * a.kv.scale_groups() + j) * PAGE);
            }
#pragma unroll
            for (int i = 0; i < 8; i++) {
                scores[i] = fmaf(products[i / 2][i % 2] + products[i / 2][2 + i % 2], scales[i], scores[i]);
            }
        }
    }

    // Weights times the scales of values, brought to at most WEIGHT_FACTOR; what they are to be multiplied by is returned. What
    // is not seen is left out: its scale is of another sequence, or of none.
    static DEVICE float scale_weights(float (&scaled)[8], const float (&weights)[8], const float* scales) {
        float common = 0;
        load_scales(scaled, scales);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            scaled[i] = weights[i] == 0 ? 0 : weights[i] * scaled[i];
            common = fmaxf(common, scaled[i]);
        }
        common = quad_max(common);
        const float inverse = common > 1e-33f ? WEIGHT_FACTOR / common : 0;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            scaled[i] *= inverse;
        }
        return common / WEIGHT_FACTOR;
    }

    DEVICE void add_values(const uint8_t* page, int64_t block, int from, int to, const float (&weights)[8],
                           float correction) {
        const int padded = a.kv.padded();
        const int stride = padded * Element::BYTES;
        const uint8_t* lane_values = page + lane() % 4 * 2 * stride + lane() / 4 * 8 * Element::BYTES;
        unsigned seen = 0;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            seen |= (position_of(i) >= from && position_of(i) < to ? 1u : 0u) << i;
        }
#pragma unroll
        for (int j = 0; j < DIM / 64; j++) {
            if (j * 64 >= padded) {
                continue;
            }
            float scaled[8];
            float common = 1 / WEIGHT_FACTOR;
            if constexpr (Element::SCALED) {
                common = scale_weights(scaled, weights, a.kv.value_scales + (block * a.kv.scale_groups() + j) * PAGE);
            } else {
#pragma unroll
                for (int i = 0; i < 8; i++) {
                    scaled[i] = weights[i] * WEIGHT_FACTOR;
                }
            }
            float products[8][4] = {};
            const int element = j * 64 + lane() / 4 * 8;
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const SplitPair first(scaled[4 * half], scaled[4 * half + 1]);
                const SplitPair second(scaled[4 * half + 2], scaled[4 * half + 3]);
                const uint32_t rows[4] = {first.high, first.low, second.high, second.low};
                uint32_t v[4][VALUE_WORDS] = {};
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int k = 4 * half + i;
                    // FP16 that is not seen may be no number; integers and FP8 are finite, and have a weight of zero.
                    if (element < padded && (Element::SCALED || (seen >> k & 1) != 0)) {
                        load_words(v[i], lane_values + j * 64 * Element::BYTES + (k / 2 * 8 + k % 2) * stride);
                    }
                }
#pragma unroll
                for (int e = 0; e < 8; e++) {
                    constexpr int EACH = 4 / Element::BYTES;  // elements of a word
                    const int word = e / EACH;
                    mma_f16(products[e], rows, HalfPairs<TYPE>::of(v[0][word], e % EACH, v[1][word], e % EACH),
                            HalfPairs<TYPE>::of(v[2][word], e % EACH, v[3][word], e % EACH));
                }
            }
#pragma unroll
            for (int e = 0; e < 8; e++) {
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    values[j][e][r] = fmaf(products[e][r] + products[e][2 + r], common, values[j][e][r] * correction);
                }
            }
        }
    }

    // Leaves the warp's states: [head][maximum, sum, 2 unused][padded], shared.
    DEVICE void leave(float* states) const {
        const int padded = a.kv.padded();
        float* state = states + lane() / 4 * (STATE_HEADER + padded);
        const float all = quad_sum(sum);
        if (lane() % 4 == 0) {
            state[0] = largest;
            state[1] = all;
        }
#pragma unroll
        for (int i = 0; i < DIM / 4; i++) {
            const int element = i / 16 * 64 + (lane() % 4 * 2 + i % 2) * 8 + i / 2 % 8;
            if (element < padded) {
                state[STATE_HEADER + element] = values[i / 16][i / 2 % 8][i % 2];
            }
        }
    }
};

}  // namespace demitasse
