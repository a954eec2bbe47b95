// Computes: stores the keys and values of a batch's rows in a layer of the cache; INT8: q = round(x / s) with
//           s = max|x| / 127; FP8 E4M3: nearest to x / s with s = max|x| / 448; both per position and 64 elements of a
//           head; INT4: sixteen steps from a minimum on, the best of four pairs of both (ScaledElements in Java).
//           Before that, where wanted, turns the keys, and queries of the same rows, by their positions (rope.cuh), and
//           rotates them and the values (rotate.cuh). Numbers that cannot be rounded so: Rounding in quantize.cuh.
// Layout:   keys and values rows x heads x head_dim FP32; pages.cuh.
// Requires: pages hold the rows' positions.
// Accuracy: FP16, FP8 and INT8 are rounded to nearest, ties to even, INT4 to the nearest step, as on the CPU.
// Launch:   (rows, heads) blocks of 64 threads; the first warp takes the keys, the second the values; queries are heads
//           beyond those of the keys.
// Moves:    8 bytes read and 2 elements written a key element.
// Why:      a warp holds a group's 64 elements, two a lane, so its maximum is a shuffle.
#include "demitasse/pages.cuh"
#include "demitasse/quantize.cuh"
#include "demitasse/rope.cuh"
#include "demitasse/rotate.cuh"

namespace demitasse {

struct KvAppendArgs {
    KvPages kv;
    int64_t layer;
    float* keys;
    float* values;
    BatchRows rows;
    RopeAngles angles;  // where given, the keys and these queries are turned first, in place
    float* queries;     // rows x query_heads x head_dim
    int64_t query_heads;
    int64_t rotation;  // elements of a run that is rotated, of keys, values and these queries; 0: none is
};

// E4M3 (Micikevicius et al., "FP8 Formats for Deep Learning", 2022): nearest, ties to even; |value| is at most 448.
DEVICE uint8_t float_to_fp8(float value) {
    uint32_t bits = __float_as_uint(value);
    const uint32_t sign = bits >> 24 & 0x80;
    bits = __float_as_uint(fabsf(value) * 7.52316384526264e-37f);  // 2^-120: E4M3's exponent in FP32's lowest bits
    bits += 0x7FFFF + (bits >> 20 & 1);
    return static_cast<uint8_t>(sign | bits >> 20);
}

// Sixteen steps from a minimum on, both FP16 numbers. Numbers are laid out on sixteenths of a step, so that errors are
// integers, whose sums have no order.
struct FourBits {
    static constexpr int SUBSTEPS = 16;
    float minimum;
    float step;

    // Without a step where FP16 rounds the lowest number above the highest; no minimum is a negative zero.
    DEVICE FourBits(float lowest, float highest) : minimum(fp16_to_float(float_to_fp16(lowest + 0.0f))) {
        step = fp16_to_float(float_to_fp16(fmaxf((highest - minimum) * (1.0f / 15), 0)));
    }

