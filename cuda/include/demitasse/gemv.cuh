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
    // zero: the integer that stands for zero, where there are no minimums.
    DEVICE Fold fold(int part, float zero) const {
        const float scale = number(scales, part);
        return {scale, MINIMUM ? number(mins, part) : Fold::low_of_zero(scale, zero)};
    }
};

// Where a lane reads tiles of a segment: pointers that move on, so that tiles nearby are at constant distances.
template <int BITS, Part PART, bool HALF_SCALES, bool MINIMUM>
struct TileStream {
    using Slot = TileSlot<BITS, PART, HALF_SCALES, MINIMUM>;
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
        mins += MINIMUM ? tiles * TILE_OUTPUTS * Slot::WORDS : 0;
    }
};

// The same of two tiles, one below the other.
template <class Single>
struct PairStream {
    struct Slot {
        typename Single::Slot tiles[2];
    };
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
template <int BITS, Part PART>
struct FourRows {
    static constexpr int ROWS = 4;
    static constexpr int OUTPUTS = TILE_OUTPUTS;
    template <bool HALF_SCALES, bool MINIMUM>
    using Stream = TileStream<BITS, PART, HALF_SCALES, MINIMUM>;
    static constexpr bool INTEGERS = true;
    using Tile = WeightTile<BITS>;
    const uint8_t* x;               // what the lane gives to the second operand: eight bytes of a tile
    const ActivationGroup* groups;  // of row lane() % 4
    float zero;
    bool needs_inputs;
    float sum = 0;
    int products[4] = {};  // where a row is one part
    int inputs = 0;

    DEVICE FourRows(const LinearArgs& a, int, int first_row, int tile)
        : zero(static_cast<float>(a.zero)), needs_inputs(a.mins != nullptr || a.zero != 0) {
        const int last = static_cast<int>(a.rows) - 1;
        const int row = minimum(first_row + lane() / 8, last);
        x = a.q + (row / TILE_OUTPUTS * a.tiles + tile) * Tile::INPUTS * TILE_BYTES +
            chunk_offset(row % TILE_OUTPUTS, lane() % 4) + lane() / 4 % 2 * 8;
        groups = a.groups + (minimum(first_row + lane() % 4, last) * a.tiles + tile) * Tile::GROUPS;
    }

    DEVICE void advance(int tiles) {
        x += tiles * Tile::INPUTS * TILE_BYTES;
        groups += tiles * Tile::GROUPS;
    }

    template <class Slot>
    DEVICE void add(const LinearArgs&, const Slot& slot, int ahead) {
#pragma unroll
        for (int i = 0; i < Tile::INPUTS; i++) {
            uint32_t in[2];
            load_words(in, x + (ahead * Tile::INPUTS + i) * TILE_BYTES);
            uint32_t w[4];
            Tile::unpack(slot.weights, 2 * i, w[0], w[2]);
            Tile::unpack(slot.weights, 2 * i + 1, w[1], w[3]);
            if constexpr (PART == Part::ROW) {
                mma_int8_k32(products, w, in[0], in[1]);
                for (int k = 0; needs_inputs && k < 2; k++) {
                    inputs += groups[ahead * Tile::GROUPS + 2 * i + k].sum();
                }
                continue;
            }
            ActivationGroup both[2];
            load_groups(both, groups + ahead * Tile::GROUPS + 2 * i);
            if constexpr (PART == Part::GROUP) {
                int sums[4] = {};
                mma_int8_k32(sums, w, in[0], in[1]);
                fold(slot, 2 * i, sums[0], both[0].sum(), both[0].scale);
                fold(slot, 2 * i + 1, sums[3], both[1].sum(), both[1].scale);
            } else if constexpr (PART == Part::HALF) {
                int low[4] = {};
                int high[4] = {};
                mma_int8_k16(low, w[0], w[1], in[0]);
                mma_int8_k16(high, w[2], w[3], in[1]);
                fold(slot, 4 * i, low[0], both[0].half(0), both[0].scale);
                fold(slot, 4 * i + 1, high[0], both[0].half(1), both[0].scale);
                fold(slot, 4 * i + 2, low[3], both[1].half(0), both[1].scale);
                fold(slot, 4 * i + 3, high[3], both[1].half(1), both[1].scale);
            }
        }
    }

    template <class Slot>
    DEVICE void fold(const Slot& slot, int part, int products_of_part, int input, float activation) {
        sum = slot.fold(part, zero)(products_of_part, input, activation, sum);
    }

