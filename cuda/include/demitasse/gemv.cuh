// What gemv_int4.cu and gemv_int8.cu are made of: few rows times integer weights.
#pragma once

#include "demitasse/weights.cuh"

namespace demitasse {

// What a lane holds of a tile: a chunk of 16 bytes of output lane() / 4, and all scales and minimums of that output.
template <int BITS, Part PART, bool HALF_SCALES, bool MINIMUM>
struct TileSlot {
    using Tile = WeightTile<BITS>;
    static constexpr int WORDS = PART == Part::ROW ? 1 : Tile::parts(PART) / (HALF_SCALES ? 2 : 1);
    uint32_t weights[4];
    uint32_t scales[WORDS];
    uint32_t mins[MINIMUM ? WORDS : 1];

    DEVICE static float number(const uint32_t* words, int part) {
        return HALF_SCALES ? half_to_float(static_cast<uint16_t>(words[part / 2] >> 16 * (part % 2)))
                           : __uint_as_float(words[part]);
    }
    DEVICE Fold<BITS, MINIMUM> fold(int part) const { return {number(scales, part), MINIMUM ? number(mins, part) : 0}; }
};

// Where a lane reads tiles of a segment: pointers that move on, so that tiles nearby are at constant distances.
template <int BITS, Part PART, bool HALF_SCALES, bool MINIMUM>
struct TileStream {
    using Slot = TileSlot<BITS, PART, HALF_SCALES, MINIMUM>;
    static constexpr int WORDS = 4 + (PART == Part::ROW ? 0 : Slot::WORDS * (MINIMUM ? 2 : 1));  // of a slot
    const uint8_t* weights;
    const uint32_t* scales = nullptr;
    const uint32_t* mins = nullptr;

    DEVICE TileStream(const LinearArgs& a, int block, int tile) {
        const int64_t at = block * a.tiles + tile;
        weights = a.quants + at * TILE_BYTES + chunk_offset(lane() / 4, lane() % 4);
        if constexpr (PART != Part::ROW) {
            const int64_t word = (at * TILE_OUTPUTS + lane() / 4) * Slot::WORDS;
            scales = static_cast<const uint32_t*>(a.scales) + word;
            mins = MINIMUM ? static_cast<const uint32_t*>(a.mins) + word : nullptr;
        }
    }

    DEVICE void load(Slot& slot, int ahead) const {
        const Words4 w = load_once(weights + ahead * TILE_BYTES);
        slot.weights[0] = w.x;
        slot.weights[1] = w.y;
        slot.weights[2] = w.z;
        slot.weights[3] = w.w;
        if constexpr (PART != Part::ROW) {
            load_words(slot.scales, scales + ahead * TILE_OUTPUTS * Slot::WORDS);
            if constexpr (MINIMUM) {
                load_words(slot.mins, mins + ahead * TILE_OUTPUTS * Slot::WORDS);
            }
        }
    }

    DEVICE void advance(int tiles) {
        weights += tiles * TILE_BYTES;
        scales += PART != Part::ROW ? tiles * TILE_OUTPUTS * Slot::WORDS : 0;
        mins += PART != Part::ROW && MINIMUM ? tiles * TILE_OUTPUTS * Slot::WORDS : 0;
    }
};

// The same of two tiles, one below the other.
template <class Single>
struct PairStream {
    struct Slot {
        typename Single::Slot tiles[2];
    };
    static constexpr int WORDS = 2 * Single::WORDS;
    Single streams[2];

    // block: of two tiles; where there is no second one, the first is read again, and its results are left out.
    DEVICE PairStream(const LinearArgs& a, int block, int tile)
        : streams{Single(a, 2 * block, tile),
                  Single(a, (2 * block + 1) * TILE_OUTPUTS < a.outputs ? 2 * block + 1 : 2 * block, tile)} {}

    DEVICE void load(Slot& slot, int ahead) const {
        streams[0].load(slot.tiles[0], ahead);
        streams[1].load(slot.tiles[1], ahead);
    }

    DEVICE void advance(int tiles) {
        streams[0].advance(tiles);
        streams[1].advance(tiles);
    }
};

// Up to four rows of INT8 activations by one `mma` for two groups: the rows of its first operand are eight outputs in a first
// group, and in a second; the columns of its second operand are row 0 in the first group, row 0 in the second, row 1, … So
// lane 4 n + r finds output n of row r: the first group in its first sum, the second in its last, and folds them in order.
// The sums between are of groups that do not meet.
template <int BITS, Part PART, bool MINIMUM>
struct FourRows {
    static constexpr int ROWS = 4;
    static constexpr int OUTPUTS = TILE_OUTPUTS;
    static constexpr bool WHOLE = PART == Part::ROW;  // sums are integers of whole rows
    template <bool HALF_SCALES>
    using Stream = TileStream<BITS, PART, HALF_SCALES, MINIMUM>;
    using Tile = WeightTile<BITS>;

