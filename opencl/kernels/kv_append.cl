// Computes: stores keys and values of a batch's rows in a layer of the cache; keys, and queries beside them, are
//           turned by their positions first where wanted (rope.h), and then, with the values, rotated by a Hadamard
//           matrix (rotate.h). INT8 and FP8 with a scale for 64 elements, as quantize.h rounds; INT4 in sixteen steps
//           from a minimum on, the best of four pairs of both (ScaledElements in Java).
// Layout:   keys and values rows x heads x head_dim FP32; pages.h.
// Requires: pages hold the rows' positions.
// Accuracy: FP16, FP8 and INT8 are rounded to nearest, ties to even, INT4 to the nearest step, as on the CPU.
// Launch:   (2 heads + query heads, rows) work-groups of 64 items: keys, then values, then queries.
// Moves:    8 bytes read and 2 elements written a key element.
// Why:      bound by the launch. A work-group has a group's 64 elements, so that its maximum crosses local memory only.
#define NO_SUBGROUPS  // a work-group may have nothing to do: Intel's compiler has made shuffles beyond such branches 0
#include "pages.h"
#include "rope.h"
#include "rotate.h"

// ROTATES 1: keys, values and queries are rotated, in place, after they have been turned.
typedef struct KvAppendArgs {
    KvPages kv;
    long layer;
    long keys;
    long values;
    BatchRows rows;
    RopeAngles angles;  // where there, the keys and these queries are turned first, in place
    long queries;       // rows x query_heads x head_dim
    long query_heads;
} KvAppendArgs;

#if KV_TYPE != 4
void store_element(global uchar* at, float value) {
#if KV_TYPE == 0
    *(global float*)at = value;
#elif KV_TYPE == 1
    vstore_half_rte(value, 0, (global half*)at);
#elif KV_TYPE == 2
    *(global char*)at = (char)convert_int_rte(value);
#elif KV_TYPE == 3
    *at = float_to_fp8(clamp(value, -448.0f, 448.0f));
#endif
}
#endif

#if KV_TYPE == 4
enum { SUBSTEPS = 16 };

// Sixteen steps from a minimum on, both FP16 numbers. Numbers are laid out on sixteenths of a step, so that errors are
// integers, whose sums have no order.
typedef struct FourBits {
    float minimum;
    float step;
} FourBits;

// The nearest FP16 number, ties to even; |x| is at most 65,504.
float as_fp16(float x) {
    const uint bits = as_uint(fabs(x));
    const float normal = as_float((bits + 0xFFFu + (bits >> 13 & 1)) & ~0x1FFFu);
    const float magnitude = fabs(x) < 6.1035156e-5f ? fabs(x) + 0.5f - 0.5f : normal;  // below 2^-14 a step is 2^-24
    return copysign(magnitude, x);
}

FourBits four_bits(float lowest, float highest) {
    FourBits bits;
    bits.minimum = as_fp16(lowest + 0.0f);  // no negative zero
    bits.step = as_fp16(fmax((highest - bits.minimum) * (1.0f / 15), 0.0f));
    return bits;
}

int substeps_of(FourBits bits, float x) {
    const float inverse = bits.step > 0 ? divide(SUBSTEPS, bits.step) : 0;
    return convert_int_rte(clamp((x - bits.minimum) * inverse, -2.0f * SUBSTEPS, 17.0f * SUBSTEPS));
}

int level_of(int substeps) { return clamp((substeps + SUBSTEPS / 2) >> 4, 0, 15); }

// All items of a work-group find the steps of the group of `count` numbers of which each has one; all numbers NaN where
// one is, or is beyond FP16.
FourBits best_steps(float x, int count, local float* shared) {
    barrier(CLK_LOCAL_MEM_FENCE);
    shared[item()] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    float lowest = shared[0];
    float highest = shared[0];
    bool numbers = true;
    for (int i = 0; i < count; i++) {
        lowest = fmin(lowest, shared[i]);
        highest = fmax(highest, shared[i]);
        numbers = numbers && fabs(shared[i]) <= 65504;
    }
    const float inward = (highest - lowest) * (1.0f / 32);
    FourBits best = {not_a_number(), 0};
    float least = INFINITY;
    local int* errors = (local int*)shared;
    for (int ends = 0; ends < 4; ends++) {
        const FourBits bits =
            four_bits((ends & 2) == 0 ? lowest : lowest + inward, (ends & 1) == 0 ? highest : highest - inward);
        const int substeps = substeps_of(bits, x);
        const int rest = substeps - SUBSTEPS * level_of(substeps);
        barrier(CLK_LOCAL_MEM_FENCE);
        errors[item()] = rest * rest;
        barrier(CLK_LOCAL_MEM_FENCE);
        int error = 0;
        for (int i = 0; i < count; i++) {
            error += errors[i];
        }
        const float squares = (float)error * (bits.step * bits.step);
        if (numbers && squares < least && (ends == 0 || bits.step > 0)) {  // without a step none would seem an error
            least = squares;
            best = bits;
        }
    }
    return best;
}
#endif

