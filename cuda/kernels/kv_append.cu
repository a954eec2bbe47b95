// Computes: stores the keys and values of a batch's rows in a layer of the cache; INT8: q = round(x / s) with
//           s = max|x| / 127; FP8 E4M3: nearest to x / s with s = max|x| / 448; both per position and 64 elements of a
//           head. Before that, where wanted, rotates the keys, and queries of the same rows, by their positions
//           (rope.cuh). Numbers that cannot be rounded so: Rounding in quantize.cuh.
// Layout:   keys and values rows x heads x head_dim FP32; pages.cuh.
// Requires: pages hold the rows' positions.
// Accuracy: FP16, FP8 and INT8 are rounded to nearest, ties to even, as on the CPU.
// Launch:   (rows, heads) blocks of 64 threads; the first warp takes the keys, the second the values; queries are heads
//           beyond those of the keys.
// Moves:    8 bytes read and 2 elements written a key element.
// Why:      a warp holds a group's 64 elements, two a lane, so its maximum is a shuffle.
#include "demitasse/pages.cuh"
#include "demitasse/quantize.cuh"
#include "demitasse/rope.cuh"

namespace demitasse {

struct KvAppendArgs {
    KvPages kv;
    int64_t layer;
    float* keys;
    const float* values;
    BatchRows rows;
    RopeAngles angles;  // where given, the keys and these queries are rotated first, in place
    float* queries;     // rows x query_heads x head_dim
    int64_t query_heads;
};

// E4M3 (Micikevicius et al., "FP8 Formats for Deep Learning", 2022): nearest, ties to even; |value| is at most 448.
DEVICE uint8_t float_to_fp8(float value) {
    uint32_t bits = __float_as_uint(value);
    const uint32_t sign = bits >> 24 & 0x80;
    bits = __float_as_uint(fabsf(value) * 7.52316384526264e-37f);  // 2^-120: E4M3's exponent in FP32's lowest bits
    bits += 0x7FFFF + (bits >> 20 & 1);
    return static_cast<uint8_t>(sign | bits >> 20);
}

// Where element d of a position lies, in bytes from the beginning of a head's block of keys.
template <int BYTES>
DEVICE int64_t key_offset(int d, int position) {
    constexpr int CHUNK = 16 / BYTES;
    return (d / CHUNK * PAGE + position) * 16 + d % CHUNK * BYTES;
}

template <KvType TYPE>
DEVICE void append(const KvAppendArgs& a) {
    launch_dependents();
    using Element = KvElement<TYPE>;
    const int64_t row = blockIdx.x;
    const int position = a.rows.positions[row];
    const int64_t page = a.rows.pages[a.rows.tables[row] + position / PAGE];
    await_previous();  // where the row stands does not depend on it
    const int64_t head = blockIdx.y;
    const int dim = static_cast<int>(a.kv.head_dim);
    if (head >= a.kv.heads) {
        float* query = a.queries + (row * a.query_heads + head - a.kv.heads) * dim;
        for (int64_t pair = threadIdx.x; pair < a.angles.rope_dim / 2; pair += APPEND_THREADS) {
            a.angles.apply(query, row, pair);
        }
        return;
    }
    const bool keys = warp() == 0;
    if (keys && a.angles.angles != nullptr) {
        for (int64_t pair = lane(); pair < a.angles.rope_dim / 2; pair += 32) {
            a.angles.apply(a.keys + (row * a.kv.heads + head) * dim, row, pair);
        }
        __syncwarp();
    }
    const int slot = position % PAGE;
    const int64_t block = a.kv.block(a.layer, page, head);
    const int padded = a.kv.padded();
    uint8_t* to = (keys ? a.kv.keys : a.kv.values) + block * padded * PAGE * Element::BYTES;
    float* scales = keys ? a.kv.key_scales : a.kv.value_scales;
    const float* x = (keys ? a.keys : a.values) + (row * a.kv.heads + head) * dim;
    for (int from = 0; from < padded; from += SCALE_GROUP) {
        float pair[2];
        for (int i = 0; i < 2; i++) {
            const int d = from + i * 32 + lane();
            pair[i] = d < dim ? x[d] : 0;
        }
        float inverse = 1;
        if constexpr (Element::SCALED) {
            const float limit = TYPE == KvType::INT8 ? 127 : 448;
            const Rounding rounding(warp_magnitude(larger_magnitude(fabsf(pair[0]), pair[1])), limit);
            inverse = rounding.inverse;
            if (lane() == 0) {
                const int64_t at = (block * a.kv.scale_groups() + from / SCALE_GROUP) * PAGE + slot;
                scales[at] = rounding.scale * (TYPE == KvType::FP8 ? FP8_FACTOR : 1);
            }
        }
        for (int i = 0; i < 2; i++) {
            const int d = from + i * 32 + lane();
            if (d >= padded) {
                continue;
            }
            uint8_t* at = to + (keys ? key_offset<Element::BYTES>(d, slot)
                                     : static_cast<int64_t>(slot * padded + d) * Element::BYTES);
            const float value = Element::SCALED && inverse == 0 ? 0 : pair[i] * inverse;
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
    }
}

}  // namespace demitasse

#define KV_APPEND(name, TYPE)                                                                                          \
    KERNEL(demitasse::APPEND_THREADS) name(const demitasse::KvAppendArgs a) { demitasse::append<demitasse::TYPE>(a); } \
    EXPORT(name)

KV_APPEND(kv_append_f32, KvType::F32)
KV_APPEND(kv_append_f16, KvType::F16)
KV_APPEND(kv_append_int8, KvType::INT8)
KV_APPEND(kv_append_fp8, KvType::FP8)
