// Decode attention over FP16, INT8, FP8 and INT4 pages by tensor cores, which FP32 queries and weights enter as two
// FP16 numbers each: the nearest one, and the nearest to what is left.
//
// One `mma` multiplies sixteen rows: eight query heads' first numbers, and their second ones; both sums are added.
// Elements of 16 bits and fewer are FP16 numbers exactly (FP8 times 2^-8), so that a product has 22 bits of the FP32
// operand, or an error of 2^-40 of the largest weight of a page. To keep operands in FP16's range, queries of a head
// are divided by a power of two, and weights times the scales of values by the largest of a page.
#pragma once

#include "demitasse/attention_merge.cuh"

namespace demitasse {

// Two FP16 numbers in a word for each of two FP32 numbers: the nearest, and the nearest to the rest.
struct SplitPair {
    uint32_t high, low;

    DEVICE SplitPair(float first, float second) : high(floats_to_fp16(first, second)) {
        low = floats_to_fp16(first - fp16_to_float(static_cast<uint16_t>(high)),
                             second - fp16_to_float(static_cast<uint16_t>(high >> 16)));
    }
};

// Elements as pairs of FP16 numbers.
template <KvType TYPE>
struct Fp16Pairs {
    // Element i of word a and element k of word b.
    static DEVICE uint32_t of(uint32_t a, int i, uint32_t b, int k) {
        if constexpr (TYPE == KvType::F16) {
            return byte_perm(a, b, i == 0 ? (k == 0 ? 0x5410 : 0x7610) : (k == 0 ? 0x5432 : 0x7632));
        } else if constexpr (TYPE == KvType::INT8) {
            // 1024 + 128 + x, whose bits are 0x6400 + (x ^ 0x80), less 1152
            const uint32_t bytes = byte_perm(a, b, static_cast<unsigned>(i | (4 + k) << 8));
            return subtract_fp16(((bytes ^ 0x00800080u) & 0x00FF00FFu) | 0x64006400u, 0x64806480u);
        } else if constexpr (TYPE == KvType::INT4) {  // both even, or both odd: 1024 + x, less 1024
            const uint32_t bytes = byte_perm(a, b, static_cast<unsigned>(i / 2 | (4 + k / 2) << 8));
            return subtract_fp16((bytes >> i % 2 * 4 & 0x000F000Fu) | 0x64006400u, 0x64006400u);
        } else {
            const uint32_t bytes = byte_perm(a, b, static_cast<unsigned>(i << 4 | (4 + k) << 12));
            return (bytes & 0x80008000u) | (bytes >> 1 & 0x3F803F80u);
        }
    }
};

// A warp's page of a segment for up to eight query heads, of at most DIM elements, of one KV head. Lane 4 g + c has
// head g: the scores of positions 8 i + 2 c and of the next. Everything of the page is on its way before the first of
// it is used, but for heads beyond 256 elements, for which there are no registers.
template <KvType TYPE, int DIM>
struct TensorAttention {
    using Element = KvElement<TYPE>;
    static constexpr int HEADS = decode_heads(Element::BITS, 1);
    static constexpr int WARPS = SEGMENT / PAGE;
    static_assert(HEADS == 8 && WARPS * 32 == decode_threads(Element::BITS) && DIM == decode_dim(Element::BITS, DIM));
    static constexpr int CHUNK = Element::CHUNK;
    static constexpr int QUADS = DIM / (4 * CHUNK);  // of chunks of keys: 64 elements of 8 bits and fewer, 32 of 16
    static constexpr int STEPS = CHUNK / 4;          // of a quad: a lane gives four elements to each mma
    static constexpr int GROUPS = DIM / 64;
    static constexpr int KEY_WORDS = Element::CHUNK_BYTES / 4;
    static constexpr int VALUE_WORDS = Element::BITS / 4;                     // eight elements of a position
    static constexpr bool KEYS_EARLY = DIM <= 256;                            // registers hold all keys
    static constexpr bool EARLY = KEYS_EARLY && DIM * Element::BITS <= 2048;  // and values
    // Whether the next segment's pages are on their way while warps' sums are added up. Two blocks of a multiprocessor,
    // which those of 8 bits are, have no registers for that, and wait in turn.
    static constexpr bool AHEAD = Element::BITS == 16 && KEYS_EARLY;
    // What weights are multiplied by, so that small ones keep their bits: the rest of 2^-10 of the largest is a normal
    // number.
    static constexpr float WEIGHT_FACTOR = 32768;
    static constexpr int OPERANDS = DIM / 16 * 32 * 4;
    static constexpr int QUERY_SUMS = OPERANDS + HEADS;  // of groups of 64 elements, where keys have minimums
    // Of a block: queries, what they were divided by, and their sums.
    static constexpr int QUERY_WORDS = QUERY_SUMS + (Element::HAS_MINIMUM ? HEADS * GROUPS : 0);
    static constexpr int PASS = KEYS_EARLY ? 128 : 64;  // elements that warps add up at a time: shared memory is small
    static constexpr int PASS_GROUPS = PASS / 64;
    static constexpr int STRIDE = PASS + 4;  // of a warp's heads in shared memory

