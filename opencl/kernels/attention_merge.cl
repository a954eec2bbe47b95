// Computes: results of attention from the states of a row's segments (attention_decode); where wanted it also quantizes
//           them.
// Layout:   states as attention_decode leaves them; out rows x heads x head_dim FP32; integers as quantize.h says.
// Requires: head_dim at most 576; to quantize, heads of at most 256 that are whole groups of 32 elements.
// Accuracy: FP32; segments are added in their order.
// Launch:   (heads, rows) work-groups of 64 items.
// Moves:    a state read a segment, 4 bytes written an element.
// Why:      a kernel of its own: a work-group of OpenCL 1.2 cannot know that what others have written is there.
#define KV_TYPE 0
#define QUERIES 1
#include "exponential.h"
#include "pages.h"

// QUANTIZES 1: it also writes integers.
KERNEL(ATTENTION_ITEMS) attention_merge(global const uchar* data, global const uchar* states, global uchar* out,
                                        global uchar* integers, global const uchar* sinks, const AttentionArgs a) {
#if QUANTIZES
    local float results[MOST_HEAD_DIM];
    local float shared[ATTENTION_ITEMS];
#endif
    const long head = (long)get_group_id(0);
    const long row = (long)get_group_id(1);
    const int dim = (int)a.kv.head_dim;
    const int position = READ(int, data, a.rows.positions)[row];
    const int segments = last_seen(a, data, row) / SEGMENT + 1 - first_seen(a, position) / SEGMENT;
    float largest = -INFINITY;
    float total = 0;
    float sums[MOST_HEAD_DIM / ATTENTION_ITEMS];
    for (int j = 0; j < MOST_HEAD_DIM / ATTENTION_ITEMS; j++) {
        sums[j] = 0;
    }
    for (int s = 0; s < segments; s++) {
        global const float* state = READ(float, states, state_offset(a, row, head, s));
        const float now = fmax(largest, state[0]);
        const float before = correction(largest, now);
        const float factor = correction(state[0], now);
        largest = now;
        total = fma(state[1], factor, total * before);
        for (int j = 0; j < MOST_HEAD_DIM / ATTENTION_ITEMS; j++) {
            const int d = item() + j * ATTENTION_ITEMS;
            if (d < dim) {
                sums[j] = fma(state[STATE_HEADER + d], factor, sums[j] * before);
            }
        }
    }
    total += sink_weight(a, sinks, head, largest);
    for (int j = 0; j < MOST_HEAD_DIM / ATTENTION_ITEMS; j++) {
        const int d = item() + j * ATTENTION_ITEMS;
        const float result = d < dim ? sums[j] / total : 0;
#if QUANTIZES
        results[d] = result;
#endif
        if (d < dim) {
            WRITE(float, out, a.out)[(row * a.heads + head) * dim + d] = result;
        }
    }
#if QUANTIZES
    barrier(CLK_LOCAL_MEM_FENCE);
    const int element = item() * 4;
    const long column = element < dim ? head * dim + element : a.quantized.padded;
    store_quantized(integers, a.quantized, row, (int)column, vload4((size_t)item(), results), 0, shared);
#endif
}
