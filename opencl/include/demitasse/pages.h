// The pages of a key-value cache in device memory: the layout of cuda/include/demitasse/pages.cuh, but for the scales
// of FP8, which are plain here.
//
// Per layer, page and head: keys [chunk][position][16 bytes], where a chunk is 16 bytes of a position's elements, so
// that items that stand for positions read side by side; values [position][element], elements padded to 16; and for
// INT8 and FP8 (E4M3) FP32 scales [group of 64 elements][position] for each. INT4 has chunks of 16 elements, in 8
// bytes, the first of two elements in the lower bits, and for a scale an FP16 scale and an FP16 minimum. KV_TYPE says
// which type a kernel is for.
#include "quantize.h"

enum KvType { KV_F32, KV_F16, KV_INT8, KV_FP8, KV_INT4 };

#if KV_TYPE == 0
#define KV_BITS 32
#elif KV_TYPE == 1
#define KV_BITS 16
#elif KV_TYPE == 4
#define KV_BITS 4
#else
#define KV_BITS 8
#endif
#define KV_CHUNK_BYTES (KV_BITS == 4 ? 8 : 16)
#define KV_CHUNK (KV_CHUNK_BYTES * 8 / KV_BITS)  // elements
#define KV_SCALED (KV_BITS <= 8)

typedef struct KvPages {
    long keys;
    long values;
    long key_scales;
    long value_scales;
    long pages;
    long heads;
    long head_dim;
} KvPages;

int scale_groups(KvPages kv) { return ((int)kv.head_dim + SCALE_GROUP - 1) / SCALE_GROUP; }
long kv_block(KvPages kv, long layer, long page, long head) { return (layer * kv.pages + page) * kv.heads + head; }

// Where the rows of a batch stand, in the step's data.
typedef struct BatchRows {
    long positions;  // [row]
    long tables;     // [row]: where the row's page table begins in `pages`
    long pages;
} BatchRows;

// What attention_decode, attention_prefill and attention_merge take.
typedef struct AttentionArgs {
    long q;
    KvPages kv;
    long layer;
    long heads;
    Real scale;
    Real soft_cap;
    long window;  // positions up to its own that a query sees; 0: all; -n: those of its run of n, a power of two
    long ahead;
    long sinks;  // [head]: a score that has no value, or -1
    BatchRows rows;
    long ends;  // [row]: the last position in the batch of the row's sequence
    long out;
    long states;    // [row][head][segment] states
    long segments;            // of the launch
    long blocks;              // of attention_prefill: [block] first row, rows, unused, unused
    QuantizedRows quantized;  // where results go as integers too, by groups
} AttentionArgs;

// What a head's sink adds to the sum of exponentials of scores less the largest.
float sink_weight(AttentionArgs a, global const uchar* sinks, long head, float largest) {
    return is_there(a.sinks) ? exp(READ(float, sinks, a.sinks)[head] - largest) : 0;
}

// The first position that a query sees.
int first_seen(AttentionArgs a, int position) {
    if (a.window < 0) {
        return position & (int)a.window;
    }
    return a.window == 0 || position < a.window ? 0 : position - (int)a.window + 1;
}

// The last position that the query of a row sees.
int last_seen(AttentionArgs a, global const uchar* data, long row) {
    const int position = READ(int, data, a.rows.positions)[row];
    return min(position + (int)a.ahead, READ(int, data, a.ends)[row]);
}

long state_offset(AttentionArgs a, long row, long head, long segment) {
    return a.states +
           ((row * a.heads + head) * a.segments + segment) * (STATE_HEADER + padded_dim((int)a.kv.head_dim)) * 4;
}

// E4M3 (Micikevicius et al., "FP8 Formats for Deep Learning", 2022), without numbers that a device may flush to zero.
float16 fp8_to_floats(uchar16 bits) {
    const int16 all = convert_int16(bits);
    const int16 exponent = all >> 3 & 15;
    const int16 mantissa = all & 7;
    const int16 whole = mantissa + 8 * min(exponent, (int16)1);
    const int16 scale = 127 - 10 + max(exponent, (int16)1);
    const float16 magnitude = convert_float16(whole) * as_float16(scale << 23);
    return as_float16(as_int16(magnitude) | (all & 0x80) << 24);
}

float fp8_to_float(uchar bits) {
    const int exponent = bits >> 3 & 15;
    const int mantissa = bits & 7;
    const float magnitude =
        (float)(exponent == 0 ? mantissa : 8 + mantissa) * as_float((127 - 10 + max(exponent, 1)) << 23);
    return (bits & 0x80) != 0 ? -magnitude : magnitude;
}

// Nearest, ties to even; |value| is at most 448.
uchar float_to_fp8(float value) {
    const uint bits = as_uint(value);
    const uint sign = bits >> 24 & 0x80;
    const float magnitude = fabs(value);
    if (magnitude < 0.015625f) {  // below 2^-6 a step is 2^-9
        return (uchar)(sign | (uint)convert_int_rte(magnitude * 512.0f));
    }
    const uint rounded_bits = (bits & 0x7FFFFFFFu) + 0x7FFFFu + (bits >> 20 & 1);
    return (uchar)(sign | ((rounded_bits >> 20) - ((127 - 7) << 3)));
}

// Element i of what begins at `offset`, without its scale.
float kv_element(global const uchar* memory, long offset, long i) {
#if KV_TYPE == 0
    return READ(float, memory, offset)[i];
#elif KV_TYPE == 1
    return vload_half((size_t)i, READ(half, memory, offset));
#elif KV_TYPE == 2
    return (float)READ(char, memory, offset)[i];
#elif KV_TYPE == 4
    return (float)(READ(uchar, memory, offset)[i / 2] >> (int)(i % 2) * 4 & 15);
#else
    return fp8_to_float(READ(uchar, memory, offset)[i]);
#endif
}

#if KV_SCALED
// A number of a group of elements as what it stands for; `group` counts scales from `scales` on.
float kv_scaled(global const uchar* memory, long scales, long group, float element) {
#if KV_TYPE == 4
    const float scale = vload_half((size_t)(2 * group), READ(half, memory, scales));
    const float minimum = vload_half((size_t)(2 * group + 1), READ(half, memory, scales));
    return fma(element, scale, minimum);
#else
    return element * READ(float, memory, scales)[group];
#endif
}
#endif