KERNEL(APPEND_ITEMS) kv_append(global uchar* cache, global uchar* keys, global uchar* values,
                               global const uchar* data, global const uchar* angles, global uchar* queries,
                               const KvAppendArgs a) {
    local float shared[APPEND_ITEMS];
    local float vector[MOST_HEAD_DIM];
    const long row = (long)get_group_id(1);
    const int dim = (int)a.kv.head_dim;
    const int number = (int)get_group_id(0);
    const float factor = ROTATES ? rotation_factor(rotation_run(dim)) : 1;
    if (number >= 2 * a.kv.heads) {
        global float* query = WRITE(float, queries, a.queries) + (row * a.query_heads + number - 2 * a.kv.heads) * dim;
        for (long pair = item(); pair < a.angles.rope_dim / 2; pair += APPEND_ITEMS) {
            rotate_pair(a.angles, angles, query, row, pair);
        }
#if ROTATES
        barrier(CLK_GLOBAL_MEM_FENCE);
        for (int d = item(); d < dim; d += APPEND_ITEMS) {
            vector[d] = query[d] * factor;
        }
        rotate_head(vector, dim, APPEND_ITEMS);
        for (int d = item(); d < dim; d += APPEND_ITEMS) {
            query[d] = vector[d];
        }
#endif
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
    global float* x = (is_key ? WRITE(float, keys, a.keys) : WRITE(float, values, a.values)) + of_row;
    for (int d = item(); d < dim; d += APPEND_ITEMS) {
        vector[d] = x[d] * factor;
    }
#if ROTATES
    rotate_head(vector, dim, APPEND_ITEMS);
    for (int d = item(); d < dim; d += APPEND_ITEMS) {
        x[d] = vector[d];
    }
#endif
    const int position = READ(int, data, a.rows.positions)[row];
    const int table = READ(int, data, a.rows.tables)[row];
    const long block = kv_block(a.kv, a.layer, READ(int, data, a.rows.pages)[table + position / PAGE], head);
    const int slot = position % PAGE;
    const int padded = padded_dim(dim);
    global uchar* to = cache + (is_key ? a.kv.keys : a.kv.values) + block * padded * PAGE * KV_BITS / 8;
    for (int from = 0; from < padded; from += SCALE_GROUP) {
        const int d = from + item();
        float value = d < dim ? vector[d] : 0;
#if KV_SCALED
        const long group = (block * scale_groups(a.kv) + from / SCALE_GROUP) * PAGE + slot;
        const long scales = is_key ? a.kv.key_scales : a.kv.value_scales;
#endif
#if KV_TYPE == 4
        const FourBits bits = best_steps(value, min(SCALE_GROUP, dim - from), shared);
        const int level = d < dim && bits.step > 0 ? level_of(substeps_of(bits, value)) : 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        ((local int*)shared)[item()] = level;
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item() == 0) {
            vstore_half_rte(bits.step, (size_t)(2 * group), WRITE(half, cache, scales));
            vstore_half_rte(bits.minimum, (size_t)(2 * group + 1), WRITE(half, cache, scales));
        }
        const int even = from + 2 * item();
        if (item() < SCALE_GROUP / 2 && even < padded) {
            local const int* levels = (local const int*)shared + 2 * item();
            const long at = is_key ? (long)(even / KV_CHUNK * PAGE + slot) * KV_CHUNK_BYTES + even % KV_CHUNK / 2
                                   : ((long)slot * padded + even) / 2;
            to[at] = (uchar)(levels[0] | levels[1] << 4);
        }
#elif KV_SCALED
        const Rounding rounding = rounding_of(group_largest(fabs(value), shared), KV_TYPE == 2 ? 127.0f : 448.0f);
        value = rounding.inverse == 0 ? 0 : value * rounding.inverse;
        if (item() == 0) {
            WRITE(float, cache, scales)[group] = rounding.scale;
        }
#endif
#if KV_TYPE != 4
        if (d < padded) {
            const long at = is_key ? (long)(d / KV_CHUNK * PAGE + slot) * 16 + d % KV_CHUNK * (KV_BITS / 8)
                                   : ((long)slot * padded + d) * (KV_BITS / 8);
            store_element(to + at, value);
        }
#endif
    }
}
