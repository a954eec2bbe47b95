// Computes: softmax(cap(scale q.k)) v for the rows of one sequence that come together, by the online softmax; flash
//           attention on tensor cores (Dao, "FlashAttention-2", 2023).
// Layout:   queries and out rows x heads x head_dim FP32; pages.cuh. A block of rows: [first row, rows, unused,
//           unused].
// Requires: rows of a block belong to one sequence, in ascending positions; padding of pages is zero (of INT4: its
//           levels); head_dim at most DIM.
// Accuracy: operands in FP16, sums in FP32: NMSE at most 1e-5 against FP64 on the same operands. Not the bits of
//           attention_decode; with --batch-invariant that kernel takes its place.
// Launch:   (heads, blocks of rows) blocks of 128 threads, 16 rows a warp. Dynamic shared memory: prefill_shared_bytes.
// Moves:    keys and values once for 64 rows and a query head; 4 operations an element, position and query.
// Why:      a page's keys lie in chunks of 8 elements by position, which in FP16 is the order of mma's second operand;
//           values go through ldmatrix.trans. Pages of 8 bits and fewer become FP16 on their way to shared memory, with
//           their scales.
//           Weights are at most 1, so FP16 holds them.
#include "demitasse/pages.cuh"

namespace demitasse {

template <int DIM>
struct PrefillShape {
    static constexpr int KEY_BYTES = DIM * PAGE * 2;  // [chunk of 8][position][8]
    static constexpr int VALUE_STRIDE = prefill_stride(DIM);
    static constexpr int VALUE_BYTES = VALUE_STRIDE * PAGE * 2;  // [position][element]
    static constexpr int QUERY_STRIDE = prefill_stride(DIM);
    static constexpr int QUERY_BYTES = QUERY_STRIDE * PREFILL_ROWS * 2;
    static_assert(KEY_BYTES + VALUE_BYTES + QUERY_BYTES == prefill_shared_bytes(DIM) && prefill_dim(DIM) == DIM);
    static_assert(PREFILL_THREADS / 32 * 16 == PREFILL_ROWS);
};

template <KvType TYPE, int DIM>
struct Prefill {
    using Shape = PrefillShape<DIM>;
    using Element = KvElement<TYPE>;

    const AttentionArgs& a;
    uint16_t* keys;
    uint16_t* values;
    uint16_t* queries;
    int first_row, rows, head;

    // Row r of this lane, of two: the first is row lane / 4 of the warp's sixteen, the second that eight further.
    DEVICE int row_of(int r) const { return warp() * 16 + lane() / 4 + r * 8; }
    DEVICE int position_of(int row) const { return a.rows.positions[first_row + minimum(row, rows - 1)]; }
    DEVICE int last_seen(int row) const { return a.last_seen(first_row + minimum(row, rows - 1)); }
    DEVICE void load_queries() const {
        const int dim = static_cast<int>(a.kv.head_dim);
        for (int i = static_cast<int>(threadIdx.x); i < PREFILL_ROWS * DIM; i += PREFILL_THREADS) {
            const int row = i / DIM;
            const int d = i % DIM;
            const float value =
                row < rows && d < dim ? a.q[(static_cast<int64_t>(first_row + row) * a.heads + head) * dim + d] : 0;
            queries[row * Shape::QUERY_STRIDE + d] = float_to_fp16(value);
        }
    }

    // A page as FP16, 8 elements of a position at a time; zeros from position `limit` on, where there may be NaN.
    DEVICE void load_page(int64_t block, int limit) const {
        const int padded = a.kv.padded();
        const int64_t bytes = Element::bytes(static_cast<int64_t>(padded) * PAGE);
        for (int i = static_cast<int>(threadIdx.x); i < PAGE * DIM / 8; i += PREFILL_THREADS) {
            const int position = i % PAGE;
            const int d = i / PAGE * 8;
            Words4 key{0, 0, 0, 0};
            Words4 value{0, 0, 0, 0};
            if (d < padded && position < limit) {
                const uint8_t* from = a.kv.keys + block * bytes;
                key = to_fp16([&](int e) { return from + Element::key_offset(d + e, position); },
                              scale(a.kv.key_scales, block, d, position));
                const uint8_t* row =
                    a.kv.values + block * bytes + Element::bytes(static_cast<int64_t>(position) * padded);
                value = to_fp16([&](int e) { return row + Element::bytes(d + e); },
                                scale(a.kv.value_scales, block, d, position));
            }
            store16(keys + (d / 8 * PAGE + position) * 8, key);
            store16(values + position * Shape::VALUE_STRIDE + d, value);
        }
    }

