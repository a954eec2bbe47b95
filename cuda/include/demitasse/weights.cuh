// How integer weights and quantized activations lie in memory, and how their products are folded: what gemv and
// gemm_int8 share, so that one row has the same bits in both.
//
// Both lie in tiles of 512 bytes, 8 rows of 64 bytes: weights 8 outputs by 64 (INT8) or 128 (INT4) columns, activations
// 8 rows by 64 columns. Tiles of the same outputs, or rows, follow each other. A row of a tile is four chunks of 16
// bytes; chunk c of row r is the (c ^ r / 2 % 4)-th. That is the 64-byte swizzle of tensor-core operands in shared
// memory, so `wgmma` takes tiles as they are; and a warp that reads the 32 chunks of a tile, one a lane, meets every
// bank once. For each group of 32 columns a chunk has what `mma` wants of one lane: the columns 4 c to 4 c + 3, and
// those 16 further; INT8 as two words, INT4 as the low and the high nibbles of one. A nibble is n = q - 8 as a signed
// integer, so that it becomes a byte of 16 n by a shift and a mask; sums by groups are multiplied by 16 to the end,
// which costs nothing and changes no bit. Weights are s n, or with minimums s q + m.
//
// Or a nibble is the place of an INT8 among sixteen levels, which the matrix brings along; weights are s level then. As
// four neighboring nibbles are looked up together, a word has the lane's first four columns in its lower half and those
// 16 further in its upper one.
//
// Scales and minimums: [tile][output][group], FP16 or FP32; a group is 32 or 16 columns (Reach). Weights with one scale
// a row have [output].
//
// The tiles of a row are cut into at most SEGMENTS segments, by the number of tiles alone. Groups are folded one after
// the other within a segment, and segments added in their order, whatever computes them.
#pragma once

#include "demitasse/output.cuh"

namespace demitasse {

// Where chunk c of row r of a tile lies.
DEVICE int chunk_offset(int row, int c) { return row * 64 + (c ^ row / 2 % 4) * 16; }

// Which columns of a weight row share a scale: 16, 32, or all.
enum class Reach { PER16, PER32, PER_ROW };

// The same as a number; 0 for all.
constexpr DEVICE int columns_of(Reach reach) { return reach == Reach::PER16 ? 16 : reach == Reach::PER32 ? 32 : 0; }

// How integers are stored: as bytes, as nibbles, or as places of levels.
enum class Integers : int64_t { INT8, INT4, LEVELS };

constexpr DEVICE int bits_of(Integers kind) { return kind == Integers::INT8 ? 8 : 4; }

// Sixteen INT8; as arguments eight a word.
struct Levels {
    uint32_t words[4];

    DEVICE explicit Levels(const uint64_t* from)
        : words{static_cast<uint32_t>(from[0]), static_cast<uint32_t>(from[0] >> 32), static_cast<uint32_t>(from[1]),
                static_cast<uint32_t>(from[1] >> 32)} {}

    // The levels of eight places, four a word.
    DEVICE void find(uint32_t places, uint32_t& first, uint32_t& second) const {
        const uint32_t within = places & 0x77777777u;  // a half of the levels
        const uint32_t half = (places & 0x88888888u) >> 1 | 0x32103210u;
        first = byte_perm(byte_perm(words[0], words[1], within & 0xFFFF),
                          byte_perm(words[2], words[3], within & 0xFFFF), half & 0xFFFF);
        second = byte_perm(byte_perm(words[0], words[1], within >> 16), byte_perm(words[2], words[3], within >> 16),
                           half >> 16);
    }
    // The level of one.
    DEVICE int of(int place) const {
        uint32_t first, second;
        find(static_cast<uint32_t>(place), first, second);
        return static_cast<int8_t>(first);
    }
};

template <Integers KIND>
struct WeightTile {
    static constexpr int BITS = bits_of(KIND);
    static constexpr int COLUMNS = tile_columns(BITS);
    static constexpr int GROUPS = COLUMNS / INPUT_GROUP;
    static constexpr int INPUTS = COLUMNS / INPUT_COLUMNS;          // tiles of activations that meet it
    static constexpr int FACTOR = KIND == Integers::INT4 ? 16 : 1;  // of integers as they are unpacked

