// Computes: the states of softmax(cap(scale q.k)) v of query heads over segments of the positions that they see, one
//           row at a time. attention_merge makes results of them.
// Layout:   queries rows x heads x head_dim FP32; pages.h; a state is [maximum, sum, 2 unused][padded elements].
// Requires: padding of pages is zero (of INT4: its levels); head_dim at most 576.
// Accuracy: FP32, in the order of attention.h: a query has the same bits in any batch and chunk.
// Launch:   (KV heads x their query heads / QUERIES, rows, at most segments) work-groups of 64 items, which share a
//           row's segments.
// Moves:    keys and values once for QUERIES query heads; 4 operations an element, position and query head.
// Why:      bound by memory: query heads that share keys and values read them once.
#include "attention.h"

KERNEL(ATTENTION_ITEMS) attention_decode(global const uchar* q, global const uchar* cache, global const uchar* data,
                                         global uchar* states, const AttentionArgs a) {
    local Many queries[ELEMENTS * ATTENTION_ITEMS];
    local Many scratch[ATTENTION_ITEMS];
    local Many maxima[PARTS];
    const int row = (int)get_group_id(1);
    const int query_heads = (int)(a.heads / a.kv.heads);
    const int passes = (query_heads + QUERIES - 1) / QUERIES;
    const int kv_head = (int)get_group_id(0) / passes;
    const int first = (int)get_group_id(0) % passes * QUERIES;
    const int first_head = kv_head * query_heads + first;
    const int heads = min(QUERIES, query_heads - first);
    const int dim = (int)a.kv.head_dim;
    const int padded = padded_dim(dim);
    const int last = last_seen(a, data, row);
    global const int* pages = READ(int, data, a.rows.pages) + READ(int, data, a.rows.tables)[row];
    const int seen = first_seen(a, READ(int, data, a.rows.positions)[row]);
    const Sight sight = {seen, last + 1, (Places)seen, (Places)last};
    global const float* from = READ(float, q, a.q) + (row * a.heads + first_head) * dim;
    for (int i = item(); i < QUERIES * padded; i += ATTENTION_ITEMS) {
        const int d = i % padded;
        const int h = i / padded;
        ((local float*)queries)[d * QUERIES + h] = h < heads && d < dim ? from[h * dim + d] : 0;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const int row_segment = sight.begin / SEGMENT;
    const int segments = last / SEGMENT + 1 - row_segment;
    for (int segment = (int)get_group_id(2); segment < segments; segment += (int)get_num_groups(2)) {
        State state;
        attend(cache, &a, pages, kv_head, row_segment + segment, &sight, queries, scratch, maxima, &state);
        for (int h = 0; h < QUERIES; h++) {
            if (h >= heads) {
                continue;
            }
            global float* to = WRITE(float, states, state_offset(a, row, first_head + h, segment));
            if (item() == 0) {
                to[0] = one_of(&state.largest, h);
                to[1] = one_of(&state.sum, h);
            }
            for (int j = 0; j < ELEMENTS; j++) {
                const int d = item() + j * ATTENTION_ITEMS;
                if (d < padded) {
                    to[STATE_HEADER + d] = one_of(&state.values[j], h);
                }
            }
        }
    }
}
