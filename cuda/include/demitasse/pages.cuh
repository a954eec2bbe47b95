// The pages of a key-value cache in device memory.
//
// Per layer, page and head: keys [chunk][position][16 bytes], where a chunk is 16 bytes of a position's elements, so
// that lanes that stand for positions read side by side; values [position][element], elements padded to 16; and for
// INT8 and FP8 (E4M3) FP32 scales [group of 64 elements][position] for each. Scales of FP8 are stored times 2^8: an
// E4M3 byte that is shifted into FP16 is its value times 2^-8. INT4 has chunks of 16 elements, in 8 bytes, the first of
// two elements in the lower bits, and for a scale a word of an FP16 scale (lower half) and an FP16 minimum.
#pragma once

#include "demitasse/quantize.cuh"

namespace demitasse {

constexpr float FP8_FACTOR = 256;

enum class KvType : int64_t { F32, F16, INT8, FP8, INT4 };

struct KvPages {
    uint8_t* keys;
    uint8_t* values;
    float* key_scales;  // or null
    float* value_scales;
    int64_t pages;
    int64_t heads;
    int64_t head_dim;

    DEVICE int padded() const { return round_up(static_cast<int>(head_dim), DIM_MULTIPLE); }
    DEVICE int scale_groups() const { return round_up(static_cast<int>(head_dim), SCALE_GROUP) / SCALE_GROUP; }
    DEVICE int64_t block(int64_t layer, int64_t page, int64_t head) const {
        return (layer * pages + page) * heads + head;
    }
};

// Where the rows of a batch stand, in device memory.
struct BatchRows {
    const int32_t* positions;  // [row]
    const int32_t* tables;     // [row]: where the row's page table begins in `pages`
    const int32_t* pages;
};

// What attention_decode and attention_prefill take.
struct AttentionArgs {
    const float* q;
    KvPages kv;
    int64_t layer;
    int64_t heads;
    Real scale;
    Real soft_cap;
    int64_t window;  // positions up to its own that a query sees; 0: all; -n: those of its run of n, a power of two
    int64_t ahead;
    const float* sinks;  // [head]: a score that has no value, or null
    BatchRows rows;
    const int32_t* ends;  // [row]: the last position in the batch of the row's sequence
    float* out;
    float* states;          // attention_decode: [row][head][segment] states
    int64_t segments;       // attention_decode: of the launch
    const int32_t* blocks;  // attention_prefill: [first row, rows, unused, unused]

    // The first position that a query sees.
    DEVICE int first_seen(int position) const {
        if (window < 0) {
            return position & static_cast<int>(window);
        }
        return window == 0 || position < window ? 0 : position - static_cast<int>(window) + 1;
    }
    // The last position that the query of a row sees.
    DEVICE int last_seen(int64_t row) const {
        const int position = rows.positions[row];
        return minimum(position + static_cast<int>(ahead), ends[row]);
    }
    DEVICE float* state(int64_t row, int64_t head, int64_t segment) const {
        return states + ((row * heads + head) * segments + segment) * (STATE_HEADER + kv.padded());
    }
    // What a head's sink adds to the sum of exponentials of scores less the largest.
    DEVICE float sink(int64_t head, float largest) const { return sinks == nullptr ? 0 : expf(sinks[head] - largest); }
    DEVICE float inverse_cap() const { return soft_cap == 0.0f ? 0 : 1 / soft_cap; }
    DEVICE float score(float product, float inverse) const {
        const float scaled = product * scale;
        return inverse != 0 ? soft_cap * tanhf(scaled * inverse) : scaled;
    }
};

struct AttentionDecodeArgs {
    AttentionArgs attention;
    uint32_t* counters;       // [row][block along x], zeros: blocks that have stored their states
    QuantizedRows quantized;  // where results go as integers too, by groups
};

// What a block of attention_decode computes: some segments of a row, for up to `most_heads` query heads of one KV head.
// Of a row's segments each block takes every so many.
struct DecodeBlock {
    const AttentionArgs& a;
    int first_seen, last_seen;  // positions that the row sees
    int row_segment, segments;  // the row's first, and how many it sees
    int segment;                // of those the one that is computed
    int row, kv_head, first_head;
    int heads;  // query heads

