// Computes: the states of softmax(cap(scale q.k)) v of query heads over segments of the positions that they see, by the
//           online softmax (Milakov and Gimelshein, 2018); one row at a time. attention_merge makes results of them.
// Layout:   queries rows x heads x head_dim FP32; pages.h; a state is [maximum, sum, 2 unused][padded elements].
// Requires: padding of pages is zero; head_dim at most 256.
// Accuracy: FP32. Every segment of 256 positions is computed alone, 64 positions after the other, and segments are
//           merged in order: a query has the same bits in any batch and chunk.
// Launch:   (KV heads x their query heads / HEADS, rows, at most segments) work-groups of 64 items, which share a row's
//           segments.
// Moves:    keys and values once for HEADS query heads; 4 operations an element, position and query head.
// Why:      bound by memory. An item is a position for the scores, so that no sum crosses items, and then has elements
//           of the values; both read side by side.
#include "pages.h"

enum { MOST_ELEMENTS = MOST_HEAD_DIM / ATTENTION_ITEMS };  // of an item
enum { PARTS = 8 };                                        // in which maxima are looked for

// The score of a query, of which there are HEADS, and a position; a[h] += q[h] . k.
void add_scores(global const uchar* cache, const AttentionArgs* a, long block, int slot, local const float* queries,
                float* scores) {
    const int padded = padded_dim((int)a->kv.head_dim);
    const long keys = a->kv.keys + block * padded * PAGE * KV_BYTES + slot * 16;
    for (int from = 0; from < padded; from += SCALE_GROUP) {
        float sums[HEADS];
        for (int h = 0; h < HEADS; h++) {
            sums[h] = 0;
        }
        const int end = min(padded, from + SCALE_GROUP);
        for (int d = from; d < end; d += KV_CHUNK) {
            const long chunk = keys + (long)(d / KV_CHUNK) * PAGE * 16;
            for (int i = 0; i < KV_CHUNK; i++) {
                const float key = kv_element(cache, chunk, i);
                for (int h = 0; h < HEADS; h++) {
                    sums[h] = fma(key, queries[h * padded + d + i], sums[h]);
                }
            }
        }
#if KV_SCALED
        const float scale =
            READ(float, cache, a->kv.key_scales)[(block * scale_groups(a->kv) + from / SCALE_GROUP) * PAGE + slot];
#else
        const float scale = 1;
#endif
        for (int h = 0; h < HEADS; h++) {
            scores[h] = fma(sums[h], scale, scores[h]);
        }
    }
}

