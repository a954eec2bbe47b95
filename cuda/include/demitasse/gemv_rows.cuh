// How a warp of gemv multiplies a tile of weights by its rows of activations: the policies that gemv.cuh calls Rows.
// Each says at its top which lane holds which sum.
#pragma once

#include <type_traits>

#include "demitasse/tile_stream.cuh"

namespace demitasse {

// Up to four rows of INT8 activations by one `mma` for two groups: the rows of its first operand are eight outputs in a
// first group, and in a second; the columns of its second operand are row 0 in the first group, row 0 in the second,
// row 1, … So lane 4 n + r finds output n of row r: the first group in its first sum, the second in its last, and folds
// them in order. The sums between are of groups that do not meet. Two tiles of outputs share what is loaded of
// activations.
template <Integers KIND, Reach REACH, bool MINIMUM>
struct FourRows {
    static constexpr int ROWS = gemv_rows(4);
    static constexpr int OUTPUTS = GEMV_OUTPUTS;
    static constexpr bool INTEGERS = REACH == Reach::PER_ROW;  // sums of whole rows
    using Partial = std::conditional_t<INTEGERS, int, float>;
    static constexpr bool PREFETCHES = true;
    static constexpr bool EXACT = false;
    template <bool FP16_SCALES>
    using Stream = PairStream<TileStream<KIND, REACH, FP16_SCALES, MINIMUM>>;
    using Tile = WeightTile<KIND>;

    // What the lane gives to the second operands of a tile, and the groups of row lane() % 4.
    struct Inputs {
        uint32_t x[Tile::INPUTS][2];
        HeldPair<MINIMUM> pairs[REACH == Reach::PER_ROW ? 1 : Tile::INPUTS];
    };

    Levels levels;
    const uint8_t* x;
    const GroupPair* groups;
    float sums[2] = {};
    int products[2][4] = {};  // where scales are of whole rows

    DEVICE FourRows(const LinearArgs& a, const Levels& of_places, int first_row, int tile) : levels(of_places) {
        const int last = static_cast<int>(a.rows) - 1;
        const int row = minimum(first_row + lane() / 8, last);
        x = a.q + (row / TILE_OUTPUTS * a.tiles + tile) * Tile::INPUTS * TILE_BYTES +
            chunk_offset(row % TILE_OUTPUTS, lane() % 4) + lane() / 4 % 2 * 8;
        groups = a.groups_of<KIND>(minimum(first_row + lane() % 4, last)) + tile * Tile::INPUTS;
    }

    DEVICE void begin(const LinearArgs&, int) {
#pragma unroll
        for (int t = 0; t < 2; t++) {
            sums[t] = 0;
            products[t][0] = products[t][1] = products[t][2] = products[t][3] = 0;
        }
    }

    DEVICE void load(Inputs& in, int tile) const {
#pragma unroll
        for (int i = 0; i < Tile::INPUTS; i++) {
            load_words(in.x[i], x + (tile * Tile::INPUTS + i) * TILE_BYTES);
            if constexpr (REACH != Reach::PER_ROW) {
                in.pairs[i].load(groups + tile * Tile::INPUTS + i);
            }
        }
    }

    template <class Single, class Place>
    DEVICE void add(const LinearArgs&, const Place& place, const Inputs& in, int) {
#pragma unroll
        for (int t = 0; t < 2; t++) {
            typename Single::Slot tile;
            place.load(tile, t);
#pragma unroll
            for (int i = 0; i < Tile::INPUTS; i++) {
                add_tile(t, i, tile, in);
            }
        }
    }

    template <class Slot>
    DEVICE void add_tile(int t, int i, const Slot& slot, const Inputs& in) {
        uint32_t w[4];
        Tile::unpack(slot.weights, 2 * i, levels, w[0], w[2]);
        Tile::unpack(slot.weights, 2 * i + 1, levels, w[1], w[3]);
        if constexpr (REACH == Reach::PER_ROW) {
            mma_int8_k32(products[t], w, in.x[i][0], in.x[i][1]);
        } else if constexpr (REACH == Reach::PER32) {
            int bits[4];
            mma_int8_k32_onto(bits, SUM_BASE, w, in.x[i][0], in.x[i][1]);
            fold(sums[t], slot, 2 * i, bits[0], in.pairs[i], 0, 0);
            fold(sums[t], slot, 2 * i + 1, bits[3], in.pairs[i], 1, 0);
        } else {
            int low[4];
            int high[4];
            mma_int8_k16_onto(low, SUM_BASE, w[0], w[1], in.x[i][0]);
            mma_int8_k16_onto(high, SUM_BASE, w[2], w[3], in.x[i][1]);
            fold(sums[t], slot, 4 * i, low[0], in.pairs[i], 0, 0);
            fold(sums[t], slot, 4 * i + 1, high[0], in.pairs[i], 0, 1);
            fold(sums[t], slot, 4 * i + 2, low[3], in.pairs[i], 1, 0);
            fold(sums[t], slot, 4 * i + 3, high[3], in.pairs[i], 1, 1);
        }
    }

