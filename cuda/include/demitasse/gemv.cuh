// What gemv_int4.cu and gemv_int8.cu are made of: few rows times integer weights.
#pragma once

#include "demitasse/weights.cuh"

namespace demitasse {

// What a lane holds of a tile: its 16 bytes, and the scales and minimums of its output, where they are FP16.
template <int BITS, Part PART>
struct TileSlot {
    using Tile = WeightTile<BITS>;
    static constexpr int PARTS = PART == Part::ROW ? 2 : Tile::parts(PART);
    Words4 weights;
    uint32_t scales[PARTS / 2];
    uint32_t mins[PARTS / 2];
    int64_t first_part;  // index of the output's first scale

    DEVICE void load(const LinearArgs& a, int64_t block, int tile) {
        const int64_t at = block * a.tiles + tile;
        weights = load_once(a.quants + at * TILE_BYTES + lane() * 16);
        if constexpr (PART == Part::ROW) {
            first_part = block * TILE_OUTPUTS + lane() / 4;
        } else {
            first_part = (at * TILE_OUTPUTS + lane() / 4) * PARTS;
            if (a.half_scales != 0) {
                load_words(scales, static_cast<const uint16_t*>(a.scales) + first_part);
                if (a.mins != nullptr) {
                    load_words(mins, static_cast<const uint16_t*>(a.mins) + first_part);
                }
            }
        }
    }

    DEVICE float number(const LinearArgs& a, const void* from, const uint32_t (&halves)[PARTS / 2], int part) const {
        if constexpr (PART == Part::ROW) {
            return a.scale(from, first_part);
        } else {
            return a.half_scales != 0 ? half_to_float(static_cast<uint16_t>(halves[part / 2] >> 16 * (part % 2)))
                                      : static_cast<const float*>(from)[first_part + part];
        }
    }
    DEVICE Fold fold(const LinearArgs& a, int part) const {
        const bool has_minimum = a.mins != nullptr;
        return {number(a, a.scales, scales, part), has_minimum ? number(a, a.mins, mins, part) : 0, has_minimum};
    }
};

template <int BITS, Part PART, int ROWS>
struct IntegerRows {
    using Tile = WeightTile<BITS>;
    float sums[ROWS] = {};
    int products[ROWS] = {};  // where a row is one part
    int inputs[ROWS] = {};

    DEVICE static int quad_sum(int value) {
        value += __shfl_xor_sync(ALL_LANES, value, 1);
        return value + __shfl_xor_sync(ALL_LANES, value, 2);
    }

    DEVICE void add(const LinearArgs& a, const TileSlot<BITS, PART>& slot, int tile, int first_row) {
        const int zero = static_cast<int>(a.zero);
        const int64_t inputs_of_row = a.tiles * Tile::INPUTS;
#pragma unroll
        for (int i = 0; i < Tile::INPUTS; i++) {
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                const int row = minimum(first_row + r, static_cast<int>(a.rows) - 1);
                const int64_t input = row / TILE_OUTPUTS * inputs_of_row + tile * Tile::INPUTS + i;
                const Words4 x = load16(a.q + input * TILE_BYTES + chunk_offset(row % TILE_OUTPUTS, chunk_of_lane()));
#pragma unroll
                for (int k = 0; k < 2; k++) {
                    const int g = 2 * i + k;
                    uint32_t words[2];
                    Tile::unpack(slot.weights, g, words[0], words[1]);
                    const uint32_t meets[2] = {k == 0 ? x.x : x.z, k == 0 ? x.y : x.w};
                    const ActivationGroup& group = a.groups[row * (2 * inputs_of_row) + tile * Tile::GROUPS + g];
                    if constexpr (PART == Part::ROW) {
                        products[r] = dot4(words[0], meets[0], dot4(words[1], meets[1], products[r]));
                        inputs[r] += group.sum();
                    } else if constexpr (PART == Part::GROUP) {
                        const int sum = quad_sum(dot4(words[0], meets[0], dot4(words[1], meets[1], 0)));
                        sums[r] = slot.fold(a, g)(sum, group.sum(), zero, group.scale, sums[r]);
                    } else {
                        for (int half = 0; half < 2; half++) {
                            const int sum = quad_sum(dot4(words[half], meets[half], 0));
                            sums[r] = slot.fold(a, 2 * g + half)(sum, group.half[half], zero, group.scale, sums[r]);
                        }
                    }
                }
            }
        }
    }
};

