// Computes: stores keys and values of a batch's rows in a layer of the cache; keys, and queries beside them, are
//           rotated first where wanted. INT8 and FP8 with a scale for 64 elements, as quantize.h rounds.
// Layout:   keys and values rows x heads x head_dim FP32; pages.h.
// Requires: pages hold the rows' positions.
// Accuracy: FP16, FP8 and INT8 are rounded to nearest, ties to even, as on the CPU.
// Launch:   (2 heads + query heads, rows) work-groups of 64 items: keys, then values, then queries.
// Moves:    8 bytes read and 2 elements written a key element.
// Why:      bound by the launch. A work-group has a group's 64 elements, so that its maximum crosses local memory only.
#define NO_SUBGROUPS  // a work-group may have nothing to do: Intel's compiler has made shuffles beyond such branches 0
#include "pages.h"
#include "rope.h"

typedef struct KvAppendArgs {
    KvPages kv;
    long layer;
    long keys;
    long values;
    BatchRows rows;
    RopeAngles angles;  // where there, the keys and these queries are rotated first, in place
    long queries;       // rows x query_heads x head_dim
    long query_heads;
} KvAppendArgs;

void store_element(global uchar* at, float value) {
#if KV_TYPE == 0
    *(global float*)at = value;
#elif KV_TYPE == 1
    vstore_half_rte(value, 0, (global half*)at);
#elif KV_TYPE == 2
    *(global char*)at = (char)convert_int_rte(value);
#else
    *at = float_to_fp8(clamp(value, -448.0f, 448.0f));
#endif
}

KERNEL(APPEND_ITEMS) kv_append(global uchar* cache, global uchar* keys, global const uchar* values,
                               global const uchar* data, global const uchar* angles, global uchar* queries,
                               const KvAppendArgs a) {
    local float shared[APPEND_ITEMS];
    const long row = (long)get_group_id(1);
    const int dim = (int)a.kv.head_dim;
    const int number = (int)get_group_id(0);
    if (number >= 2 * a.kv.heads) {
        global float* query = WRITE(float, queries, a.queries) + (row * a.query_heads + number - 2 * a.kv.heads) * dim;
        for (long pair = item(); pair < a.angles.rope_dim / 2; pair += APPEND_ITEMS) {
            rotate_pair(a.angles, angles, query, row, pair);
        }
        return;
    }
    const bool is_key = number < a.kv.heads;
    const long head = is_key ? number : number - a.kv.heads;
    const long of_row = (row * a.kv.heads + head) * dim;
    if (is_key && is_there(a.angles.angles)) {
        for (long pair = item(); pair < a.angles.rope_dim / 2; pair += APPEND_ITEMS) {
            rotate_pair(a.angles, angles, WRITE(float, keys, a.keys) + of_row, row, pair);
        }
    }
    barrier(CLK_GLOBAL_MEM_FENCE);
    global const float* x = (is_key ? READ(float, keys, a.keys) : READ(float, values, a.values)) + of_row;
    const int position = READ(int, data, a.rows.positions)[row];
    const int table = READ(int, data, a.rows.tables)[row];
    const long block = kv_block(a.kv, a.layer, READ(int, data, a.rows.pages)[table + position / PAGE], head);
    const int slot = position % PAGE;
    const int padded = padded_dim(dim);
    global uchar* to = cache + (is_key ? a.kv.keys : a.kv.values) + block * padded * PAGE * KV_BYTES;
    for (int from = 0; from < padded; from += SCALE_GROUP) {
        const int d = from + item();
        float value = d < dim ? x[d] : 0;
#if KV_SCALED
        const Rounding rounding = rounding_of(group_largest(fabs(value), shared), KV_TYPE == 2 ? 127.0f : 448.0f);
        value = rounding.inverse == 0 ? 0 : value * rounding.inverse;
        if (item() == 0) {
            const long scale = (block * scale_groups(a.kv) + from / SCALE_GROUP) * PAGE + slot;
            WRITE(float, cache, is_key ? a.kv.key_scales : a.kv.value_scales)[scale] = rounding.scale;
        }
#endif
        if (d < padded) {
            const long at = is_key ? (long)(d / KV_CHUNK * PAGE + slot) * 16 + d % KV_CHUNK * KV_BYTES
                                   : ((long)slot * padded + d) * KV_BYTES;
            store_element(to + at, value);
        }
    }
}