    // Leaves the segment's sums in shared memory: of whole rows integers, with the inputs' sum behind the outputs.
    DEVICE void leave(int segment, float* partial, int* whole) const {
        const int row = segment * ROWS + lane() % 4;
        if constexpr (PART == Part::ROW) {
            whole[row * (TILE_OUTPUTS + 1) + lane() / 4] = products[0] + products[3];
            if (lane() < ROWS) {
                whole[row * (TILE_OUTPUTS + 1) + TILE_OUTPUTS] = inputs;
            }
        } else {
            partial[row * TILE_OUTPUTS + lane() / 4] = sum;
        }
    }
};

// Up to eight rows by one `mma` for a group: the rows of its first operand are sixteen outputs, the columns of its second are
// rows of activations. Lane 4 n + r finds outputs n and n + 8 of rows 2 r and 2 r + 1.
template <int BITS, Part PART>
struct EightRows {
    static constexpr int ROWS = 8;
    static constexpr int OUTPUTS = 2 * TILE_OUTPUTS;
    static constexpr bool INTEGERS = true;
    template <bool HALF_SCALES, bool MINIMUM>
    using Stream = PairStream<TileStream<BITS, PART, HALF_SCALES, MINIMUM>>;
    using Tile = WeightTile<BITS>;
    const uint8_t* x;                  // a chunk of row lane() / 4
    const ActivationGroup* groups[2];  // of the lane's two rows of results
    float zero;
    bool needs_inputs;
    float sums[4] = {};    // [tile][row]
    int products[4] = {};  // where a row is one part
    int inputs[2] = {};

    DEVICE EightRows(const LinearArgs& a, int, int first_row, int tile)
        : zero(static_cast<float>(a.zero)), needs_inputs(a.mins != nullptr || a.zero != 0) {
        const int last = static_cast<int>(a.rows) - 1;
        const int row = minimum(first_row + lane() / 4, last);
        x = a.q + (row / TILE_OUTPUTS * a.tiles + tile) * Tile::INPUTS * TILE_BYTES +
            chunk_offset(row % TILE_OUTPUTS, lane() % 4);
        for (int r = 0; r < 2; r++) {
            groups[r] = a.groups + (minimum(first_row + lane() % 4 * 2 + r, last) * a.tiles + tile) * Tile::GROUPS;
        }
    }

    DEVICE void advance(int tiles) {
        x += tiles * Tile::INPUTS * TILE_BYTES;
        groups[0] += tiles * Tile::GROUPS;
        groups[1] += tiles * Tile::GROUPS;
    }

    template <class Slot>
    DEVICE void add(const LinearArgs&, const Slot& slot, int ahead) {
#pragma unroll
        for (int i = 0; i < Tile::INPUTS; i++) {
            uint32_t in[4];
            load_words(in, x + (ahead * Tile::INPUTS + i) * TILE_BYTES);
            ActivationGroup both[2][2];  // [row][group]
            if (PART != Part::ROW || needs_inputs) {
                load_groups(both[0], groups[0] + ahead * Tile::GROUPS + 2 * i);
                load_groups(both[1], groups[1] + ahead * Tile::GROUPS + 2 * i);
            }
#pragma unroll
            for (int k = 0; k < 2; k++) {
                const int g = 2 * i + k;
                uint32_t w[4];
                Tile::unpack(slot.tiles[0].weights, g, w[0], w[2]);
                Tile::unpack(slot.tiles[1].weights, g, w[1], w[3]);
                if constexpr (PART == Part::ROW) {
                    mma_int8_k32(products, w, in[2 * k], in[2 * k + 1]);
                    for (int r = 0; needs_inputs && r < 2; r++) {
                        inputs[r] += both[r][k].sum();
                    }
                } else if constexpr (PART == Part::GROUP) {
                    int group[4] = {};
                    mma_int8_k32(group, w, in[2 * k], in[2 * k + 1]);
                    const int input[2] = {both[0][k].sum(), both[1][k].sum()};
                    fold(slot, g, group, input, both, k);
                } else {
#pragma unroll
                    for (int half = 0; half < 2; half++) {
                        int group[4] = {};
                        mma_int8_k16(group, w[2 * half], w[2 * half + 1], in[2 * k + half]);
                        const int input[2] = {both[0][k].half(half), both[1][k].half(half)};
                        fold(slot, 2 * g + half, group, input, both, k);
                    }
                }
            }
        }
    }

    template <class Slot>
    DEVICE void fold(const Slot& slot, int part, const int (&products_of_part)[4], const int (&input)[2],
                     const ActivationGroup (&groups_of_rows)[2][2], int k) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float activation = groups_of_rows[i % 2][k].scale;
            sums[i] = slot.tiles[i / 2].fold(part, zero)(products_of_part[i], input[i % 2], activation, sums[i]);
        }
    }

    DEVICE void leave(int segment, float* partial, int* whole) const {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int row = segment * ROWS + lane() % 4 * 2 + i % 2;
            const int output = i / 2 * TILE_OUTPUTS + lane() / 4;
            if constexpr (PART == Part::ROW) {
                whole[row * (OUTPUTS + 1) + output] = products[i];
                if (lane() < 4 && i < 2) {
                    whole[row * (OUTPUTS + 1) + OUTPUTS] = inputs[i];
                }
            } else {
                partial[row * OUTPUTS + output] = sums[i];
            }
        }
    }
};