    using Values = uint32_t[8][VALUE_WORDS];

    const AttentionArgs& a;
    int64_t block = 0;     // the page's, of the KV head
    int from = 0, to = 0;  // positions of it that the row sees
    uint32_t k[KEYS_EARLY ? QUADS : 1][4][KEY_WORDS] = {};
    Values v[EARLY ? GROUPS : 1] = {};
    static constexpr int HELD_GROUPS = KEYS_EARLY ? GROUPS : 1;
    float key_scales[HELD_GROUPS] = {};  // words of position lane()
    float value_scales[HELD_GROUPS] = {};

    DEVICE explicit TensorAttention(const AttentionArgs& args) : a(args) {}

    DEVICE bool works() const { return from < to; }

    DEVICE void clear() {
#pragma unroll
        for (int i = 0; i < (KEYS_EARLY ? QUADS : 1) * 4 * KEY_WORDS; i++) {
            k[i / (4 * KEY_WORDS)][i / KEY_WORDS % 4][i % KEY_WORDS] = 0;
        }
#pragma unroll
        for (int i = 0; i < (EARLY ? GROUPS : 1) * 8 * VALUE_WORDS; i++) {
            v[i / (8 * VALUE_WORDS)][i / VALUE_WORDS % 8][i % VALUE_WORDS] = 0;
        }
    }

    // Starts to load the warp's page of the block's segment, where the row sees any of it.
    DEVICE void load(const DecodeBlock& of) {
        const int page = of.first_page() + warp();
        from = maximum(0, of.begin() - page * PAGE);
        to = minimum(PAGE, of.end() - page * PAGE);
        clear();  // and nothing is kept from the last page
        if (!works()) {
            return;
        }
        block = of.page(page);
        if constexpr (KEYS_EARLY) {
#pragma unroll
            for (int j = 0; j < QUADS; j++) {
                load_keys(k[j], j);
            }
        }
        if constexpr (EARLY) {
#pragma unroll
            for (int j = 0; j < GROUPS; j++) {
                load_values(v[j], j);
            }
        }
        if constexpr (Element::SCALED && KEYS_EARLY) {
#pragma unroll
            for (int j = 0; j < GROUPS; j++) {
                if (j * 64 < a.kv.padded()) {
                    key_scales[j] = a.kv.key_scales[scale_place(j)];
                    value_scales[j] = a.kv.value_scales[scale_place(j)];
                }
            }
        }
    }

    DEVICE int64_t scale_place(int group) const { return (block * a.kv.scale_groups() + group) * PAGE + lane(); }
    // Words of a group of elements, of position lane().
    DEVICE float key_scale(int group) const {
        return KEYS_EARLY ? key_scales[KEYS_EARLY ? group : 0] : works() ? a.kv.key_scales[scale_place(group)] : 0;
    }
    DEVICE float value_scale(int group) const {
        return KEYS_EARLY ? value_scales[KEYS_EARLY ? group : 0] : a.kv.value_scales[scale_place(group)];
    }