KERNEL(ATTENTION_ITEMS) attention_decode(global const uchar* q, global const uchar* cache, global const uchar* data,
                                         global uchar* states, const AttentionArgs a) {
    local float queries[HEADS * MOST_HEAD_DIM];
    local float weights[HEADS * ATTENTION_ITEMS];
    local float maxima[HEADS * PARTS];
    local float shared[ATTENTION_ITEMS];
    const int row = (int)get_group_id(1);
    const int query_heads = (int)(a.heads / a.kv.heads);
    const int passes = (query_heads + HEADS - 1) / HEADS;
    const int kv_head = (int)get_group_id(0) / passes;
    const int first = (int)get_group_id(0) % passes * HEADS;
    const int first_head = kv_head * query_heads + first;
    const int heads = min(HEADS, query_heads - first);
    const int dim = (int)a.kv.head_dim;
    const int padded = padded_dim(dim);
    const int position = READ(int, data, a.rows.positions)[row];
    global const int* pages = READ(int, data, a.rows.pages) + READ(int, data, a.rows.tables)[row];
    const int seen = first_seen(a, position);
    const int row_segment = seen / SEGMENT;
    const int segments = position / SEGMENT + 1 - row_segment;
    global const float* from = READ(float, q, a.q) + (row * a.heads + first_head) * dim;
    for (int i = item(); i < HEADS * padded; i += ATTENTION_ITEMS) {
        const int d = i % padded;
        queries[i] = i / padded < heads && d < dim ? from[i / padded * dim + d] : 0;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int segment = (int)get_group_id(2); segment < segments; segment += (int)get_num_groups(2)) {
        float largest[HEADS];
        float sums[HEADS];
        float values[HEADS][MOST_ELEMENTS];
        for (int h = 0; h < HEADS; h++) {
            largest[h] = -INFINITY;
            sums[h] = 0;
            for (int j = 0; j < MOST_ELEMENTS; j++) {
                values[h][j] = 0;
            }
        }
        const int begin = max(seen, (row_segment + segment) * SEGMENT);
        const int end = min(position + 1, (row_segment + segment + 1) * SEGMENT);
        for (int at = begin / ATTENTION_ITEMS * ATTENTION_ITEMS; at < end; at += ATTENTION_ITEMS) {
            const int own = at + item();
            const bool is_seen = own >= begin && own < end;
            float scores[HEADS];
            for (int h = 0; h < HEADS; h++) {
                scores[h] = 0;
            }
            if (is_seen) {
                const long block = kv_block(a.kv, a.layer, pages[own / PAGE], kv_head);
                add_scores(cache, &a, block, own % PAGE, queries, scores);
            }
            for (int h = 0; h < HEADS; h++) {
                float score = scores[h] * a.scale.value;
                if (a.soft_cap.value != 0) {
                    score = a.soft_cap.value * tanh(score * (1 / a.soft_cap.value));
                }
                scores[h] = is_seen ? score : -INFINITY;
                weights[h * ATTENTION_ITEMS + item()] = scores[h];
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            if (item() < HEADS * PARTS) {
                float part = -INFINITY;
                for (int i = 0; i < ATTENTION_ITEMS / PARTS; i++) {
                    part = fmax(part, weights[item() / PARTS * ATTENTION_ITEMS + i * PARTS + item() % PARTS]);
                }
                maxima[item()] = part;
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            for (int h = 0; h < HEADS; h++) {
                float now = largest[h];
                for (int i = 0; i < PARTS; i++) {
                    now = fmax(now, maxima[h * PARTS + i]);
                }
                const float correction = largest[h] == now ? 1 : exp(largest[h] - now);
                const float weight = is_seen ? exp(scores[h] - now) : 0;
                largest[h] = now;
                sums[h] = sums[h] * correction + weight;
                for (int j = 0; j < MOST_ELEMENTS; j++) {
                    values[h][j] *= correction;
                }
                weights[h * ATTENTION_ITEMS + item()] = weight;
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            for (int p = max(begin, at); p < min(end, at + ATTENTION_ITEMS); p++) {
                const long block = kv_block(a.kv, a.layer, pages[p / PAGE], kv_head);
                const long vector = a.kv.values + (block * PAGE + p % PAGE) * padded * KV_BYTES;
                for (int j = 0; j < MOST_ELEMENTS; j++) {
                    const int d = item() + j * ATTENTION_ITEMS;
                    if (d < padded) {
                        float value = kv_element(cache, vector, d);
#if KV_SCALED
                        value *= READ(float, cache, a.kv.value_scales)[(block * scale_groups(a.kv) + j) * PAGE +
                                                                       p % PAGE];
#endif
                        for (int h = 0; h < HEADS; h++) {
                            values[h][j] = fma(value, weights[h * ATTENTION_ITEMS + p - at], values[h][j]);
                        }
                    }
                }
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
        for (int h = 0; h < HEADS; h++) {
            const float sum = group_sum(sums[h], shared);
            if (h < heads) {
                global float* state = WRITE(float, states, state_offset(a, row, first_head + h, segment));
                if (item() == 0) {
                    state[0] = largest[h];
                    state[1] = sum;
                }
                for (int j = 0; j < MOST_ELEMENTS; j++) {
                    const int d = item() + j * ATTENTION_ITEMS;
                    if (d < padded) {
                        state[STATE_HEADER + d] = values[h][j];
                    }
                }
            }
        }
    }
}
