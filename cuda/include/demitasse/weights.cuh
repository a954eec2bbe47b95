// How integer weights and quantised activations lie in memory, and how their products are folded: what gemv and
// gemm_int8 share, so that one row has the same bits in both.
//
// Both lie in tiles of 512 bytes, 8 rows of 64 bytes: weights 8 outputs by 64 (INT8) or 128 (INT4) columns, activations 8
// rows by 64 columns. Tiles of the same outputs, or rows, follow each other. A row of a tile is four chunks of 16 bytes;
// chunk c of row r is the (c ^ r / 2 % 4)-th. That is the 64-byte swizzle of tensor-core operands in shared memory, so
// `wgmma` takes tiles as they are; and a warp that reads the 32 chunks of a tile, one a lane, meets every bank once.
// For each group of 32 columns a chunk has what `mma` wants of one lane: the columns 4 c to 4 c + 3, and those 16
// further; INT8 as two words, INT4 as the low and the high nibbles of one.
//
// Scales and minimums: [tile][output][part], FP16 or FP32; parts are groups of 32 or of 16 columns. Weights with one
// scale a row have [output].
//
// The tiles of a row are cut into at most SEGMENTS segments, by the number of tiles alone. Groups are folded one after
// the other within a segment, and segments added in their order, whatever computes them.
#pragma once

#include "demitasse/output.cuh"

namespace demitasse {

constexpr int TILE_OUTPUTS = 8;  // rows of a tile, of activations too
constexpr int TILE_BYTES = 512;
constexpr int INPUT_COLUMNS = 64;  // columns of a tile of activations
constexpr int SEGMENTS = 8;

// Where chunk c of row r of a tile lies.
DEVICE int chunk_offset(int row, int c) { return row * 64 + (c ^ row / 2 % 4) * 16; }

enum class Part { HALF, GROUP, ROW };  // 16 columns, 32, all

template <int BITS>
struct WeightTile {
    static constexpr int COLUMNS = TILE_BYTES * 8 / TILE_OUTPUTS / BITS;
    static constexpr int GROUPS = COLUMNS / 32;
    static constexpr int INPUTS = COLUMNS / INPUT_COLUMNS;  // tiles of activations that meet it

    // Group g of a chunk's words: columns 4 c and on, and those 16 further.
    static DEVICE void unpack(const uint32_t* words, int g, uint32_t& first, uint32_t& second) {
        first = BITS == 8 ? words[2 * g] : words[g] & 0x0F0F0F0Fu;
        second = BITS == 8 ? words[2 * g + 1] : words[g] >> 4 & 0x0F0F0F0Fu;
    }

    static constexpr DEVICE int parts(Part part) { return part == Part::HALF ? 2 * GROUPS : GROUPS; }
};

// A group of 32 columns of a row of activations beside its integers.
struct alignas(8) ActivationGroup {
    float scale;
    uint32_t halves;  // sums of 16 columns each, as 16-bit integers

    DEVICE int half(int i) const { return static_cast<int16_t>(halves >> 16 * i); }
    DEVICE int sum() const { return sum_of_halves(halves); }
};

// Two groups at a multiple of 16 bytes.
DEVICE void load_groups(ActivationGroup (&groups)[2], const ActivationGroup* from) {
    const Words4 w = load16(from);
    groups[0] = {__uint_as_float(w.x), w.y};
    groups[1] = {__uint_as_float(w.z), w.w};
}

struct Fold;

struct LinearArgs {
    const uint8_t* quants;
    const void* scales;
    const void* mins;  // or null
    int64_t outputs;
    int64_t tiles;                  // of a row
    int64_t half_scales;            // 1: FP16, 0: FP32
    int64_t zero;                   // the integer that stands for zero where there is no minimum
    const float* x;                 // FP32 activations, rows x columns
    const uint8_t* q;               // or integers in tiles, with zeros beyond the columns
    const ActivationGroup* groups;  // [row][group]
    int64_t columns;
    int64_t rows;
    const float* bias;  // or null
    Output out;         // rows x outputs
    float* partial;     // room for [segment][row][output], where the launch is split over segments

    DEVICE float scale(const void* from, int64_t at) const {
        return half_scales != 0 ? half_to_float(static_cast<const uint16_t*>(from)[at])
                                : static_cast<const float*>(from)[at];
    }
    // The sum of a row's integers, of which these are the groups, where it is needed.
    DEVICE int row_input(const ActivationGroup* of_row, int count) const {
        int sum = 0;
        for (int g = 0; (mins != nullptr || zero != 0) && g < count; g++) {
            sum += of_row[g].sum();
        }
        return sum;
    }
    // A row's sum of whole-row parts; input: the sum of its integers.
    DEVICE float fold_row(int products, int input, float activation, int64_t output) const;
    DEVICE Fold fold_of_row(int64_t output) const;
    DEVICE int segments() const { return minimum(SEGMENTS, static_cast<int>(tiles)); }
    DEVICE int segment_begin(int segment) const { return segment * static_cast<int>(tiles) / segments(); }
    DEVICE float with_bias(float sum, int64_t output) const { return bias == nullptr ? sum : sum + bias[output]; }
};

// Up to three matrices with the same activations and of the same kind, in one launch: blocks along x take the outputs of
// the first, then of the second, …
struct LinearBatch {
    LinearArgs each[3];
    int64_t blocks[3];  // along x, of each

    // The matrix of a block, which becomes the block's number within it.
    DEVICE const LinearArgs& of(int& block) const {
        int i = 0;
        while (i < 2 && block >= blocks[i]) {
            block -= static_cast<int>(blocks[i++]);
        }
        return each[i];
    }
};

// Scale and minimum of a part, and what happens to its sum: a minimum is added to each of its weights, and where an integer
// stands for zero, it is that integer's weight, negative.
struct Fold {
    float scale;
    float low;

    static DEVICE float low_of_zero(float scale, float zero) { return -scale * zero; }

    // sum + s_a (s_w products + m_w input), where products = sum of q_w q_a and input = sum of q_a.
    DEVICE float operator()(int products, int input, float activation, float sum) const {
        const float part = fmaf(scale, static_cast<float>(products), low * static_cast<float>(input));
        return fmaf(part, activation, sum);
    }
};

DEVICE Fold LinearArgs::fold_of_row(int64_t output) const {
    const float s = scale(scales, output);
    return {s, mins != nullptr ? scale(mins, output) : Fold::low_of_zero(s, static_cast<float>(zero))};
}

DEVICE float LinearArgs::fold_row(int products, int input, float activation, int64_t output) const {
    if (mins == nullptr) {
        products -= static_cast<int>(zero) * input;  // exact, where FP32 would not hold the two sums
    }
    const Fold fold{scale(scales, output), mins != nullptr ? scale(mins, output) : 0};
    return fold(products, input, activation, 0);
}

}  // namespace demitasse
