// Computes: softmax(cap(scale q.k)) v for up to 16 neighboring rows of one sequence, a head at a time.
// Layout:   queries and out rows x heads x head_dim FP32; pages.h; a block of rows: [first row, rows, unused, unused].
// Requires: rows of a block belong to one sequence, in ascending positions; padding of pages is zero (of INT4: its
//           levels); head_dim at most 256.
// Accuracy: the bits of attention_decode and attention_merge.
// Launch:   (heads, blocks of rows) work-groups of 64 items.
// Moves:    keys and values once for 16 rows and a query head; 4 operations an element, position and query.
// Why:      bound by arithmetic: a key's or a value's element, widened once, meets the vector of all rows' queries or
//           weights. Segments are merged in registers as attention_merge does.
#include "attention.h"

KERNEL(ATTENTION_ITEMS) attention_prefill(global const uchar* q, global const uchar* cache, global const uchar* data,
                                          global uchar* out, global const uchar* sinks, const AttentionArgs a) {
    local Many queries[ELEMENTS * ATTENTION_ITEMS];
    local Many scratch[ATTENTION_ITEMS];
    local Many maxima[PARTS];
    const int head = (int)get_group_id(0);
    const int kv_head = head / (int)(a.heads / a.kv.heads);
    global const int* block = READ(int, data, a.blocks) + 4 * get_group_id(1);
    const long first_row = block[0];
    const int rows = block[1];
    const int dim = (int)a.kv.head_dim;
    global const int* positions = READ(int, data, a.rows.positions) + first_row;
    global const int* pages = READ(int, data, a.rows.pages) + READ(int, data, a.rows.tables)[first_row];
    Sight sight;
    sight.begin = first_seen(a, positions[0]);
    sight.end = last_seen(a, data, first_row + rows - 1) + 1;
    for (int r = 0; r < QUERIES; r++) {
        const int position = positions[min(r, rows - 1)];
        ((int*)&sight.first)[r] = first_seen(a, position);
        ((int*)&sight.last)[r] = last_seen(a, data, first_row + min(r, rows - 1));
    }
    for (int i = item(); i < QUERIES * padded_dim(dim); i += ATTENTION_ITEMS) {
        const int d = i % padded_dim(dim);
        const int r = i / padded_dim(dim);
        ((local float*)queries)[d * QUERIES + r] =
            r < rows && d < dim ? READ(float, q, a.q)[((first_row + r) * a.heads + head) * dim + d] : 0;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    State all;
    clear(&all);
    const int end = (sight.end + SEGMENT - 1) / SEGMENT;
    for (int segment = sight.begin / SEGMENT; segment < end; segment++) {
        State state;
        attend(cache, &a, pages, kv_head, segment, &sight, queries, scratch, maxima, &state);
        const Many largest = fmax(all.largest, state.largest);
        const Many before = correction(all.largest, largest);
        const Many factor = correction(state.largest, largest);
        all.largest = largest;
        all.sum = fma(state.sum, factor, all.sum * before);
        for (int j = 0; j < ELEMENTS; j++) {
            all.values[j] = fma(state.values[j], factor, all.values[j] * before);
        }
    }
    for (int r = 0; r < QUERIES; r++) {
        ((float*)&all.sum)[r] = one_of(&all.sum, r) + sink_weight(a, sinks, head, one_of(&all.largest, r));
    }
    for (int j = 0; j < ELEMENTS; j++) {
        const int d = item() + j * ATTENTION_ITEMS;
        for (int r = 0; r < QUERIES; r++) {
            if (r < rows && d < dim) {
                WRITE(float, out, a.out)[((first_row + r) * a.heads + head) * dim + d] =
                    one_of(&all.values[j], r) / one_of(&all.sum, r);
            }
        }
    }
}