// FP32 activations; a lane sums its own columns of output lane() / 4.
template <int BITS, Part PART, int ROWS_>
struct FloatRows {
    static constexpr int ROWS = ROWS_;
    static constexpr int OUTPUTS = TILE_OUTPUTS;
    template <bool HALF_SCALES, bool MINIMUM>
    using Stream = TileStream<BITS, PART, HALF_SCALES, MINIMUM>;
    static constexpr bool INTEGERS = false;
    using Tile = WeightTile<BITS>;
    int first_row;
    int first_tile;
    Fold of_row;  // where a row is one part
    float sums[ROWS] = {};

    DEVICE FloatRows(const LinearArgs& a, int block, int row, int tile) : first_row(row), first_tile(tile) {
        if constexpr (PART == Part::ROW) {
            of_row = a.fold_of_row(block * TILE_OUTPUTS + lane() / 4);
        }
    }

    DEVICE void advance(int tiles) { first_tile += tiles; }

    template <class Slot>
    DEVICE void add(const LinearArgs& a, const Slot& slot, int ahead) {
#pragma unroll
        for (int g = 0; g < Tile::GROUPS; g++) {
            uint32_t words[2];
            Tile::unpack(slot.weights, g, words[0], words[1]);
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const Fold fold = PART == Part::ROW
                                      ? of_row
                                      : slot.fold(PART == Part::HALF ? 2 * g + half : g, static_cast<float>(a.zero));
                const int column = (first_tile + ahead) * Tile::COLUMNS + g * 32 + half * 16 + lane() % 4 * 4;
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    const int row = minimum(first_row + r, static_cast<int>(a.rows) - 1);
                    sums[r] = add_word(words[half], a.x + row * a.columns, column, static_cast<int>(a.columns), fold,
                                       sums[r]);
                }
            }
        }
    }

    DEVICE static float add_word(uint32_t word, const float* x, int column, int columns, const Fold& fold, float sum) {
        float products = 0;
        float inputs = 0;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float input = column + i < columns ? x[column + i] : 0;
            products = fmaf(static_cast<float>(static_cast<int8_t>(word >> 8 * i)), input, products);
            inputs += input;
        }
        return fmaf(fold.scale, products, fmaf(fold.low, inputs, sum));
    }

    DEVICE void leave(int segment, float* partial, int*) const {
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float sum = quad_sum(sums[r]);
            if (lane() % 4 == 0) {
                partial[(segment * ROWS + r) * TILE_OUTPUTS + lane() / 4] = sum;
            }
        }
    }
};

// The sums of a block's rows by segments, added in their order.
template <int ROWS, int OUTPUTS>
DEVICE void finish_rows(const LinearArgs& a, const float* partial, int block, int first_row) {
    const int r = static_cast<int>(threadIdx.x) / OUTPUTS;
    const int64_t output = static_cast<int64_t>(block) * OUTPUTS + threadIdx.x % OUTPUTS;
    if (r >= ROWS || first_row + r >= a.rows || output >= a.outputs) {
        return;
    }
    float sum = partial[threadIdx.x];
    for (int s = 1; s < a.segments(); s++) {
        sum += partial[s * ROWS * OUTPUTS + threadIdx.x];
    }
    a.out.store((first_row + r) * a.outputs + output, a.with_bias(sum, output));
}

// One scale a row on both sides: integers of all segments are added, and folded once.
template <int ROWS, int OUTPUTS, int BITS>
DEVICE void fold_whole_rows(const LinearArgs& a, const int* whole, int block, int first_row) {
    const int r = static_cast<int>(threadIdx.x) / OUTPUTS;
    const int n = static_cast<int>(threadIdx.x) % OUTPUTS;
    const int64_t output = static_cast<int64_t>(block) * OUTPUTS + n;
    const int64_t row = first_row + r;
    if (r >= ROWS || row >= a.rows || output >= a.outputs) {
        return;
    }
    int products = 0;
    int inputs = 0;
    for (int s = 0; s < a.segments(); s++) {
        products += whole[(s * ROWS + r) * (OUTPUTS + 1) + n];
        inputs += whole[(s * ROWS + r) * (OUTPUTS + 1) + OUTPUTS];
    }
    const float activation = a.groups[row * a.tiles * WeightTile<BITS>::GROUPS].scale;
    a.out.store(row * a.outputs + output, a.with_bias(a.fold_row(products, inputs, activation, output), output));
}