    DEVICE int substeps(float x) const {
        const float inverse = step > 0 ? SUBSTEPS / step : 0;
        return __float2int_rn(fminf(fmaxf((x - minimum) * inverse, -2.0f * SUBSTEPS), 17.0f * SUBSTEPS));
    }
    static DEVICE int level(int substeps) {
        return ::demitasse::minimum(maximum((substeps + SUBSTEPS / 2) >> 4, 0), 15);
    }
    DEVICE int squared_error(float x) const {
        const int steps = substeps(x);
        const int rest = steps - SUBSTEPS * level(steps);
        return rest * rest;
    }
    DEVICE uint32_t word() const { return static_cast<uint32_t>(float_to_fp16(minimum)) << 16 | float_to_fp16(step); }
};

// A group of numbers, of which a lane has two, as four bits each; those that are not `there` do not count. Returns
// scale and minimum as a word; with a number among them that FP16 does not hold all are NaN.
DEVICE uint32_t round_to_four_bits(const float (&x)[2], const bool (&there)[2], int (&levels)[2]) {
    levels[0] = levels[1] = 0;
    const float largest = warp_magnitude(larger_magnitude(fabsf(x[0]), x[1]));
    if (!(largest <= 65504)) {
        return 0x7E00u << 16;
    }
    const float lowest = -warp_max(fmaxf(there[0] ? -x[0] : -INFINITY, there[1] ? -x[1] : -INFINITY));
    const float highest = warp_max(fmaxf(there[0] ? x[0] : -INFINITY, there[1] ? x[1] : -INFINITY));
    const float inward = (highest - lowest) * (1.0f / 32);
    FourBits best(lowest, highest);
    float least = INFINITY;
#pragma unroll 1
    for (int ends = 0; ends < 4; ends++) {
        const FourBits bits((ends & 2) == 0 ? lowest : lowest + inward, (ends & 1) == 0 ? highest : highest - inward);
        const int error = (there[0] ? bits.squared_error(x[0]) : 0) + (there[1] ? bits.squared_error(x[1]) : 0);
        const float squares = static_cast<float>(__reduce_add_sync(ALL_LANES, error)) * (bits.step * bits.step);
        if (squares < least && (ends == 0 || bits.step > 0)) {  // without a step it would seem to have no error
            least = squares;
            best = bits;
        }
    }
    for (int i = 0; i < 2; i++) {
        levels[i] = there[i] ? FourBits::level(best.substeps(x[i])) : 0;
    }
    return best.word();
}

// The warp's 32 elements from d - lane() on as four bits each; a lane of eight stores theirs.
DEVICE void store_four_bits(uint8_t* at, int level, bool there) {
    uint32_t word = static_cast<uint32_t>(level) << lane() % 8 * 4;
#pragma unroll
    for (int distance = 1; distance < 8; distance *= 2) {
        word |= __shfl_xor_sync(ALL_LANES, word, distance);
    }
    if (there && lane() % 8 == 0) {
        *reinterpret_cast<uint32_t*>(at) = word;
    }
}

// The vector of a head, of which lane l has elements l, l + 32 and on, to the cache.
template <KvType TYPE>
struct AppendedVector {
    using Element = KvElement<TYPE>;
    const KvAppendArgs& a;
    const int64_t block;  // the page's, of the head
    const int slot;       // of the page
    const bool keys;

    DEVICE uint8_t* place(int d) const {
        const int padded = a.kv.padded();
        uint8_t* of_block = (keys ? a.kv.keys : a.kv.values) + Element::bytes(block * padded * PAGE);
        return of_block + (keys ? Element::key_offset(d, slot) : Element::bytes(slot * padded + d));
    }
    DEVICE void store_scale(int group, float scale) const {
        if (lane() == 0) {
            const int64_t at = (block * a.kv.scale_groups() + group) * PAGE + slot;
            (keys ? a.kv.key_scales : a.kv.value_scales)[at] = scale;
        }
    }

    // Elements from 64 `group` on.
    DEVICE void store(int group, const float (&pair)[2]) const {
        const int from = group * SCALE_GROUP + lane();
        if constexpr (TYPE == KvType::INT4) {
            const bool there[2] = {from < a.kv.head_dim, from + 32 < a.kv.head_dim};
            int levels[2];
            store_scale(group, __uint_as_float(round_to_four_bits(pair, there, levels)));
            for (int i = 0; i < 2; i++) {
                const int d = from + i * 32;
                store_four_bits(place(d / 8 * 8), levels[i], d < a.kv.padded());
            }
        } else {
            float inverse = 1;
            if constexpr (Element::SCALED) {
                const float limit = TYPE == KvType::INT8 ? 127 : 448;
                const Rounding rounding(warp_magnitude(larger_magnitude(fabsf(pair[0]), pair[1])), limit);
                inverse = rounding.inverse;
                store_scale(group, rounding.scale * (TYPE == KvType::FP8 ? FP8_FACTOR : 1));
            }
            for (int i = 0; i < 2; i++) {
                if (from + i * 32 < a.kv.padded()) {
                    store_element(place(from + i * 32), Element::SCALED && inverse == 0 ? 0 : pair[i] * inverse);
                }
            }
        }
    }