    // What the lane gives to the second operands of a tile, and the groups of row lane() % 4.
    struct Inputs {
        uint32_t x[Tile::INPUTS][2];
        HeldPair<MINIMUM> pairs[PART == Part::ROW ? 1 : Tile::INPUTS];
    };
    static constexpr int WORDS = Tile::INPUTS * (2 + (PART == Part::ROW ? 0 : MINIMUM ? 4 : 2));

    const uint8_t* x;
    const GroupPair* groups;
    float sum = 0;
    int products[4] = {};  // where a row is one part

    DEVICE FourRows(const LinearArgs& a, int first_row, int tile) {
        const int last = static_cast<int>(a.rows) - 1;
        const int row = minimum(first_row + lane() / 8, last);
        x = a.q + (row / TILE_OUTPUTS * a.tiles + tile) * Tile::INPUTS * TILE_BYTES +
            chunk_offset(row % TILE_OUTPUTS, lane() % 4) + lane() / 4 % 2 * 8;
        groups = a.groups_of<BITS>(minimum(first_row + lane() % 4, last)) + tile * Tile::INPUTS;
    }

    DEVICE void begin(const LinearArgs&, int) {
        sum = 0;
        products[0] = products[1] = products[2] = products[3] = 0;
    }

    DEVICE void load(Inputs& in, int tile) const {
#pragma unroll
        for (int i = 0; i < Tile::INPUTS; i++) {
            load_words(in.x[i], x + (tile * Tile::INPUTS + i) * TILE_BYTES);
            if constexpr (PART != Part::ROW) {
                in.pairs[i].load(groups + tile * Tile::INPUTS + i);
            }
        }
    }

    template <class Slot>
    DEVICE void add(const LinearArgs&, const Slot& slot, const Inputs& in, int) {
#pragma unroll
        for (int i = 0; i < Tile::INPUTS; i++) {
            uint32_t w[4];
            Tile::unpack(slot.weights, 2 * i, w[0], w[2]);
            Tile::unpack(slot.weights, 2 * i + 1, w[1], w[3]);
            if constexpr (PART == Part::ROW) {
                mma_int8_k32(products, w, in.x[i][0], in.x[i][1]);
            } else if constexpr (PART == Part::GROUP) {
                int sums[4];
                mma_int8_k32_onto(sums, SUM_BASE, w, in.x[i][0], in.x[i][1]);
                fold(slot, 2 * i, sums[0], in.pairs[i], 0, 0);
                fold(slot, 2 * i + 1, sums[3], in.pairs[i], 1, 0);
            } else {
                int low[4];
                int high[4];
                mma_int8_k16_onto(low, SUM_BASE, w[0], w[1], in.x[i][0]);
                mma_int8_k16_onto(high, SUM_BASE, w[2], w[3], in.x[i][1]);
                fold(slot, 4 * i, low[0], in.pairs[i], 0, 0);
                fold(slot, 4 * i + 1, high[0], in.pairs[i], 0, 1);
                fold(slot, 4 * i + 2, low[3], in.pairs[i], 1, 0);
                fold(slot, 4 * i + 3, high[3], in.pairs[i], 1, 1);
            }
        }
    }

    template <class Slot>
    DEVICE void fold(const Slot& slot, int part, int bits, const HeldPair<MINIMUM>& pair, int group, int half) {
        sum = slot.fold(part)(number_of_sum(bits), pair.template input<Tile::FACTOR>(PART, group, half),
                              pair.scale(group), sum);
    }

    // Leaves the segment's sums, of whole rows as integers, [row][output].
    template <class Left>
    DEVICE void leave(Left* left) const {
        const int at = lane() % 4 * TILE_OUTPUTS + lane() / 4;
        if constexpr (PART == Part::ROW) {
            left[at] = products[0] + products[3];
        } else {
            left[at] = sum * (1.0f / Tile::FACTOR);
        }
    }
};

// Up to eight rows by one `mma` for a group: the rows of its first operand are sixteen outputs, the columns of its second are
// rows of activations. Lane 4 n + r finds outputs n and n + 8 of rows 2 r and 2 r + 1.
template <int BITS, Part PART, bool MINIMUM>
struct EightRows {
    static constexpr int ROWS = 8;
    static constexpr int OUTPUTS = 2 * TILE_OUTPUTS;
    static constexpr bool WHOLE = PART == Part::ROW;  // sums are integers of whole rows
    template <bool HALF_SCALES>
    using Stream = PairStream<TileStream<BITS, PART, HALF_SCALES, MINIMUM>>;
    using Tile = WeightTile<BITS>;