// A warp adds the tiles of its segment; two or three are on their way at a time, as many as REGISTERS hold.
template <class Stream, int REGISTERS, class Rows>
DEVICE void add_segment(Rows& rows, const LinearArgs& a, int block, int segment) {
    using Slot = typename Stream::Slot;
    constexpr int HELD = REGISTERS * 4 / static_cast<int>(sizeof(Slot));
    constexpr int SLOTS = HELD < 2 ? 2 : HELD > 3 ? 3 : HELD;
    const int first = a.segment_begin(segment);
    const int count = a.segment_begin(segment + 1) - first;
    Stream stream(a, block, first);
    Slot slots[SLOTS];
#pragma unroll
    for (int i = 0; i < SLOTS; i++) {
        if (i < count) {
            stream.load(slots[i], i);
        }
    }
    for (int left = count; left > 0; left -= SLOTS) {
#pragma unroll
        for (int i = 0; i < SLOTS; i++) {
            if (i < left) {
                rows.add(a, slots[i], i);
            }
            if (i + SLOTS < left) {
                stream.load(slots[i], i + SLOTS);
            }
        }
        rows.advance(SLOTS);
        stream.advance(SLOTS);
    }
}

template <class Rows, int BITS, Part PART, int REGISTERS>
DEVICE void gemv(const LinearBatch& batch) {
    constexpr int ROWS = Rows::ROWS;
    constexpr int OUTPUTS = Rows::OUTPUTS;
    SHARED(float, partial, SEGMENTS* ROWS* OUTPUTS);
    SHARED(int, whole, SEGMENTS* ROWS*(OUTPUTS + 1));
    int block = static_cast<int>(blockIdx.x);  // of OUTPUTS outputs
    const LinearArgs& a = batch.of(block);
    const int first_row = static_cast<int>(blockIdx.y) * ROWS;
    const int segment = warp();
    if (segment < a.segments()) {
        Rows rows(a, block, first_row, a.segment_begin(segment));
        if constexpr (PART == Part::ROW) {
            add_segment<typename Rows::template Stream<true, false>, REGISTERS>(rows, a, block, segment);
        } else if (a.half_scales != 0 && a.mins == nullptr) {
            add_segment<typename Rows::template Stream<true, false>, REGISTERS>(rows, a, block, segment);
        } else if (a.half_scales != 0) {
            add_segment<typename Rows::template Stream<true, true>, REGISTERS>(rows, a, block, segment);
        } else if (a.mins == nullptr) {
            add_segment<typename Rows::template Stream<false, false>, REGISTERS>(rows, a, block, segment);
        } else {
            add_segment<typename Rows::template Stream<false, true>, REGISTERS>(rows, a, block, segment);
        }
        rows.leave(segment, partial, whole);
    }
    __syncthreads();
    if constexpr (PART == Part::ROW && Rows::INTEGERS) {
        fold_whole_rows<ROWS, OUTPUTS, BITS>(a, whole, block, first_row);
    } else {
        finish_rows<ROWS, OUTPUTS>(a, partial, block, first_row);
    }
}

}  // namespace demitasse

// BLOCKS of a multiprocessor, at least, and how many of the registers that this leaves a thread hold tiles.
#define GEMV(name, BITS, PART, BLOCKS, REGISTERS, ...)                                  \
    KERNEL_BLOCKS(256, BLOCKS) name(const GRID_CONSTANT demitasse::LinearBatch batch) { \
        using namespace demitasse;                                                      \
        gemv<__VA_ARGS__, BITS, PART, REGISTERS>(batch);                                \
    }                                                                                   \
    EXPORT(name)
#define GEMV_ROWS(prefix, BITS, suffix, PART, BLOCKS4, REGISTERS4, BLOCKS8)             \
    GEMV(prefix##suffix##_rows4, BITS, PART, BLOCKS4, REGISTERS4, FourRows<BITS, PART>) \
    GEMV(prefix##suffix##_rows8, BITS, PART, BLOCKS8, 48, EightRows<BITS, PART>)        \
    GEMV(prefix##suffix##_float_rows1, BITS, PART, 2, 0, FloatRows<BITS, PART, 1>)      \
    GEMV(prefix##suffix##_float_rows4, BITS, PART, 1, 0, FloatRows<BITS, PART, 4>)
#define GEMV_PARTS(name, BITS)                                            \
    GEMV_ROWS(name, BITS, _group, Part::GROUP, 4, BITS == 4 ? 24 : 23, 2) \
    GEMV_ROWS(name, BITS, _half, Part::HALF, 2, 64, 1)                    \
    GEMV_ROWS(name, BITS, _row, Part::ROW, 4, 24, 2)
