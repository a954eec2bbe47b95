// What gemv_int4.cu and gemv_int8.cu are made of: few rows times integer weights.
#pragma once

#include "demitasse/tile_stream.cuh"

namespace demitasse {

// Brings a segment's activations to the first-level cache: `count` tiles of weights from `tile` on, up to ROWS rows.
template <int BITS, int ROWS>
DEVICE void touch_inputs(const LinearArgs& a, int first_row, int tile, int count) {
    using Tile = WeightTile<BITS>;
    const int rows = minimum(ROWS, static_cast<int>(a.rows) - first_row);
    for (int i = lane(); i < count * Tile::INPUTS; i += 32) {
        for (int row = first_row; row < first_row + rows; row++) {
            const int64_t at = row / TILE_OUTPUTS * a.tiles * Tile::INPUTS + tile * Tile::INPUTS + i;
            touch(a.q + at * TILE_BYTES + row % TILE_OUTPUTS * 64);
            touch(a.groups_of<BITS>(row) + tile * Tile::INPUTS + i);
        }
    }
}

// Up to four rows of INT8 activations by one `mma` for two groups: the rows of its first operand are eight outputs in a first
// group, and in a second; the columns of its second operand are row 0 in the first group, row 0 in the second, row 1, … So
// lane 4 n + r finds output n of row r: the first group in its first sum, the second in its last, and folds them in order.
// The sums between are of groups that do not meet. Two tiles of outputs share what is loaded of activations.
template <int BITS, Part PART, bool MINIMUM>
struct FourRows {
    static constexpr int ROWS = gemv_rows(4);
    static constexpr int OUTPUTS = GEMV_OUTPUTS;
    static constexpr bool WHOLE = PART == Part::ROW;  // sums are integers of whole rows
    static constexpr bool TOUCHES = true;
    static constexpr bool EXACT = false;
    template <bool HALF_SCALES>
    using Stream = PairStream<TileStream<BITS, PART, HALF_SCALES, MINIMUM>>;
    using Tile = WeightTile<BITS>;

    // What the lane gives to the second operands of a tile, and the groups of row lane() % 4.
    struct Inputs {
        uint32_t x[Tile::INPUTS][2];
        HeldPair<MINIMUM> pairs[PART == Part::ROW ? 1 : Tile::INPUTS];
    };

    const uint8_t* x;
    const GroupPair* groups;
    float sums[2] = {};
    int products[2][4] = {};  // where a row is one part

    DEVICE FourRows(const LinearArgs& a, int first_row, int tile) {
        const int last = static_cast<int>(a.rows) - 1;
        const int row = minimum(first_row + lane() / 8, last);
        x = a.q + (row / TILE_OUTPUTS * a.tiles + tile) * Tile::INPUTS * TILE_BYTES +
            chunk_offset(row % TILE_OUTPUTS, lane() % 4) + lane() / 4 % 2 * 8;
        groups = a.groups_of<BITS>(minimum(first_row + lane() % 4, last)) + tile * Tile::INPUTS;
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
            if constexpr (PART != Part::ROW) {
                in.pairs[i].load(groups + tile * Tile::INPUTS + i);
            }
        }
    }

    template <class Stream>
    DEVICE void add(const LinearArgs&, const unsigned char* slot, const Inputs& in, int) {
        using Single = typename Stream::Single;
#pragma unroll
        for (int t = 0; t < 2; t++) {
            typename Single::Slot tile;
            Single::load(tile, slot + t * Single::BYTES);
#pragma unroll
            for (int i = 0; i < Tile::INPUTS; i++) {
                add_tile(t, i, tile, in);
            }
        }
    }