    static DEVICE void store_element(uint8_t* at, float value) {
        if constexpr (TYPE == KvType::F32) {
            *reinterpret_cast<float*>(at) = value;
        } else if constexpr (TYPE == KvType::F16) {
            *reinterpret_cast<uint16_t*>(at) = float_to_fp16(value);
        } else if constexpr (TYPE == KvType::INT8) {
            *at = static_cast<uint8_t>(__float2int_rn(value));
        } else {
            *at = float_to_fp8(fminf(fmaxf(value, -448), 448));
        }
    }
};

// A query's head, turned by its position and rotated.
DEVICE void prepare_query(const KvAppendArgs& a, float* query, int64_t row, int dim) {
    for (int64_t pair = threadIdx.x; pair < a.angles.rope_dim / 2; pair += APPEND_THREADS) {
        a.angles.apply(query, row, pair);
    }
    if (a.rotation == 0) {
        return;
    }
    __syncthreads();
    if (warp() == 0) {
        float x[MOST_HEAD_DIM / 32];
        load_head(x, query, dim);
        rotate_head(x, static_cast<int>(a.rotation));
        store_head(query, x, dim);
    }
}

template <KvType TYPE>
DEVICE void append(const KvAppendArgs& a) {
    launch_dependents();
    const int64_t row = blockIdx.x;
    const int position = a.rows.positions[row];
    const int64_t page = a.rows.pages[a.rows.tables[row] + position / PAGE];
    await_previous();  // where the row stands does not depend on it
    const int64_t head = blockIdx.y;
    const int dim = static_cast<int>(a.kv.head_dim);
    if (head >= a.kv.heads) {
        prepare_query(a, a.queries + (row * a.query_heads + head - a.kv.heads) * dim, row, dim);
        return;
    }
    const bool keys = warp() == 0;
    if (keys && a.angles.angles != nullptr) {
        for (int64_t pair = lane(); pair < a.angles.rope_dim / 2; pair += 32) {
            a.angles.apply(a.keys + (row * a.kv.heads + head) * dim, row, pair);
        }
        __syncwarp();
    }
    float* from = (keys ? a.keys : a.values) + (row * a.kv.heads + head) * dim;
    const AppendedVector<TYPE> vector{a, a.kv.block(a.layer, page, head), position % PAGE, keys};
    float x[MOST_HEAD_DIM / 32];
    load_head(x, from, dim);
    if (a.rotation != 0) {
        rotate_head(x, static_cast<int>(a.rotation));
        store_head(from, x, dim);
    }
#pragma unroll
    for (int group = 0; group < MOST_HEAD_DIM / SCALE_GROUP; group++) {
        if (group * SCALE_GROUP < a.kv.padded()) {
            const float pair[2] = {x[2 * group], x[2 * group + 1]};
            vector.store(group, pair);
        }
    }
}

}  // namespace demitasse

#define KV_APPEND(name, TYPE)                                                           \
    KERNEL_BLOCKS(demitasse::APPEND_THREADS, 1) name(const demitasse::KvAppendArgs a) { \
        demitasse::append<demitasse::TYPE>(a);                                          \
    }                                                                                   \
    EXPORT(name)

KV_APPEND(kv_append_f32, KvType::F32)
KV_APPEND(kv_append_f16, KvType::F16)
KV_APPEND(kv_append_int8, KvType::INT8)
KV_APPEND(kv_append_fp8, KvType::FP8)
KV_APPEND(kv_append_int4, KvType::INT4)