    DEVICE float scale(const float* scales, int64_t block, int d, int position) const {
        return Element::SCALED ? scales[(block * a.kv.scale_groups() + d / SCALE_GROUP) * PAGE + position] : 1;
    }

    // Eight elements with their group's word; at(e) is where element e lies, four neighbors side by side.
    template <class At>
    DEVICE static Words4 to_fp16(At at, float word) {
        const float factor = Element::scale(word);
        const float minimum = Element::minimum(word);
        uint32_t words[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if constexpr (TYPE == KvType::INT4) {
                const uint32_t two = *at(2 * i);
                words[i] = floats_to_fp16(fmaf(static_cast<float>(two & 15), factor, minimum),
                                          fmaf(static_cast<float>(two >> 4), factor, minimum));
            } else {
                words[i] = floats_to_fp16(element(at(2 * i)) * factor, element(at(2 * i + 1)) * factor);
            }
        }
        return {words[0], words[1], words[2], words[3]};
    }

    DEVICE static float element(const uint8_t* at) {
        uint32_t bits;
        if constexpr (TYPE == KvType::F32) {
            bits = *reinterpret_cast<const uint32_t*>(at);
        } else if constexpr (TYPE == KvType::F16) {
            bits = *reinterpret_cast<const uint16_t*>(at);
        } else {
            bits = *at;
        }
        return Element::get({bits, 0, 0, 0}, 0);
    }

    // scores (16 rows x 32 positions of the warp) = q k.
    DEVICE void multiply_keys(float (&scores)[PAGE / 8][4]) const {
#pragma unroll
        for (int k = 0; k < DIM; k += 16) {
            uint32_t q[4];
            load_matrices(q, queries + (warp() * 16 + lane() % 16) * Shape::QUERY_STRIDE + k + lane() / 16 * 8);
#pragma unroll
            for (int n = 0; n < PAGE / 8; n++) {
                const uint16_t* from = keys + (k / 8 * PAGE + n * 8 + lane() / 4) * 8 + lane() % 4 * 2;
                mma_f16(scores[n], q, *reinterpret_cast<const uint32_t*>(from),
                        *reinterpret_cast<const uint32_t*>(from + PAGE * 8));
            }
        }
    }