    // All threads of a block store its queries: `count` heads at q.
    static DEVICE void store_queries(const AttentionArgs& a, const float* q, int count, uint32_t* shared) {
        const int dim = static_cast<int>(a.kv.head_dim);
        for (int head = warp(); head < HEADS; head += WARPS) {
            float largest = 0;
            for (int d = lane(); head < count && d < dim; d += 32) {
                largest = fmaxf(largest, fabsf(q[head * dim + d]));
            }
            const uint32_t exponent = __float_as_uint(warp_max(largest)) & 0x7F800000u;
            if (lane() == 0) {
                shared[OPERANDS + head] = exponent == 0 || exponent == 0x7F800000u ? __float_as_uint(1.0f) : exponent;
            }
            for (int j = 0; Element::HAS_MINIMUM && j * 64 < a.kv.padded(); j++) {
                const int d = j * 64 + lane();
                const float low = head < count && d < dim ? q[head * dim + d] : 0;
                const float high = head < count && d + 32 < dim ? q[head * dim + d + 32] : 0;
                const float sum = warp_sum(low + high);
                if (lane() == 0) {
                    shared[QUERY_SUMS + head * GROUPS + j] = __float_as_uint(sum);
                }
            }
        }
        __syncthreads();
        const int steps = (a.kv.padded() + 4 * CHUNK - 1) / (4 * CHUNK) * STEPS;
        for (int i = static_cast<int>(threadIdx.x); i < steps * 32; i += WARPS * 32) {
            const int step = i / 32;
            const int head = i % 32 / 4;
            const int first = (step / STEPS * 4 + i % 4) * CHUNK + step % STEPS * 4;
            const float inverse = 1 / __uint_as_float(shared[OPERANDS + head]);
            float x[4];
            for (int e = 0; e < 4; e++) {
                const int d = first + (Element::BITS == 4 ? e % 2 * 2 + e / 2 : e);  // as Fp16Pairs takes them
                x[e] = head < count && d < dim ? q[head * dim + d] * inverse : 0;
            }
            const SplitPair low(x[0], x[1]);
            const SplitPair high(x[2], x[3]);
            store16(shared + i * 4, Words4{low.high, low.low, high.high, high.low});
        }
        __syncthreads();
    }

    // The lane's i-th position of a page.
    static DEVICE int position_of(int i) { return i / 2 * 8 + lane() % 4 * 2 + i % 2; }
    DEVICE bool sees(int i) const { return position_of(i) >= from && position_of(i) < to; }

    // A quad of chunks of the page's keys.
    DEVICE void load_keys(uint32_t (&to_words)[4][KEY_WORDS], int j) const {
        const uint8_t* keys = a.kv.keys + Element::bytes(block * a.kv.padded() * PAGE);
        const int chunk = 4 * j + lane() % 4;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (chunk < a.kv.padded() / CHUNK) {
                load_words(to_words[i], keys + (chunk * PAGE + i * 8 + lane() / 4) * Element::CHUNK_BYTES);
            }
        }
    }

    // 64 elements of the lane's positions.
    DEVICE void load_values(Values& to_words, int j) const {
        const int padded = a.kv.padded();
        const int stride = static_cast<int>(Element::bytes(padded));
        const int element = j * 64 + lane() / 4 * 8;
        const uint8_t* values = a.kv.values + Element::bytes(block * padded * PAGE + element);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            // FP16 that is not seen may be NaN; integers and FP8 are finite, and have a weight of zero.
            if (element < padded && (Element::SCALED || sees(i))) {
                load_words(to_words[i], values + position_of(i) * stride);
            }
        }
    }

    // The scores of the lane's positions; minus infinity where they are not seen.
    DEVICE void score(float (&scores)[8], const uint32_t* queries) {
        float minimums[8] = {};  // of keys, times the sums of queries
#pragma unroll
        for (int i = 0; i < 8; i++) {
            scores[i] = 0;
        }
#pragma unroll(KEYS_EARLY ? QUADS : 1)
        for (int j = 0; j < QUADS; j++) {
            if (4 * j * CHUNK >= a.kv.padded()) {
                continue;
            }
            auto& own = k[KEYS_EARLY ? j : 0];
            if constexpr (!KEYS_EARLY) {
                if (works()) {
                    load_keys(own, j);
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
                        mma_f16(products[i], rows, own[i][2 * step], own[i][2 * step + 1]);
                    } else if constexpr (TYPE == KvType::INT4) {
                        const uint32_t word = own[i][step / 2];
                        const int at = step % 2 * 4;
                        mma_f16(products[i], rows, Fp16Pairs<TYPE>::of(word, at, word, at + 2),
                                Fp16Pairs<TYPE>::of(word, at + 1, word, at + 3));
                    } else {
                        mma_f16(products[i], rows, Fp16Pairs<TYPE>::of(own[i][step], 0, own[i][step], 1),
                                Fp16Pairs<TYPE>::of(own[i][step], 2, own[i][step], 3));
                    }
                }
            }
            const float own_word = Element::SCALED ? key_scale(j * 4 * CHUNK / 64) : 1;
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const float word = Element::SCALED ? __shfl_sync(ALL_LANES, own_word, position_of(i)) : 1;
                scores[i] = fmaf(products[i / 2][i % 2] + products[i / 2][2 + i % 2], Element::scale(word), scores[i]);
                if constexpr (Element::HAS_MINIMUM) {
                    minimums[i] = fmaf(__uint_as_float(queries[QUERY_SUMS + lane() / 4 * GROUPS + j]),
                                       Element::minimum(word), minimums[i]);
                }
            }
        }
        const float factor = __uint_as_float(queries[OPERANDS + lane() / 4]);  // what queries were divided by
        const float inverse_cap = a.inverse_cap();