    template <class Slot>
    DEVICE static void fold(float& sum, const Slot& slot, int i, int bits, const HeldPair<MINIMUM>& pair, int group,
                            int sixteen) {
        sum = slot.fold(i)(number_of_sum(bits), pair.template input<Tile::FACTOR>(REACH, group, sixteen),
                           pair.scale(group), sum);
    }

    // Stores the segment's sums, [row][output].
    DEVICE void store_partials(Partial* to) const {
#pragma unroll
        for (int t = 0; t < 2; t++) {
            const int at = lane() % 4 * OUTPUTS + t * TILE_OUTPUTS + lane() / 4;
            if constexpr (REACH == Reach::PER_ROW) {
                to[at] = products[t][0] + products[t][3];
            } else {
                to[at] = sums[t] * (1.0f / Tile::FACTOR);
            }
        }
    }
};

// Up to eight rows by one `mma` for a group: the rows of its first operand are sixteen outputs, the columns of its
// second are rows of activations. Lane 4 n + r finds outputs n and n + 8 of rows 2 r and 2 r + 1.
template <Integers KIND, Reach REACH, bool MINIMUM>
struct EightRows {
    static constexpr int ROWS = gemv_rows(GEMV_ROWS);
    static constexpr int OUTPUTS = GEMV_OUTPUTS;
    static constexpr bool INTEGERS = REACH == Reach::PER_ROW;  // sums of whole rows
    using Partial = std::conditional_t<INTEGERS, int, float>;
    static constexpr bool PREFETCHES = true;
    static constexpr bool EXACT = false;
    template <bool FP16_SCALES>
    using Stream = PairStream<TileStream<KIND, REACH, FP16_SCALES, MINIMUM>>;
    using Tile = WeightTile<KIND>;

    // A chunk of row lane() / 4, and the groups of the lane's two rows of results.
    struct Inputs {
        uint32_t x[Tile::INPUTS][4];
        HeldPair<MINIMUM> pairs[REACH == Reach::PER_ROW ? 1 : Tile::INPUTS][2];
    };

    Levels levels;
    const uint8_t* x;
    const GroupPair* groups[2];
    float sums[4] = {};    // [tile][row]
    int products[4] = {};  // where scales are of whole rows

    DEVICE EightRows(const LinearArgs& a, const Levels& of_places, int first_row, int tile) : levels(of_places) {
        const int last = static_cast<int>(a.rows) - 1;
        const int row = minimum(first_row + lane() / 4, last);
        x = a.q + (row / TILE_OUTPUTS * a.tiles + tile) * Tile::INPUTS * TILE_BYTES +
            chunk_offset(row % TILE_OUTPUTS, lane() % 4);
        for (int r = 0; r < 2; r++) {
            groups[r] = a.groups_of<KIND>(minimum(first_row + lane() % 4 * 2 + r, last)) + tile * Tile::INPUTS;
        }
    }

    DEVICE void begin(const LinearArgs&, int) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            sums[i] = 0;
            products[i] = 0;
        }
    }

    DEVICE void load(Inputs& in, int tile) const {
#pragma unroll
        for (int i = 0; i < Tile::INPUTS; i++) {
            load_words(in.x[i], x + (tile * Tile::INPUTS + i) * TILE_BYTES);
            if constexpr (REACH != Reach::PER_ROW) {
                in.pairs[i][0].load(groups[0] + tile * Tile::INPUTS + i);
                in.pairs[i][1].load(groups[1] + tile * Tile::INPUTS + i);
            }
        }
    }

    template <class Single, class Place>
    DEVICE void add(const LinearArgs&, const Place& place, const Inputs& in, int) {
        typename Single::Slot tiles[2];
        place.load(tiles[0], 0);
        place.load(tiles[1], 1);
#pragma unroll
        for (int g = 0; g < Tile::GROUPS; g++) {
            const uint32_t* x_of_group = in.x[g / 2] + g % 2 * 2;
            uint32_t w[4];
            Tile::unpack(tiles[0].weights, g, levels, w[0], w[2]);
            Tile::unpack(tiles[1].weights, g, levels, w[1], w[3]);
            if constexpr (REACH == Reach::PER_ROW) {
                mma_int8_k32(products, w, x_of_group[0], x_of_group[1]);
            } else if constexpr (REACH == Reach::PER32) {
                int bits[4];
                mma_int8_k32_onto(bits, SUM_BASE, w, x_of_group[0], x_of_group[1]);
                fold(tiles, g, bits, in.pairs[g / 2], g % 2, 0);
            } else {
#pragma unroll
                for (int sixteen = 0; sixteen < 2; sixteen++) {
                    int bits[4];
                    mma_int8_k16_onto(bits, SUM_BASE, w[2 * sixteen], w[2 * sixteen + 1], x_of_group[sixteen]);
                    fold(tiles, 2 * g + sixteen, bits, in.pairs[g / 2], g % 2, sixteen);
                }
            }
        }
    }

    template <class Slot>
    DEVICE void fold(const Slot (&tiles)[2], int scale, const int (&bits)[4], const HeldPair<MINIMUM> (&pairs)[2],
                     int group, int sixteen) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const HeldPair<MINIMUM>& pair = pairs[i % 2];
            sums[i] = tiles[i / 2].fold(scale)(number_of_sum(bits[i]),
                                               pair.template input<Tile::FACTOR>(REACH, group, sixteen),
                                               pair.scale(group), sums[i]);
        }
    }

    DEVICE void store_partials(Partial* to) const {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int at = (lane() % 4 * 2 + i % 2) * OUTPUTS + i / 2 * TILE_OUTPUTS + lane() / 4;
            if constexpr (REACH == Reach::PER_ROW) {
                to[at] = products[i];
            } else {
                to[at] = sums[i] * (1.0f / Tile::FACTOR);
            }
        }
    }
};