    // A chunk of row lane() / 4, and the groups of the lane's two rows of results.
    struct Inputs {
        uint32_t x[Tile::INPUTS][4];
        HeldPair<MINIMUM> pairs[PART == Part::ROW ? 1 : Tile::INPUTS][2];
    };
    static constexpr int WORDS = Tile::INPUTS * (4 + (PART == Part::ROW ? 0 : MINIMUM ? 8 : 4));

    const uint8_t* x;
    const GroupPair* groups[2];
    float sums[4] = {};    // [tile][row]
    int products[4] = {};  // where a row is one part

    DEVICE EightRows(const LinearArgs& a, int first_row, int tile) {
        const int last = static_cast<int>(a.rows) - 1;
        const int row = minimum(first_row + lane() / 4, last);
        x = a.q + (row / TILE_OUTPUTS * a.tiles + tile) * Tile::INPUTS * TILE_BYTES +
            chunk_offset(row % TILE_OUTPUTS, lane() % 4);
        for (int r = 0; r < 2; r++) {
            groups[r] = a.groups_of<BITS>(minimum(first_row + lane() % 4 * 2 + r, last)) + tile * Tile::INPUTS;
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
            if constexpr (PART != Part::ROW) {
                in.pairs[i][0].load(groups[0] + tile * Tile::INPUTS + i);
                in.pairs[i][1].load(groups[1] + tile * Tile::INPUTS + i);
            }
        }
    }

    template <class Slot>
    DEVICE void add(const LinearArgs&, const Slot& slot, const Inputs& in, int) {
#pragma unroll
        for (int g = 0; g < Tile::GROUPS; g++) {
            const uint32_t* x_of_group = in.x[g / 2] + g % 2 * 2;
            uint32_t w[4];
            Tile::unpack(slot.tiles[0].weights, g, w[0], w[2]);
            Tile::unpack(slot.tiles[1].weights, g, w[1], w[3]);
            if constexpr (PART == Part::ROW) {
                mma_int8_k32(products, w, x_of_group[0], x_of_group[1]);
            } else if constexpr (PART == Part::GROUP) {
                int bits[4];
                mma_int8_k32_onto(bits, SUM_BASE, w, x_of_group[0], x_of_group[1]);
                fold(slot, g, bits, in.pairs[g / 2], g % 2, 0);
            } else {
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    int bits[4];
                    mma_int8_k16_onto(bits, SUM_BASE, w[2 * half], w[2 * half + 1], x_of_group[half]);
                    fold(slot, 2 * g + half, bits, in.pairs[g / 2], g % 2, half);
                }
            }
        }
    }

    template <class Slot>
    DEVICE void fold(const Slot& slot, int part, const int (&bits)[4], const HeldPair<MINIMUM> (&pairs)[2], int group,
                     int half) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const HeldPair<MINIMUM>& pair = pairs[i % 2];
            sums[i] = slot.tiles[i / 2].fold(part)(number_of_sum(bits[i]),
                                                   pair.template input<Tile::FACTOR>(PART, group, half),
                                                   pair.scale(group), sums[i]);
        }
    }

    template <class Left>
    DEVICE void leave(Left* left) const {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int at = (lane() % 4 * 2 + i % 2) * OUTPUTS + i / 2 * TILE_OUTPUTS + lane() / 4;
            if constexpr (PART == Part::ROW) {
                left[at] = products[i];
            } else {
                left[at] = sums[i] * (1.0f / Tile::FACTOR);
            }
        }
    }
};

// FP32 activations; a lane sums its own columns of output lane() / 4.
template <int BITS, Part PART, bool MINIMUM, int ROWS_>
struct FloatRows {
    static constexpr int ROWS = ROWS_;
    static constexpr int OUTPUTS = TILE_OUTPUTS;
    static constexpr bool WHOLE = false;
    template <bool HALF_SCALES>
    using Stream = TileStream<BITS, PART, HALF_SCALES, MINIMUM>;
    using Tile = WeightTile<BITS>;
    struct Inputs {};
    static constexpr int WORDS = 0;

    int first_row;
    Fold<BITS, true> of_row;  // where a row is one part
    float sums[ROWS] = {};

    DEVICE FloatRows(const LinearArgs&, int row, int) : first_row(row) {}