#pragma unroll
        for (int i = 0; i < 8; i++) {
            scores[i] = sees(i)
                            ? a.score(Element::HAS_MINIMUM ? fmaf(scores[i], factor, minimums[i]) : scores[i] * factor,
                                      inverse_cap)
                            : -INFINITY;
        }
    }

    // Weights times the scales of 64 elements of values, brought to at most WEIGHT_FACTOR; what they are to be
    // multiplied by is returned. What is not seen is left out: its scale is of another sequence, or of none. To
    // `minimum` goes what the lane's minimums add to each sum.
    DEVICE float scale_weights(float (&scaled)[8], const float (&weights)[8], int j, float& minimum) const {
        if constexpr (!Element::SCALED) {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                scaled[i] = weights[i] * WEIGHT_FACTOR;
            }
            return 1 / WEIGHT_FACTOR;
        }
        float common = 0;
        const float own_word = value_scale(j);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const float word = __shfl_sync(ALL_LANES, own_word, position_of(i));
            scaled[i] = weights[i] == 0 ? 0 : weights[i] * Element::scale(word);
            common = fmaxf(common, scaled[i]);
            minimum += weights[i] == 0 ? 0 : weights[i] * Element::minimum(word);
        }
        common = quad_max(common);
        const float inverse = common > 1e-33f ? WEIGHT_FACTOR / common : 0;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            scaled[i] *= inverse;
        }
        return common / WEIGHT_FACTOR;
    }

    // Weighted sums of values 64 j to 64 j + 63, to shared memory: to[element] of the lane's head.
    DEVICE void add_values(float* sums, const float (&weights)[8], int j) {
        float scaled[8];
        float minimum = 0;
        const float common = scale_weights(scaled, weights, j, minimum);
        if constexpr (Element::HAS_MINIMUM) {
            minimum = quad_sum(minimum);
        }
        Values& words = v[EARLY ? j : 0];
        if constexpr (!EARLY) {
            load_values(words, j);
        }
        float products[8][4] = {};
#pragma unroll
        for (int k = 0; k < 8; k += 4) {
            const SplitPair first(scaled[k], scaled[k + 1]);
            const SplitPair second(scaled[k + 2], scaled[k + 3]);
            const uint32_t rows[4] = {first.high, first.low, second.high, second.low};
            const auto* w = words + k;
#pragma unroll
            for (int e = 0; e < 8; e++) {
                constexpr int EACH = 32 / Element::BITS;  // elements of a word
                const int word = e / EACH;
                mma_f16(products[e], rows, Fp16Pairs<TYPE>::of(w[0][word], e % EACH, w[1][word], e % EACH),
                        Fp16Pairs<TYPE>::of(w[2][word], e % EACH, w[3][word], e % EACH));
            }
        }
#pragma unroll
        for (int r = 0; r < 2; r++) {
#pragma unroll
            for (int e = 0; e < 8; e += 4) {
                uint32_t sum[4];
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const float product = products[e + i][r] + products[e + i][2 + r];
                    sum[i] = __float_as_uint(Element::HAS_MINIMUM ? fmaf(product, common, minimum) : product * common);
                }
                store16(sums + (lane() % 4 * 2 + r) * 8 + e, Words4{sum[0], sum[1], sum[2], sum[3]});
            }
        }
    }
};

