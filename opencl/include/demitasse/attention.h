// What attention_decode.cl and attention_prefill.cl are made of, which say what they compute: QUERIES queries over the
// same keys and values, in a vector, whose elements are computed each as if alone. Macros:
//
//   KV_TYPE   of the pages
//   QUERIES   1, 4, 8 or 16: heads of a row, or rows of a head
//   ELEMENTS  of a head, of an item: 1, 2, 4, 8 or 9
//
// Positions are taken in segments of 256, and those in blocks of 64: an item is a position for the scores, so that no
// sum crosses items, and then has elements of the values; both read side by side. A block changes the largest score,
// and what was added before by its exponential (Milakov and Gimelshein, "Online normalizer calculation for softmax",
// 2018); segments are computed alone and then merged in order, the same way.
#include "exponential.h"
#include "pages.h"

enum { PARTS = 8 };  // in which maxima are looked for

#if QUERIES == 1
typedef int Places;
#else
typedef JOIN(int, QUERIES) Places;
#endif

// What a work-group looks at: the positions that some of its queries see, and those that each does.
typedef struct Sight {
    int begin;
    int end;
    Places first;
    Places last;
} Sight;

// The i-th of many.
float one_of(const Many* many, int i) { return ((const float*)many)[i]; }

// A chunk of a position's key.
void load_chunk(global const uchar* at, float* key) {
#if KV_TYPE == 0
    vstore4(*(global const float4*)at, 0, key);
#elif KV_TYPE == 1
    vstore8(vloada_half8(0, (global const half*)at), 0, key);
#elif KV_TYPE == 2
    vstore16(convert_float16(*(global const char16*)at), 0, key);
#elif KV_TYPE == 4
    const uchar8 pairs = *(global const uchar8*)at;
    float16 elements;
    elements.even = convert_float8(pairs & (uchar8)(15));
    elements.odd = convert_float8(pairs >> (uchar8)(4));
    vstore16(elements, 0, key);
#else
    vstore16(fp8_to_floats(*(global const uchar16*)at), 0, key);
#endif
}

// Scores of the queries and a position, before scale and cap. `queries` by element.
Many scores_of(global const uchar* cache, const AttentionArgs* a, long block, int slot, local const Many* queries) {
    const int padded = padded_dim((int)a->kv.head_dim);
    global const uchar* keys = cache + a->kv.keys + block * padded * PAGE * KV_BITS / 8 + slot * KV_CHUNK_BYTES;
    Many scores = 0;
    for (int from = 0; from < padded; from += SCALE_GROUP) {
        Many sums = 0;
#if KV_SCALED
        const long group = (block * scale_groups(a->kv) + from / SCALE_GROUP) * PAGE + slot;
#endif
#if KV_TYPE == 4
        const float scale = vload_half((size_t)(2 * group), READ(half, cache, a->kv.key_scales));
        const float minimum = vload_half((size_t)(2 * group + 1), READ(half, cache, a->kv.key_scales));
#endif
        const int end = min(padded, from + SCALE_GROUP);
        for (int d = from; d < end; d += KV_CHUNK) {
            float key[KV_CHUNK];
            load_chunk(keys + d / KV_CHUNK * (PAGE * KV_CHUNK_BYTES), key);
            for (int i = 0; i < KV_CHUNK; i++) {
#if KV_TYPE == 4
                key[i] = fma(key[i], scale, minimum);
#endif
                sums = fma((Many)key[i], queries[d + i], sums);
            }
        }
#if KV_SCALED && KV_TYPE != 4
        const float scale = READ(float, cache, a->kv.key_scales)[group];
        scores = fma(sums, (Many)scale, scores);
#else
        scores += sums;
#endif
    }
    scores *= a->scale.value;
    if (a->soft_cap.value != 0) {
        for (int i = 0; i < QUERIES; i++) {
            ((float*)&scores)[i] = a->soft_cap.value * tanh(one_of(&scores, i) * (1 / a->soft_cap.value));
        }
    }
    return scores;
}

// Adds what positions `begin` to `end` of a block have, by their weights.
void add_values(global const uchar* cache, const AttentionArgs* a, global const int* pages, int kv_head, int begin,
                int end, local const Many* weights, Many* values) {
    const int padded = padded_dim((int)a->kv.head_dim);
    for (int p = begin; p < end; p++) {
        const long block = kv_block(a->kv, a->layer, pages[p / PAGE], kv_head);
        const long vector = a->kv.values + (block * PAGE + p % PAGE) * padded * KV_BITS / 8;
        for (int j = 0; j < ELEMENTS; j++) {
            const int d = item() + j * ATTENTION_ITEMS;
            if (d < padded) {
                float value = kv_element(cache, vector, d);
#if KV_SCALED
                const long group = (block * scale_groups(a->kv) + j) * PAGE + p % PAGE;
                value = kv_scaled(cache, a->kv.value_scales, group, value);
#endif
                values[j] = fma((Many)value, weights[p % ATTENTION_ITEMS], values[j]);
            }
        }
    }
}

// A softmax that is not divided yet: the largest score, the sum of exponentials, and of the values that they weigh.
typedef struct State {
    Many largest;
    Many sum;
    Many values[ELEMENTS];
} State;

void clear(State* state) {
    state->largest = -INFINITY;
    state->sum = 0;
    for (int j = 0; j < ELEMENTS; j++) {
        state->values[j] = 0;
    }
}

// A segment of what is seen; the sum in all items. `shared` has a Many for each item, `maxima` for each part.
void attend(global const uchar* cache, const AttentionArgs* a, global const int* pages, int kv_head, int segment,
            const Sight* sight, local const Many* queries, local Many* shared, local Many* maxima, State* state) {
    clear(state);
    const int begin = max(sight->begin, segment * SEGMENT);
    const int end = min(sight->end, (segment + 1) * SEGMENT);
    for (int at = begin / ATTENTION_ITEMS * ATTENTION_ITEMS; at < end; at += ATTENTION_ITEMS) {
        const int own = at + item();
        // Compilers that take items for a vector may read for those of them that the condition leaves out (Intel's).
        const int place = clamp(own, begin, end - 1);
        const long block = kv_block(a->kv, a->layer, pages[place / PAGE], kv_head);
        Many scores = -INFINITY;
        if (own >= begin && own < end) {
            scores = (Places)own >= sight->first && (Places)own <= sight->last
                         ? scores_of(cache, a, block, place % PAGE, queries)
                         : scores;
        }
        shared[item()] = scores;
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item() < PARTS) {
            Many part = -INFINITY;
            for (int i = 0; i < ATTENTION_ITEMS / PARTS; i++) {
                part = fmax(part, shared[i * PARTS + item()]);
            }
            maxima[item()] = part;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        Many now = state->largest;
        for (int i = 0; i < PARTS; i++) {
            now = fmax(now, maxima[i]);
        }
        const Many factor = correction(state->largest, now);
        const Many weight = scores == -INFINITY ? (Many)0 : exponential(scores - now);
        state->largest = now;
        state->sum = state->sum * factor + weight;
        for (int j = 0; j < ELEMENTS; j++) {
            state->values[j] *= factor;
        }
        shared[item()] = weight;
        barrier(CLK_LOCAL_MEM_FENCE);
        add_values(cache, a, pages, kv_head, max(begin, at), min(end, at + ATTENTION_ITEMS), shared, state->values);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    REDUCE_TREE(state->sum, SUM_OF)
    barrier(CLK_LOCAL_MEM_FENCE);
}