// FP32 activations; a lane sums its own columns of output lane() / 4.
template <Integers KIND, Reach REACH, bool MINIMUM, int ROWS_>
struct FloatRows {
    static constexpr int ROWS = ROWS_;
    static constexpr int OUTPUTS = EXACT_GEMV_OUTPUTS;
    static constexpr bool INTEGERS = false;
    using Partial = float;
    static constexpr bool PREFETCHES = false;
    static constexpr bool EXACT = true;  // activations are FP32
    template <bool FP16_SCALES>
    using Stream = TileStream<KIND, REACH, FP16_SCALES, MINIMUM>;
    using Tile = WeightTile<KIND>;
    struct Inputs {};

    Levels levels;
    int first_row;
    Fold<KIND, true> of_row;  // where scales are of whole rows
    float sums[ROWS] = {};

    DEVICE FloatRows(const LinearArgs&, const Levels& of_places, int row, int) : levels(of_places), first_row(row) {}

    DEVICE void begin(const LinearArgs& a, int block) {
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            sums[r] = 0;
        }
        if constexpr (REACH == Reach::PER_ROW) {
            const int64_t output = minimum(block * TILE_OUTPUTS + lane() / 4, static_cast<int>(a.outputs) - 1);
            of_row = {a.scale(a.scales, output), a.mins != nullptr ? a.scale(a.mins, output) : 0};
        }
    }

    DEVICE void load(Inputs&, int) const {}

    template <class Single, class Place>
    DEVICE void add(const LinearArgs& a, const Place& place, const Inputs&, int tile) {
        typename Single::Slot slot;
        Single::load(slot, place.slot);
        const bool has_minimum = REACH == Reach::PER_ROW ? a.mins != nullptr : MINIMUM;
#pragma unroll
        for (int g = 0; g < Tile::GROUPS; g++) {
            uint32_t words[2];
            Tile::unpack(slot.weights, g, levels, words[0], words[1]);
#pragma unroll
            for (int sixteen = 0; sixteen < 2; sixteen++) {
                float scale = of_row.scale;
                float low = of_row.minimum;
                if constexpr (REACH != Reach::PER_ROW) {
                    const Fold<KIND, MINIMUM> fold = slot.fold(REACH == Reach::PER16 ? 2 * g + sixteen : g);
                    scale = fold.scale;
                    low = fold.minimum;
                }
                // s n, or s (n + 8) + m: what is added to each of them
                low += KIND == Integers::INT4 && has_minimum ? 8 * scale : 0;
                const int column = tile * Tile::COLUMNS + g * 32 + sixteen * 16 + lane() % 4 * 4;
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    const int row = minimum(first_row + r, static_cast<int>(a.rows) - 1);
                    sums[r] = add_word(words[sixteen], a.x + row * a.columns, column, static_cast<int>(a.columns),
                                       scale * (1.0f / Tile::FACTOR), low, sums[r]);
                }
            }
        }
    }

    DEVICE static float add_word(uint32_t word, const float* x, int column, int columns, float scale, float low,
                                 float sum) {
        float products = 0;
        float inputs = 0;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float input = column + i < columns ? x[column + i] : 0;
            products = fmaf(static_cast<float>(static_cast<int8_t>(word >> 8 * i)), input, products);
            inputs += input;
        }
        return fmaf(scale, products, fmaf(low, inputs, sum));
    }

    DEVICE void store_partials(Partial* to) const {
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float sum = quad_sum(sums[r]);
            if (lane() % 4 == 0) {
                to[r * TILE_OUTPUTS + lane() / 4] = sum;
            }
        }
    }
};
template <Integers KIND, Reach REACH, bool MINIMUM>
using OneFloatRow = FloatRows<KIND, REACH, MINIMUM, 1>;
template <Integers KIND, Reach REACH, bool MINIMUM>
using FourFloatRows = FloatRows<KIND, REACH, MINIMUM, EXACT_GEMV_ROWS>;

}  // namespace demitasse