// A block's segments of a row: their states for up to eight query heads, or the result where the row has one segment.
template <class Attention>
DEVICE void attention_decode_tensor(const AttentionDecodeArgs& args) {
    launch_dependents();
    const AttentionArgs& a = args.attention;
    constexpr int HEADS = Attention::HEADS;
    constexpr int WARPS = Attention::WARPS;
    constexpr int STRIDE = Attention::STRIDE;
    SHARED(uint32_t, queries, Attention::QUERY_WORDS);
    SHARED(float, maxima, WARPS* HEADS);
    SHARED(float, totals, WARPS* HEADS);
    SHARED(float, sums, WARPS* HEADS* STRIDE);
    DecodeBlock block(a, HEADS);
    await_previous();  // where the rows stand does not depend on it
    if (!block.has_segment()) {
        return;
    }
    Attention attention(a);
    if (Attention::AHEAD) {
        attention.load(block);
    }
    Attention::store_queries(a, block.queries(), block.heads, queries);
    const int padded = a.kv.padded();
    // What a thread adds up: four elements of a head.
    const int head = warp();
    const int element = lane() * 4;
#pragma unroll 1
    for (int segment = block.segment; segment < block.segments; segment = block.segment) {
        if (!Attention::AHEAD) {
            attention.load(block);
        }
        const int first_warp = maximum(0, block.begin() / PAGE - block.first_page());
        const int last_warp = (block.end() - 1) / PAGE - block.first_page();
        float weights[8];
        attention.score(weights, queries);
        float largest = -INFINITY;
        for (int i = 0; i < 8; i++) {
            largest = fmaxf(largest, weights[i]);
        }
        largest = quad_max(largest);
        if (lane() % 4 == 0) {
            maxima[warp() * HEADS + lane() / 4] = largest;
        }
        __syncthreads();
        for (int w = 0; w < WARPS; w++) {
            largest = fmaxf(largest, maxima[w * HEADS + lane() / 4]);
        }
        float total = 0;
        for (int i = 0; i < 8; i++) {
            weights[i] = weights[i] == -INFINITY ? 0 : expf(weights[i] - largest);
            total += weights[i];
        }
        total = quad_sum(total);
        if (lane() % 4 == 0) {
            totals[warp() * HEADS + lane() / 4] = total;
        }
#pragma unroll(Attention::KEYS_EARLY ? Attention::GROUPS : 1)
        for (int pass = 0; pass < Attention::GROUPS; pass += Attention::PASS_GROUPS) {
            if (pass * 64 >= padded) {
                continue;
            }
#pragma unroll
            for (int j = pass; j < pass + Attention::PASS_GROUPS && j < Attention::GROUPS; j++) {
                if (attention.works() && j * 64 < padded) {
                    attention.add_values(sums + (warp() * HEADS + lane() / 4) * STRIDE + (j - pass) * 64, weights, j);
                }
            }
            if ((pass + Attention::PASS_GROUPS) * 64 >= padded) {
                block.next_segment();
                if (Attention::AHEAD && block.has_segment()) {
                    attention.load(block);
                }
            }
            __syncthreads();
            float sum[4] = {};
            float all = 0;
            float most = -INFINITY;
            for (int w = first_warp; w <= last_warp; w++) {
                uint32_t words[4];
                load_words(words, sums + (w * HEADS + head) * STRIDE + element % Attention::PASS);
                for (int i = 0; i < 4; i++) {
                    sum[i] += __uint_as_float(words[i]);
                }
                all += totals[w * HEADS + head];
                most = fmaxf(most, maxima[w * HEADS + head]);
            }
            const bool adds = element < Attention::PASS;  // the others' elements are of a pass to come
            if (adds && head < block.heads && block.segments == 1 && args.attention.sinks == nullptr) {
                store_head(args, block.row, block.first_head + head, pass * 64 + element, sum, all);
            } else if (adds && head < block.heads && pass * 64 + element < padded) {
                float* state = block.state(head, segment);
                store_columns(state + STATE_HEADER, pass * 64 + element, padded, sum);
                if (pass == 0 && element == 0) {
                    state[0] = most;
                    state[1] = all;
                }
            }
            __syncthreads();
        }
    }
    const bool merges = block.segments > 1 || args.attention.sinks != nullptr;  // which adds the sink
    if (merges && is_last_block(args, block) && head < block.heads) {
        merge_head(args, block, head);
    }
}

}  // namespace demitasse