    // Group g of a chunk's words: columns 4 c and on, and those 16 further.
    static DEVICE void unpack(const uint32_t* words, int g, const Levels& levels, uint32_t& first, uint32_t& second) {
        if constexpr (KIND == Integers::INT8) {
            first = words[2 * g];
            second = words[2 * g + 1];
        } else if constexpr (KIND == Integers::INT4) {
            first = words[g] << 4 & 0xF0F0F0F0u;
            second = words[g] & 0xF0F0F0F0u;
        } else {
            levels.find(words[g], first, second);
        }
    }

    // Scales of an output, where they are not of whole rows.
    static constexpr DEVICE int scales(Reach reach) { return reach == Reach::PER16 ? 2 * GROUPS : GROUPS; }
};

// Two groups of 32 columns of a row of activations, beside their integers.
struct alignas(16) GroupPair {
    float scales[2];
    uint32_t sums16[2];  // sums of 16 columns each, as 16-bit integers

    DEVICE int sum(int group) const { return sum_of_int16(sums16[group]); }
};

// The same as a lane holds it; without the sums where no minimum wants them.
template <bool SUMS>
struct HeldPair {
    uint32_t words[SUMS ? 4 : 2];

    DEVICE void load(const void* from) { load_words(words, from); }
    DEVICE float scale(int group) const { return __uint_as_float(words[group]); }
    // FACTOR times the sum of the activations that meet a scale: of the i-th 16 columns of the group, or of all 32.
    template <int FACTOR>
    DEVICE float input(Reach reach, int group, int i) const {
        if constexpr (SUMS) {
            const uint32_t sums16 = words[2 + group];
            return static_cast<float>(
                FACTOR * (reach == Reach::PER16 ? static_cast<int16_t>(sums16 >> 16 * i) : sum_of_int16(sums16)));
        }
        return 0;
    }
};

// Sums of a group begin as the bits of 3 x 2^22, so that they are the bits of FP32 numbers, and a subtraction converts
// them; a group's sum is at most 32 x 128 x 128.
constexpr int SUM_BASE = 0x4B400000;
DEVICE float number_of_sum(int bits) { return __uint_as_float(static_cast<uint32_t>(bits)) - 12582912.0f; }

// What happens to a group's sum: it meets its scale, and a minimum is added to each of its weights.
template <Integers KIND, bool MINIMUM>
struct Fold {
    float scale;
    float minimum;

    // sum + s_a (s_w sum(q_w q_a) + m_w sum(q_a)); products, input and sum are FACTOR times theirs.
    DEVICE float operator()(float products, float input, float activation, float sum) const {
        if constexpr (MINIMUM) {
            const float unsigned_products = KIND == Integers::INT4 ? fmaf(8, input, products) : products;  // exact
            return fmaf(fmaf(scale, unsigned_products, minimum * input), activation, sum);
        } else {
            return fmaf(scale * products, activation, sum);
        }
    }
};

// Scales or minimums `at`, an even number, and the next.
DEVICE void load_scale_pair(float (&to)[2], const void* from, int64_t at, bool fp16) {
    if (fp16) {
        uint32_t word[1];
        load_words(word, static_cast<const uint16_t*>(from) + at);
        to[0] = fp16_to_float(static_cast<uint16_t>(word[0]));
        to[1] = fp16_to_float(static_cast<uint16_t>(word[0] >> 16));
    } else {
        uint32_t words[2];
        load_words(words, static_cast<const float*>(from) + at);
        to[0] = __uint_as_float(words[0]);
        to[1] = __uint_as_float(words[1]);
    }
}

// Up to some rows of a group, from `begin` on; none where `end` is `begin`. A list of them in device memory says which
// rows of a grouped product meet which of its matrices (experts.cuh).
struct alignas(16) GroupTile {
    int32_t group;
    int32_t begin;
    int32_t end;
    int32_t unused;
};
static_assert(sizeof(GroupTile) == 4 * GROUP_TILE_WORDS);

struct LinearArgs {
    const uint8_t* quants;
    const void* scales;
    const void* mins;  // or null
    int64_t outputs;
    int64_t tiles;            // of a row
    int64_t fp16_scales;      // 1: FP16, 0: FP32
    const float* x;           // FP32 activations, rows x columns
    const uint8_t* q;         // or integers in tiles, with zeros beyond the columns
    const GroupPair* groups;  // [row][tile of activations]
    int64_t columns;
    int64_t rows;
    const float* bias;     // or null
    Output out;            // rows x outputs
    float* partial;        // room for [segment][row][output], where the launch is split over segments
    int64_t group_stride;  // bytes from a group's weights to the next one's; biases follow each other