// FP32 activations; a lane sums its own columns.
template <int BITS, Part PART, int ROWS>
struct FloatRows {
    using Tile = WeightTile<BITS>;
    float sums[ROWS] = {};

    DEVICE void add(const LinearArgs& a, const TileSlot<BITS, PART>& slot, int tile, int first_row) {
#pragma unroll
        for (int g = 0; g < Tile::GROUPS; g++) {
            uint32_t words[2];
            Tile::unpack(slot.weights, g, words[0], words[1]);
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const Fold fold = slot.fold(a, PART == Part::HALF ? 2 * g + half : g);
                const int column = tile * Tile::COLUMNS + g * 32 + half * 16 + chunk_of_lane() * 4;
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    const int row = minimum(first_row + r, static_cast<int>(a.rows) - 1);
                    sums[r] = add_word(words[half], a.x + row * a.columns, column, static_cast<int>(a.columns), fold,
                                       static_cast<int>(a.zero), sums[r]);
                }
            }
        }
    }

    DEVICE static float add_word(uint32_t word, const float* x, int column, int columns, const Fold& fold, int zero,
                                 float sum) {
        float products = 0;
        float inputs = 0;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float input = column + i < columns ? x[column + i] : 0;
            const int q = static_cast<int8_t>(word >> 8 * i) - zero;
            products = fmaf(static_cast<float>(q), input, products);
            inputs += input;
        }
        return fmaf(fold.scale, products, fmaf(fold.low, inputs, sum));
    }
};

// The sums of a block's rows by segments, added in their order.
template <int ROWS>
DEVICE void finish_rows(const LinearArgs& a, const float* partial, int block, int first_row) {
    const int r = static_cast<int>(threadIdx.x) / TILE_OUTPUTS;
    const int64_t output = static_cast<int64_t>(block) * TILE_OUTPUTS + threadIdx.x % TILE_OUTPUTS;
    if (r >= ROWS || first_row + r >= a.rows || output >= a.outputs) {
        return;
    }
    float sum = partial[threadIdx.x];
    for (int s = 1; s < a.segments(); s++) {
        sum += partial[s * ROWS * TILE_OUTPUTS + threadIdx.x];
    }
    a.out.store((first_row + r) * a.outputs + output, a.with_bias(sum, output));
}

// One scale a row on both sides: integers of all segments are added, and folded once.
template <int ROWS, int BITS>
DEVICE void fold_whole_rows(const LinearArgs& a, const int* whole, int block, int first_row) {
    const int r = static_cast<int>(threadIdx.x) / TILE_OUTPUTS;
    const int n = static_cast<int>(threadIdx.x) % TILE_OUTPUTS;
    const int64_t output = static_cast<int64_t>(block) * TILE_OUTPUTS + n;
    const int64_t row = first_row + r;
    if (r >= ROWS || row >= a.rows || output >= a.outputs) {
        return;
    }
    int products = 0;
    int inputs = 0;
    for (int s = 0; s < a.segments(); s++) {
        products += whole[(s * ROWS + r) * (TILE_OUTPUTS + 1) + n];
        inputs += whole[(s * ROWS + r) * (TILE_OUTPUTS + 1) + TILE_OUTPUTS];
    }
    const float activation = a.groups[row * a.tiles * WeightTile<BITS>::GROUPS].scale;
    a.out.store(row * a.outputs + output, a.with_bias(a.fold_row(products, inputs, activation, output), output));
}