    template <class Slot>
    DEVICE void add_tile(int t, int i, const Slot& slot, const Inputs& in) {
        uint32_t w[4];
        Tile::unpack(slot.weights, 2 * i, w[0], w[2]);
        Tile::unpack(slot.weights, 2 * i + 1, w[1], w[3]);
        if constexpr (PART == Part::ROW) {
            mma_int8_k32(products[t], w, in.x[i][0], in.x[i][1]);
        } else if constexpr (PART == Part::GROUP) {
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
    DEVICE static void fold(float& sum, const Slot& slot, int part, int bits, const HeldPair<MINIMUM>& pair, int group,
                            int half) {
        sum = slot.fold(part)(number_of_sum(bits), pair.template input<Tile::FACTOR>(PART, group, half),
                              pair.scale(group), sum);
    }

    // Leaves the segment's sums, of whole rows as integers, [row][output].
    template <class Left>
    DEVICE void leave(Left* left) const {
#pragma unroll
        for (int t = 0; t < 2; t++) {
            const int at = lane() % 4 * OUTPUTS + t * TILE_OUTPUTS + lane() / 4;
            if constexpr (PART == Part::ROW) {
                left[at] = products[t][0] + products[t][3];
            } else {
                left[at] = sums[t] * (1.0f / Tile::FACTOR);
            }
        }
    }
};

// Up to eight rows by one `mma` for a group: the rows of its first operand are sixteen outputs, the columns of its second are
// rows of activations. Lane 4 n + r finds outputs n and n + 8 of rows 2 r and 2 r + 1.
template <int BITS, Part PART, bool MINIMUM>
struct EightRows {
    static constexpr int ROWS = gemv_rows(GEMV_ROWS);
    static constexpr int OUTPUTS = GEMV_OUTPUTS;
    static constexpr bool WHOLE = PART == Part::ROW;  // sums are integers of whole rows
    static constexpr bool TOUCHES = true;
    static constexpr bool EXACT = false;
    template <bool HALF_SCALES>
    using Stream = PairStream<TileStream<BITS, PART, HALF_SCALES, MINIMUM>>;
    using Tile = WeightTile<BITS>;

    // A chunk of row lane() / 4, and the groups of the lane's two rows of results.
    struct Inputs {
        uint32_t x[Tile::INPUTS][4];
        HeldPair<MINIMUM> pairs[PART == Part::ROW ? 1 : Tile::INPUTS][2];
    };

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

    template <class Stream>
    DEVICE void add(const LinearArgs&, const unsigned char* at, const Inputs& in, int) {
        typename Stream::Slot slot;
        Stream::load(slot, at);
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
    static constexpr int OUTPUTS = EXACT_GEMV_OUTPUTS;
    static constexpr bool WHOLE = false;
    static constexpr bool TOUCHES = false;
    static constexpr bool EXACT = true;  // activations are FP32
    template <bool HALF_SCALES>
    using Stream = TileStream<BITS, PART, HALF_SCALES, MINIMUM>;
    using Tile = WeightTile<BITS>;
    struct Inputs {};

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

    template <class Stream>
    DEVICE void add(const LinearArgs& a, const unsigned char* at, const Inputs&, int tile) {
        typename Stream::Slot slot;
        Stream::load(slot, at);
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
using FourFloatRows = FloatRows<BITS, PART, MINIMUM, EXACT_GEMV_ROWS>;

// A thread's result: the sums of the segments, in their order. thread: [row][output].
template <int BITS, class Rows, class Left>
DEVICE void finish_rows(const LinearArgs& a, const Left* left, int block, int first_row, unsigned thread) {
    const int row = first_row + static_cast<int>(thread / Rows::OUTPUTS);
    const int output = block * Rows::OUTPUTS + static_cast<int>(thread % Rows::OUTPUTS);
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
    if constexpr (Rows::EXACT) {
        if (!is_finite(result) && is_spoilt(a.x + row * a.columns, a.columns)) {
            result = not_a_number();
        }
    }
    a.out.store(row * a.outputs + output, a.with_bias(result, output));
}

constexpr int RING_BYTES = 4608;  // of a warp: eight tiles of INT4 with FP16 scales

// The work of a warp: its segment of the columns of `blocks` times Rows::OUTPUTS outputs. Tiles are asked for as many ahead as
// the ring has room for, also from one block of outputs to the next.
template <int BITS, template <int, Part, bool> class RowsOf, Part PART, bool HALF_SCALES, bool MINIMUM, class Left>
DEVICE void multiply(const LinearArgs& a, int first_block, int blocks, int first_row, Left* left, unsigned char* ring) {
    using Rows = RowsOf<BITS, PART, MINIMUM>;
    using Stream = typename Rows::template Stream<HALF_SCALES>;
    constexpr int SLOTS = minimum(8, RING_BYTES / Stream::BYTES);
    constexpr int RESULTS = Rows::ROWS * Rows::OUTPUTS;
    static_assert(SLOTS >= 2, "a ring has two slots at least");
    const int segment = warp();
    const bool works = segment < a.segments();
    const int first = works ? a.segment_begin(segment) : 0;
    const int count = works ? a.segment_begin(segment + 1) - first : 0;
    unsigned char* const ring_end = ring + SLOTS * Stream::BYTES;
    const uint64_t policy = once_policy();
    Stream stream;
    stream.start(a, first_block, first);
    int asked_block = 0;  // where the stream is
    int asked_tile = 0;
    unsigned char* asked_slot = ring;
    auto ask = [&] {
        if (asked_block < blocks && count > 0) {
            stream.copy_next(a, asked_slot, policy);
            asked_slot = asked_slot + Stream::BYTES == ring_end ? ring : asked_slot + Stream::BYTES;
            if (++asked_tile == count) {
                asked_tile = 0;
                if (++asked_block < blocks) {
                    stream.start(a, first_block + asked_block, first);
                }
            }
        }
        copy_async_commit();
    };
#pragma unroll 1
    for (int i = 0; i < SLOTS - 1; i++) {
        ask();
    }
    Rows rows(a, first_row, first);
    if constexpr (Rows::TOUCHES) {
        touch_inputs<BITS, Rows::ROWS>(a, first_row, first, count);
    }
    const unsigned char* slot = ring;
#pragma unroll 1
    for (int b = 0; b < blocks; b++) {
        rows.begin(a, first_block + b);
#pragma unroll 1
        for (int i = 0; i < count; i++) {
            copy_async_wait<SLOTS - 2>();
            __syncwarp();  // all lanes' copies are there, and all have read the slot that is filled next
            ask();
            typename Rows::Inputs inputs;
            rows.load(inputs, i);
            rows.template add<Stream>(a, slot, inputs, first + i);
            slot = slot + Stream::BYTES == ring_end ? ring : slot + Stream::BYTES;
        }
        // Two buffers, so that one barrier is enough: who writes to a buffer again has met those who read it.
        Left* buffer = left + b % 2 * SEGMENTS * RESULTS;
        if (works) {
            rows.leave(buffer + segment * RESULTS);
        }
        __syncthreads();
        finish_rows<BITS, Rows>(a, buffer, first_block + b, first_row,
                                (threadIdx.x + 32 * static_cast<unsigned>(b)) % GEMV_THREADS);
    }
    copy_async_wait<0>();
}

template <int BITS, template <int, Part, bool> class RowsOf, Part PART, class Left>
DEVICE void gemv(const LinearBatch& batch) {
    using Rows = RowsOf<BITS, PART, false>;
    SHARED(Left, left, 2 * SEGMENTS * Rows::ROWS * Rows::OUTPUTS);
    SHARED(unsigned char, rings, GEMV_THREADS / 32 * RING_BYTES);
    unsigned char* ring = rings + warp() * RING_BYTES;
    int block = static_cast<int>(blockIdx.x);  // of `repeat` times OUTPUTS outputs
    const LinearArgs& a = batch.of(block);
    const int repeat = static_cast<int>(batch.repeat);
    const int first_block = block * repeat;
    const int all_blocks = (static_cast<int>(a.outputs) + Rows::OUTPUTS - 1) / Rows::OUTPUTS;
    const int blocks = minimum(repeat, all_blocks - first_block);
    const int first_row = static_cast<int>(blockIdx.y) * Rows::ROWS;
    if constexpr (PART == Part::ROW) {
        multiply<BITS, RowsOf, PART, true, false>(a, first_block, blocks, first_row, left, ring);
    } else if (a.half_scales != 0 && a.mins == nullptr) {
        multiply<BITS, RowsOf, PART, true, false>(a, first_block, blocks, first_row, left, ring);
    } else if (a.half_scales != 0) {
        multiply<BITS, RowsOf, PART, true, true>(a, first_block, blocks, first_row, left, ring);
    } else if (a.mins == nullptr) {
        multiply<BITS, RowsOf, PART, false, false>(a, first_block, blocks, first_row, left, ring);
    } else {
        multiply<BITS, RowsOf, PART, false, true>(a, first_block, blocks, first_row, left, ring);
    }
}

}  // namespace demitasse

// BLOCKS of a multiprocessor, at least.
#define GEMV(name, BITS, PART, BLOCKS, Rows, Left)                                                          \
    KERNEL_BLOCKS(demitasse::GEMV_THREADS, BLOCKS) name(const GRID_CONSTANT demitasse::LinearBatch batch) { \
        using namespace demitasse;                                                                          \
        gemv<BITS, Rows, PART, Left>(batch);                                                                \
    }                                                                                                       \
    EXPORT(name)
#define GEMV_ROWS(prefix, BITS, suffix, PART, BLOCKS4, BLOCKS8, Left)     \
    GEMV(prefix##suffix##_rows4, BITS, PART, BLOCKS4, FourRows, Left)     \
    GEMV(prefix##suffix##_rows8, BITS, PART, BLOCKS8, EightRows, Left)    \
    GEMV(prefix##suffix##_float_rows1, BITS, PART, 2, OneFloatRow, float) \
    GEMV(prefix##suffix##_float_rows4, BITS, PART, 1, FourFloatRows, float)
#define GEMV_PARTS(name, BITS)                                                              \
    GEMV_ROWS(name, BITS, _group, Part::GROUP, BITS == 4 ? 3 : 4, BITS == 4 ? 2 : 3, float) \
    GEMV_ROWS(name, BITS, _half, Part::HALF, 2, BITS == 4 ? 1 : 2, float)                   \
    GEMV_ROWS(name, BITS, _row, Part::ROW, 4, 3, int)