    // The matrix of a tile's group; rows are those of all groups, up to the tile's last.
    DEVICE LinearArgs of(const GroupTile& tile) const {
        LinearArgs own = *this;
        const int64_t offset = tile.group * group_stride;
        own.quants += offset;
        own.scales = static_cast<const uint8_t*>(scales) + offset;
        own.mins = mins == nullptr ? nullptr : static_cast<const uint8_t*>(mins) + offset;
        own.bias = bias == nullptr ? nullptr : bias + tile.group * outputs;
        own.rows = tile.end;
        return own;
    }

    DEVICE float scale(const void* from, int64_t at) const {
        return fp16_scales != 0 ? fp16_to_float(static_cast<const uint16_t*>(from)[at])
                                : static_cast<const float*>(from)[at];
    }
    // Where the groups of a row begin.
    template <Integers KIND>
    DEVICE const GroupPair* groups_of(int64_t row) const {
        return groups + row * tiles * WeightTile<KIND>::INPUTS;
    }
    // The sum of a row's integers, where it is needed.
    template <Integers KIND>
    DEVICE int row_input(int64_t row) const {
        const GroupPair* pairs = groups_of<KIND>(row);
        int sum = 0;
        for (int i = 0; mins != nullptr && i < tiles * WeightTile<KIND>::INPUTS; i++) {
            sum += pairs[i].sum(0) + pairs[i].sum(1);
        }
        return sum;
    }
    // A row's result where scales are of whole rows: products as FACTOR times integers, and the row's sum of integers.
    template <Integers KIND>
    DEVICE float fold_row(int products, int input, float activation, int64_t output) const {
        products /= WeightTile<KIND>::FACTOR;
        const float s = scale(scales, output);
        if (mins == nullptr) {
            return Fold<KIND, false>{s, 0}(static_cast<float>(products), 0, activation, 0);
        }
        return Fold<Integers::INT8, true>{s, scale(mins, output)}(
            static_cast<float>(products + (KIND == Integers::INT4 ? 8 * input : 0)), static_cast<float>(input),
            activation, 0);
    }
    DEVICE int segments() const { return row_segments(static_cast<int>(tiles)); }
    DEVICE int segment_begin(int segment) const { return segment * static_cast<int>(tiles) / segments(); }
    DEVICE float with_bias(float sum, int64_t output) const { return bias == nullptr ? sum : sum + bias[output]; }
};

// Up to four matrices with the same activations and of the same kind, in one launch: blocks along x take the outputs of
// the first, then of the second, …
struct LinearBatch {
    LinearArgs each[4];
    int64_t blocks[4];       // along x, of each
    const GroupTile* tiles;  // of a grouped product, one for each block along y
    uint64_t levels[2];      // where integers are places of them

    // The matrix of a block, which becomes the block's number within it, of `count`.
    DEVICE const LinearArgs& of(int& block, int& count) const {
        int i = 0;
        while (i < LINEAR_BATCH - 1 && block >= blocks[i]) {
            block -= static_cast<int>(blocks[i++]);
        }
        count = static_cast<int>(blocks[i]);
        return each[i];
    }
    DEVICE const LinearArgs& of(int& block) const {
        int count;
        return of(block, count);
    }
};
static_assert(sizeof(LinearBatch) == LINEAR_BATCH * (sizeof(LinearArgs) + 8) + 24);
static_assert(sizeof(GroupPair) == 2 * GROUP_BYTES);

}  // namespace demitasse