    DEVICE DecodeBlock(const AttentionArgs& args, int most_heads) : a(args) {
        row = static_cast<int>(blockIdx.y);
        last_seen = a.last_seen(row);
        first_seen = a.first_seen(a.rows.positions[row]);
        row_segment = first_seen / SEGMENT;
        segments = last_seen / SEGMENT + 1 - row_segment;
        segment = static_cast<int>(blockIdx.z);
        const int query_heads = static_cast<int>(a.heads / a.kv.heads);  // of a KV head
        const int passes = (query_heads + most_heads - 1) / most_heads;
        kv_head = static_cast<int>(blockIdx.x) / passes;
        const int first = static_cast<int>(blockIdx.x) % passes * most_heads;
        first_head = kv_head * query_heads + first;
        heads = minimum(most_heads, query_heads - first);
    }

    DEVICE const float* queries() const { return a.q + (row * a.heads + first_head) * a.kv.head_dim; }

    DEVICE bool has_segment() const { return segment < segments; }
    DEVICE void next_segment() { segment += static_cast<int>(gridDim.z); }
    // How many blocks share the row's segments.
    DEVICE int blocks() const { return minimum(segments, static_cast<int>(gridDim.z)); }
    // Of the segment: its first page, and the positions that the row sees.
    DEVICE int first_page() const { return (row_segment + segment) * (SEGMENT / PAGE); }
    DEVICE int begin() const { return maximum(first_seen, (row_segment + segment) * SEGMENT); }
    DEVICE int end() const { return minimum(last_seen + 1, (row_segment + segment + 1) * SEGMENT); }

    // A page of the row, as KvPages numbers those of a head.
    DEVICE int64_t page(int i) const { return a.kv.block(a.layer, a.rows.pages[a.rows.tables[row] + i], kv_head); }
    // The state of a segment that the row sees.
    DEVICE float* state(int head, int s) const { return a.state(row, first_head + head, s); }
};

template <KvType TYPE>
struct KvElement {
    static constexpr int BITS = TYPE == KvType::F32 ? 32 : TYPE == KvType::F16 ? 16 : TYPE == KvType::INT4 ? 4 : 8;
    static constexpr int CHUNK_BYTES = TYPE == KvType::INT4 ? 8 : 16;
    static constexpr int CHUNK = CHUNK_BYTES * 8 / BITS;  // elements
    static constexpr bool SCALED = BITS <= 8;
    static constexpr bool HAS_MINIMUM = TYPE == KvType::INT4;

    // Bytes of so many elements, which are whole bytes.
    static constexpr DEVICE int64_t bytes(int64_t elements) { return elements * BITS / 8; }
    // Where element d of a position lies, in bytes from the beginning of a head's block of keys.
    static DEVICE int64_t key_offset(int d, int position) {
        return static_cast<int64_t>(d / CHUNK * PAGE + position) * CHUNK_BYTES + bytes(d % CHUNK);
    }

    // The scale, and the minimum, in the word of a group.
    static DEVICE float scale(float word) {
        return HAS_MINIMUM ? fp16_to_float(static_cast<uint16_t>(__float_as_uint(word))) : word;
    }
    static DEVICE float minimum(float word) {
        return HAS_MINIMUM ? fp16_to_float(static_cast<uint16_t>(__float_as_uint(word) >> 16)) : 0;
    }

    // Element i of 16 bytes; FP8 times 2^-8.
    static DEVICE float get(const Words4& w, int i) {
        const int at = i * BITS / 32;
        const uint32_t word = at == 0 ? w.x : at == 1 ? w.y : at == 2 ? w.z : w.w;
        if constexpr (TYPE == KvType::F32) {
            return __uint_as_float(word);
        } else if constexpr (TYPE == KvType::F16) {
            return fp16_to_float(static_cast<uint16_t>(word >> 16 * (i % 2)));
        } else if constexpr (TYPE == KvType::INT8) {
            return static_cast<float>(static_cast<int8_t>(word >> 8 * (i % 4)));
        } else if constexpr (TYPE == KvType::INT4) {
            return static_cast<float>(word >> 4 * (i % 8) & 15);
        } else {
            const uint32_t byte = word >> 8 * (i % 4) & 0xFF;
            return fp16_to_float(static_cast<uint16_t>((byte & 0x80) << 8 | (byte & 0x7F) << 7));
        }
    }
};

}  // namespace demitasse