    // out (16 rows x DIM) += weights v.
    DEVICE void multiply_values(const float (&weights)[PAGE / 8][4], float (&out)[DIM / 8][4]) const {
#pragma unroll
        for (int k = 0; k < PAGE; k += 16) {
            const float(&low)[4] = weights[k / 8];
            const float(&high)[4] = weights[k / 8 + 1];
            const uint32_t p[4] = {floats_to_fp16(low[0], low[1]), floats_to_fp16(low[2], low[3]),
                                   floats_to_fp16(high[0], high[1]), floats_to_fp16(high[2], high[3])};
#pragma unroll
            for (int n = 0; n < DIM; n += 16) {
                uint32_t v[4];  // positions k to k + 7 and on, elements n to n + 7; then elements n + 8 and on
                load_matrices_transposed(v, values + (k + lane() % 16) * Shape::VALUE_STRIDE + n + lane() / 16 * 8);
                mma_f16(out[n / 8], p, v[0], v[1]);
                mma_f16(out[n / 8 + 1], p, v[2], v[3]);
            }
        }
    }
};

template <KvType TYPE, int DIM>
DEVICE void attention_prefill(const AttentionArgs& a) {
    follow_previous();
    DYNAMIC_SHARED(shared);
    using Shape = PrefillShape<DIM>;
    const int32_t* block = a.blocks + blockIdx.y * PREFILL_WORDS;
    Prefill<TYPE, DIM> prefill{a,
                               reinterpret_cast<uint16_t*>(shared),
                               reinterpret_cast<uint16_t*>(shared + Shape::KEY_BYTES),
                               reinterpret_cast<uint16_t*>(shared + Shape::KEY_BYTES + Shape::VALUE_BYTES),
                               block[0],
                               block[1],
                               static_cast<int>(blockIdx.x)};
    prefill.load_queries();
    const int kv_head = prefill.head / static_cast<int>(a.heads / a.kv.heads);
    const int32_t* table = a.rows.pages + a.rows.tables[prefill.first_row];
    const int begin = a.first_seen(prefill.position_of(0)) / PAGE;
    const int last = a.last_seen(prefill.first_row + prefill.rows - 1);
    const int end = last / PAGE + 1;
    const float inverse_cap = a.inverse_cap();
    float out[DIM / 8][4] = {};
    float largest[2] = {-INFINITY, -INFINITY};
    float sums[2] = {};
    const int first_seen[2] = {a.first_seen(prefill.position_of(prefill.row_of(0))),
                               a.first_seen(prefill.position_of(prefill.row_of(1)))};
    const int last_seen[2] = {prefill.last_seen(prefill.row_of(0)), prefill.last_seen(prefill.row_of(1))};
    for (int page = begin; page < end; page++) {
        __syncthreads();  // queries are there; nobody reads the page before
        prefill.load_page(a.kv.block(a.layer, table[page], kv_head), last - page * PAGE + 1);
        __syncthreads();
        float scores[PAGE / 8][4] = {};
        prefill.multiply_keys(scores);
        float highest[2] = {largest[0], largest[1]};
#pragma unroll
        for (int i = 0; i < PAGE / 8 * 4; i++) {
            const int r = i % 4 / 2;
            const int position = page * PAGE + i / 4 * 8 + lane() % 4 * 2 + i % 2;
            const float score = a.score(scores[i / 4][i % 4], inverse_cap);
            const bool seen = position <= last_seen[r] && position >= first_seen[r];
            scores[i / 4][i % 4] = seen ? score : -INFINITY;
            highest[r] = fmaxf(highest[r], scores[i / 4][i % 4]);
        }
#pragma unroll
        for (int r = 0; r < 2; r++) {
            highest[r] = quad_max(highest[r]);
            const float correction = highest[r] == largest[r] ? 1 : expf(largest[r] - highest[r]);
            largest[r] = highest[r];
            sums[r] *= correction;
#pragma unroll
            for (int n = 0; n < DIM / 8; n++) {
                out[n][2 * r] *= correction;
                out[n][2 * r + 1] *= correction;
            }
        }
#pragma unroll
        for (int i = 0; i < PAGE / 8 * 4; i++) {
            const int r = i % 4 / 2;
            float& score = scores[i / 4][i % 4];
            score = score == -INFINITY ? 0 : expf(score - largest[r]);
            sums[r] += score;
        }
        prefill.multiply_values(scores, out);
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const float sum = quad_sum(sums[r]) + a.sink(prefill.head, largest[r]);
        const int row = prefill.row_of(r);
#pragma unroll
        for (int i = 0; i < DIM / 8 * 2; i++) {
            const int d = i / 2 * 8 + lane() % 4 * 2 + i % 2;
            if (row < prefill.rows && d < a.kv.head_dim) {
                a.out[(static_cast<int64_t>(prefill.first_row + row) * a.heads + prefill.head) * a.kv.head_dim + d] =
                    out[i / 2][2 * r + i % 2] / sum;
            }
        }
    }
}

}  // namespace demitasse

using demitasse::AttentionArgs;
using demitasse::KvType;

#define ATTENTION_PREFILL(name, TYPE, DIM)                                             \
    KERNEL_BLOCKS(demitasse::PREFILL_THREADS, 256 / DIM) name(const AttentionArgs a) { \
        demitasse::attention_prefill<KvType::TYPE, DIM>(a);                            \
    }                                                                                  \
    EXPORT(name)
ATTENTION_PREFILL(attention_prefill_f32_dim64, F32, 64)
ATTENTION_PREFILL(attention_prefill_f16_dim64, F16, 64)
ATTENTION_PREFILL(attention_prefill_int8_dim64, INT8, 64)
ATTENTION_PREFILL(attention_prefill_fp8_dim64, FP8, 64)
ATTENTION_PREFILL(attention_prefill_int4_dim64, INT4, 64)
ATTENTION_PREFILL(attention_prefill_f32_dim128, F32, 128)
ATTENTION_PREFILL(attention_prefill_f16_dim128, F16, 128)
ATTENTION_PREFILL(attention_prefill_int8_dim128, INT8, 128)
ATTENTION_PREFILL(attention_prefill_fp8_dim128, FP8, 128)
ATTENTION_PREFILL(attention_prefill_int4_dim128, INT4, 128)
ATTENTION_PREFILL(attention_prefill_f32_dim256, F32, 256)
ATTENTION_PREFILL(attention_prefill_f16_dim256, F16, 256)
ATTENTION_PREFILL(attention_prefill_int8_dim256, INT8, 256)
ATTENTION_PREFILL(attention_prefill_fp8_dim256, FP8, 256)
ATTENTION_PREFILL(attention_prefill_int4_dim256, INT4, 256)