    DEVICE void begin(const LinearArgs& a, int block) {
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            sums[r] = 0;
        }
        if constexpr (PART == Part::ROW) {
            const int64_t output = minimum(block * TILE_OUTPUTS + lane() / 4, static_cast<int>(a.outputs) - 1);
            of_row = {a.scale(a.scales, output), a.mins != nullptr ? a.scale(a.mins, output) : 0};
        }
    }

    DEVICE void load(Inputs&, int) const {}

    template <class Slot>
    DEVICE void add(const LinearArgs& a, const Slot& slot, const Inputs&, int tile) {
        const bool has_minimum = PART == Part::ROW ? a.mins != nullptr : MINIMUM;
#pragma unroll
        for (int g = 0; g < Tile::GROUPS; g++) {
            uint32_t words[2];
            Tile::unpack(slot.weights, g, words[0], words[1]);
#pragma unroll
            for (int half = 0; half < 2; half++) {
                float scale = of_row.scale;
                float low = of_row.minimum;
                if constexpr (PART != Part::ROW) {
                    const Fold<BITS, MINIMUM> fold = slot.fold(PART == Part::HALF ? 2 * g + half : g);
                    scale = fold.scale;
                    low = fold.minimum;
                }
                // s n, or s (n + 8) + m: what is added to each of them
                low += BITS == 4 && has_minimum ? 8 * scale : 0;
                const int column = tile * Tile::COLUMNS + g * 32 + half * 16 + lane() % 4 * 4;
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    const int row = minimum(first_row + r, static_cast<int>(a.rows) - 1);
                    sums[r] = add_word(words[half], a.x + row * a.columns, column, static_cast<int>(a.columns),
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

    template <class Left>
    DEVICE void leave(Left* left) const {
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float sum = quad_sum(sums[r]);
            if (lane() % 4 == 0) {
                left[r * TILE_OUTPUTS + lane() / 4] = sum;
            }
        }
    }
};
template <int BITS, Part PART, bool MINIMUM>
using OneFloatRow = FloatRows<BITS, PART, MINIMUM, 1>;
template <int BITS, Part PART, bool MINIMUM>
using FourFloatRows = FloatRows<BITS, PART, MINIMUM, 4>;

// A thread's result: the sums of the segments, in their order. thread: [row][output].
template <int BITS, class Rows, class Left>
DEVICE void finish_rows(const LinearArgs& a, const Left* left, int block, int first_row, int thread) {
    const int64_t row = first_row + thread / Rows::OUTPUTS;
    const int64_t output = static_cast<int64_t>(block) * Rows::OUTPUTS + thread % Rows::OUTPUTS;
    if (thread >= Rows::ROWS * Rows::OUTPUTS || row >= a.rows || output >= a.outputs) {
        return;
    }
    Left sum = left[thread];
    for (int s = 1; s < a.segments(); s++) {
        sum += left[s * Rows::ROWS * Rows::OUTPUTS + thread];
    }
    float result;
    if constexpr (Rows::WHOLE) {
        result = a.fold_row<BITS>(sum, a.row_input<BITS>(row), a.groups_of<BITS>(row)->scales[0], output);
    } else {
        result = sum;
    }
    a.out.store(row * a.outputs + output, a.with_bias(result, output));
}

// The work of a warp: its segment of the columns of `blocks` times Rows::OUTPUTS outputs. As many tiles are on their way as
// REGISTERS hold, also from one block of outputs to the next.
template <int BITS, template <int, Part, bool> class RowsOf, Part PART, bool HALF_SCALES, bool MINIMUM, int REGISTERS,
          class Left>
DEVICE void multiply(const LinearArgs& a, int first_block, int blocks, int first_row, Left* left) {
    using Rows = RowsOf<BITS, PART, MINIMUM>;
    using Stream = typename Rows::template Stream<HALF_SCALES>;
    constexpr int HELD = REGISTERS / (Stream::WORDS + Rows::WORDS);
    constexpr int SLOTS = HELD < 1 ? 1 : HELD > 6 ? 6 : HELD;
    constexpr int RESULTS = Rows::ROWS * Rows::OUTPUTS;
    const int segment = warp();
    const bool works = segment < a.segments();
    const int first = works ? a.segment_begin(segment) : 0;
    const int count = works ? a.segment_begin(segment + 1) - first : 0;
    Rows rows(a, first_row, first);
    Stream here(a, first_block, first);
    typename Stream::Slot slots[SLOTS];
    typename Rows::Inputs inputs[SLOTS];
#pragma unroll
    for (int i = 0; i < SLOTS; i++) {
        if (i < count) {
            here.load(slots[i], i);
            rows.load(inputs[i], i);
        }
    }
    for (int b = 0; b < blocks; b++) {
        const Stream next(a, first_block + minimum(b + 1, blocks - 1), first);
        rows.begin(a, first_block + b);
        for (int at = 0; at < count; at += SLOTS) {
#pragma unroll
            for (int i = 0; i < SLOTS; i++) {
                if (at + i < count) {
                    rows.add(a, slots[i], inputs[i], first + at + i);
                    if (at + i + SLOTS < count) {
                        here.load(slots[i], i + SLOTS);
                        rows.load(inputs[i], at + i + SLOTS);
                    } else if (b + 1 < blocks) {
                        next.load(slots[i], i);
                        rows.load(inputs[i], i);
                    }
                }
            }
            here.advance(SLOTS);
        }
        here = next;
        // Two buffers, so that one barrier is enough: who writes to a buffer again has met those who read it.
        Left* buffer = left + b % 2 * SEGMENTS * RESULTS;
        if (works) {
            rows.leave(buffer + segment * RESULTS);
        }
        __syncthreads();
        finish_rows<BITS, Rows>(a, buffer, first_block + b, first_row, (static_cast<int>(threadIdx.x) + 32 * b) % 256);
    }
}

template <int BITS, template <int, Part, bool> class RowsOf, Part PART, int REGISTERS, class Left>
DEVICE void gemv(const LinearBatch& batch) {
    using Rows = RowsOf<BITS, PART, false>;
    SHARED(Left, left, 2 * SEGMENTS * Rows::ROWS * Rows::OUTPUTS);
    int block = static_cast<int>(blockIdx.x);  // of `repeat` times OUTPUTS outputs
    const LinearArgs& a = batch.of(block);
    const int repeat = static_cast<int>(batch.repeat);
    const int first_block = block * repeat;
    const int all_blocks = (static_cast<int>(a.outputs) + Rows::OUTPUTS - 1) / Rows::OUTPUTS;
    const int blocks = minimum(repeat, all_blocks - first_block);
    const int first_row = static_cast<int>(blockIdx.y) * Rows::ROWS;
    if constexpr (PART == Part::ROW) {
        multiply<BITS, RowsOf, PART, true, false, REGISTERS>(a, first_block, blocks, first_row, left);
    } else if (a.half_scales != 0 && a.mins == nullptr) {
        multiply<BITS, RowsOf, PART, true, false, REGISTERS>(a, first_block, blocks, first_row, left);
    } else if (a.half_scales != 0) {
        multiply<BITS, RowsOf, PART, true, true, REGISTERS>(a, first_block, blocks, first_row, left);
    } else if (a.mins == nullptr) {
        multiply<BITS, RowsOf, PART, false, false, REGISTERS>(a, first_block, blocks, first_row, left);
    } else {
        multiply<BITS, RowsOf, PART, false, true, REGISTERS>(a, first_block, blocks, first_row, left);
    }
}

}  // namespace demitasse

// BLOCKS of a multiprocessor, at least, and how many of the registers that this leaves a thread hold tiles.
#define GEMV(name, BITS, PART, BLOCKS, REGISTERS, Rows, Left)                           \
    KERNEL_BLOCKS(256, BLOCKS) name(const GRID_CONSTANT demitasse::LinearBatch batch) { \
        using namespace demitasse;                                                      \
        gemv<BITS, Rows, PART, REGISTERS, Left>(batch);                                 \
    }                                                                                   \
    EXPORT(name)
#define GEMV_ROWS(prefix, BITS, suffix, PART, BLOCKS4, REGISTERS4, BLOCKS8, REGISTERS8, Left) \
    GEMV(prefix##suffix##_rows4, BITS, PART, BLOCKS4, REGISTERS4, FourRows, Left)             \
    GEMV(prefix##suffix##_rows8, BITS, PART, BLOCKS8, REGISTERS8, EightRows, Left)            \
    GEMV(prefix##suffix##_float_rows1, BITS, PART, 2, 24, OneFloatRow, float)                 \
    GEMV(prefix##suffix##_float_rows4, BITS, PART, 1, 24, FourFloatRows, float)
#define GEMV_PARTS(name, BITS)                                      \
    GEMV_ROWS(name, BITS, _group, Part::GROUP, 2, 56, 2, 56, float) \
    GEMV_ROWS(name, BITS, _half, Part::HALF, 2, 64, 1, 64, float)   \
    GEMV_ROWS(name, BITS, _row, Part::ROW, 2, 48, 2, 56, int)