template <class Rows, Part PART, int BITS, int ROWS, bool INTEGERS>
DEVICE void gemv(const LinearBatch& batch) {
    SHARED(float, partial, SEGMENTS* ROWS* TILE_OUTPUTS);
    SHARED(int, whole, SEGMENTS* ROWS*(TILE_OUTPUTS + 1));
    int block = static_cast<int>(blockIdx.x);  // of eight outputs
    const LinearArgs& a = batch.of(block);
    const int first_row = static_cast<int>(blockIdx.y) * ROWS;
    const int segment = warp();
    Rows rows;
    if (segment < a.segments()) {
        // Two tiles are on their way, or one while the other is multiplied.
        const int end = a.segment_begin(segment + 1);
        const int first = a.segment_begin(segment);
        TileSlot<BITS, PART> even, odd;
        even.load(a, block, first);
        if (first + 1 < end) {
            odd.load(a, block, first + 1);
        }
        for (int tile = first; tile < end; tile += 2) {
            rows.add(a, even, tile, first_row);
            if (tile + 2 < end) {
                even.load(a, block, tile + 2);
            }
            if (tile + 1 < end) {
                rows.add(a, odd, tile + 1, first_row);
            }
            if (tile + 3 < end) {
                odd.load(a, block, tile + 3);
            }
        }
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if constexpr (PART == Part::ROW && INTEGERS) {
                const int products = Rows::quad_sum(rows.products[r]);
                if (lane() % 4 == 0) {
                    whole[(segment * ROWS + r) * (TILE_OUTPUTS + 1) + lane() / 4] = products;
                    whole[(segment * ROWS + r) * (TILE_OUTPUTS + 1) + TILE_OUTPUTS] = rows.inputs[r];
                }
            } else {
                float sum = rows.sums[r];
                if constexpr (!INTEGERS) {
                    sum += __shfl_xor_sync(ALL_LANES, sum, 1);
                    sum += __shfl_xor_sync(ALL_LANES, sum, 2);
                }
                if (lane() % 4 == 0) {
                    partial[(segment * ROWS + r) * TILE_OUTPUTS + lane() / 4] = sum;
                }
            }
        }
    }
    __syncthreads();
    if constexpr (PART == Part::ROW && INTEGERS) {
        fold_whole_rows<ROWS, BITS>(a, whole, block, first_row);
    } else {
        finish_rows<ROWS>(a, partial, block, first_row);
    }
}

}  // namespace demitasse

// Blocks of a multiprocessor, at least: what leaves a thread enough registers.
#define GEMV(name, ROWS_TYPE, BITS, PART, ROWS, INTEGERS, BLOCKS)                       \
    KERNEL_BLOCKS(256, BLOCKS) name(const GRID_CONSTANT demitasse::LinearBatch batch) { \
        using namespace demitasse;                                                      \
        gemv<ROWS_TYPE<BITS, PART, ROWS>, PART, BITS, ROWS, INTEGERS>(batch);           \
    }                                                                                   \
    EXPORT(name)
#define GEMV_ROWS(prefix, BITS, suffix, PART, BLOCKS)                      \
    GEMV(prefix##suffix##_rows1, IntegerRows, BITS, PART, 1, true, BLOCKS) \
    GEMV(prefix##suffix##_rows4, IntegerRows, BITS, PART, 4, true, 2)      \
    GEMV(prefix##suffix##_float_rows1, FloatRows, BITS, PART, 1, false, 2) \
    GEMV(prefix##suffix##_float_rows4, FloatRows, BITS, PART, 4, false, 1)
#define GEMV_PARTS(name, BITS)                    \
    GEMV_ROWS(name, BITS, _group, Part::GROUP, 4) \
    GEMV_ROWS(name, BITS, _half, Part::HALF, 3)   \
    GEMV_ROWS(name, BITS, _row, Part::ROW, 4)
