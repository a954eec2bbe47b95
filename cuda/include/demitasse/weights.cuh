// How integer weights and quantised activations lie in memory, and how their products are folded: what gemv and
// gemm_int8 share, so that one row has the same bits in both.
//
// Weights lie in tiles of 8 outputs by 64 (INT8) or 128 (INT4) columns, 512 bytes, in the order in which the lanes of a
// warp read them: lane l has 16 bytes of output l / 4. For each group of 32 columns that is what `mma` wants of its
// second operand: with c = l % 4 the columns 4 c to 4 c + 3, and those 16 further; INT8 as two words, INT4 as the low and
// the high nibbles of one. Tiles of the same outputs follow each other. Scales and minimums: [tile][output][part], FP16 or
// FP32; parts are groups of 32 or of 16 columns. Weights with one scale a row have [output].
//
// The tiles of a row are cut into at most SEGMENTS segments, by the number of tiles alone. Groups are folded one after
// the other within a segment, and segments added in their order, whatever computes them.
#pragma once

#include "demitasse/kernel.cuh"

namespace demitasse {

constexpr int TILE_OUTPUTS = 8;
constexpr int TILE_BYTES = 512;
constexpr int SEGMENTS = 8;

enum class Part { HALF, GROUP, ROW };  // 16 columns, 32, all

template <int BITS>
struct WeightTile {
    static constexpr int COLUMNS = TILE_BYTES * 8 / TILE_OUTPUTS / BITS;
    static constexpr int GROUPS = COLUMNS / 32;

    // The words of group g: columns 4 c and on, and those 16 further.
    static DEVICE void unpack(const Words4& w, int g, uint32_t& first, uint32_t& second) {
        if constexpr (BITS == 8) {
            first = g == 0 ? w.x : w.z;
            second = g == 0 ? w.y : w.w;
        } else {
            const uint32_t word = g == 0 ? w.x : g == 1 ? w.y : g == 2 ? w.z : w.w;
            first = word & 0x0F0F0F0Fu;
            second = word >> 4 & 0x0F0F0F0Fu;
        }
    }

    static constexpr DEVICE int parts(Part part) { return part == Part::HALF ? 2 * GROUPS : GROUPS; }
};

// A group of 32 columns of a row of activations beside its integers.
struct ActivationGroup {
    float scale;
    int16_t half[2];  // sums of 16 columns each

    DEVICE int sum() const { return half[0] + half[1]; }
};

struct LinearArgs {
    const uint8_t* quants;
    const void* scales;
    const void* mins;  // or null
    int64_t outputs;
    int64_t tiles;                  // of a row
    int64_t half_scales;            // 1: FP16, 0: FP32
    int64_t zero;                   // the integer that stands for zero where there is no minimum
    const float* x;                 // FP32 activations, rows x columns
    const int8_t* q;                // or integers, rows x (tiles x columns of a tile), with zeros beyond the columns
    const ActivationGroup* groups;  // [row][group]
    int64_t columns;
    int64_t rows;
    const float* bias;  // or null
    float* out;         // rows x outputs
    float* partial;     // room for [segment][row][output], where the launch is split over segments

    DEVICE float scale(const void* from, int64_t at) const {
        return half_scales != 0 ? half_to_float(static_cast<const uint16_t*>(from)[at])
                                : static_cast<const float*>(from)[at];
    }
    DEVICE int segments() const { return minimum(SEGMENTS, static_cast<int>(tiles)); }
    DEVICE int segment_begin(int segment) const { return static_cast<int>(segment * tiles / segments()); }
    DEVICE float with_bias(float sum, int64_t output) const { return bias == nullptr ? sum : sum + bias[output]; }
};

// Scale and minimum of a part, and what happens to its sum.
struct Fold {
    float scale;
    float low;
    bool has_minimum;

    // sum + s_a (s_w products + m_w input), where products = sum of q_w q_a and input = sum of q_a.
    DEVICE float operator()(int products, int input, int zero, float activation, float sum) const {
        const float part = has_minimum ? fmaf(scale, static_cast<float>(products), low * static_cast<float>(input))
                                       : scale * static_cast<float>(products - zero * input);
        return fmaf(part, activation, sum);
    }
};

}  // namespace demitasse
