// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for few rows; w = s (q - zero), or s q + m.
// Layout:   weights.cuh. Activations INT8 in tiles, scales in groups of 32 (quantize_rows), or FP32 rows in order.
// Requires: integers of activations padded to whole tiles, columns with zeros; at most SEGMENTS warps a block.
// Accuracy: products of a group are integers, 32 x 128 x 127 at most, and exact; FP32 folds in the order of weights.cuh,
//           so a row has the same bits here, in any number of rows, and in gemm_int8. With FP32 activations a lane sums
//           its columns in FP32.
// Launch:   (outputs / 8 of all matrices, rows / ROWS) blocks of 256 threads; a warp takes a segment of the columns.
// Moves:    weights once for each ROWS rows: 1 or 0.5 bytes an element, and their scales; 2 operations an element and row.
// Why:      bound by memory. Lanes read 16 bytes each, side by side; weights leave the caches first. Eight segments keep
//           eight warps of one block reading, so that small matrices also fill the chip. Dot products of four bytes need
//           no unpacking but two operations for eight nibbles. Not run on a GPU yet.
#include "demitasse/weights.cuh"

namespace demitasse {

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

    DEVICE void add(const LinearArgs& a, const Words4& w, int block, int tile, int first_row) {
        const int64_t tile_index = block * a.tiles + tile;
        const int output = lane() / 4;
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
                    Tile::unpack(w, g, words[0], words[1]);
                    const uint32_t meets[2] = {k == 0 ? x.x : x.z, k == 0 ? x.y : x.w};
                    const ActivationGroup& group = a.groups[row * (2 * inputs_of_row) + tile * Tile::GROUPS + g];
                    if constexpr (PART == Part::ROW) {
                        products[r] = dot4(words[0], meets[0], dot4(words[1], meets[1], products[r]));
                        inputs[r] += group.sum();
                    } else if constexpr (PART == Part::GROUP) {
                        const int sum = quad_sum(dot4(words[0], meets[0], dot4(words[1], meets[1], 0)));
                        sums[r] = fold(a, (tile_index * TILE_OUTPUTS + output) * Tile::GROUPS + g, sum, group.sum(),
                                       group.scale, sums[r]);
                    } else {
                        for (int half = 0; half < 2; half++) {
                            const int sum = quad_sum(dot4(words[half], meets[half], 0));
                            sums[r] = fold(a, (tile_index * TILE_OUTPUTS + output) * 2 * Tile::GROUPS + 2 * g + half,
                                           sum, group.half[half], group.scale, sums[r]);
                        }
                    }
                }
            }
        }
    }

    DEVICE static float fold(const LinearArgs& a, int64_t at, int products, int input, float activation, float sum) {
        const bool has_minimum = a.mins != nullptr;
        const Fold fold{a.scale(a.scales, at), has_minimum ? a.scale(a.mins, at) : 0, has_minimum};
        return fold(products, input, static_cast<int>(a.zero), activation, sum);
    }
};

// FP32 activations; a lane sums its own columns.
template <int BITS, Part PART, int ROWS>
struct FloatRows {
    using Tile = WeightTile<BITS>;
    float sums[ROWS] = {};

    DEVICE void add(const LinearArgs& a, const Words4& w, int block, int tile, int first_row) {
        const int64_t tile_index = block * a.tiles + tile;
        const int output = lane() / 4;
        const bool has_minimum = a.mins != nullptr;
#pragma unroll
        for (int g = 0; g < Tile::GROUPS; g++) {
            uint32_t words[2];
            Tile::unpack(w, g, words[0], words[1]);
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int64_t part = PART == Part::HALF ? 2 * g + half : g;
                const int64_t at = PART == Part::ROW ? static_cast<int64_t>(block) * TILE_OUTPUTS + output
                                                     : (tile_index * TILE_OUTPUTS + output) * Tile::parts(PART) + part;
                const float scale = a.scale(a.scales, at);
                const float low = has_minimum ? a.scale(a.mins, at) : 0;
                const int column = tile * Tile::COLUMNS + g * 32 + half * 16 + chunk_of_lane() * 4;
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    const int row = minimum(first_row + r, static_cast<int>(a.rows) - 1);
                    sums[r] = add_word(words[half], a.x + row * a.columns, column, static_cast<int>(a.columns), scale,
                                       low, static_cast<int>(a.zero), sums[r]);
                }
            }
        }
    }

    DEVICE static float add_word(uint32_t word, const float* x, int column, int columns, float scale, float low,
                                 int zero, float sum) {
        float products = 0;
        float inputs = 0;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float input = column + i < columns ? x[column + i] : 0;
            const int q = static_cast<int8_t>(word >> 8 * i) - zero;
            products = fmaf(static_cast<float>(q), input, products);
            inputs += input;
        }
        return fmaf(scale, products, fmaf(low, inputs, sum));
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
    a.out[(first_row + r) * a.outputs + output] = a.with_bias(sum, output);
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
    a.out[row * a.outputs + output] = a.with_bias(a.fold_row(products, inputs, activation, output), output);
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
        const int64_t first_tile = block * a.tiles;
        const int end = a.segment_begin(segment + 1);
        int tile = a.segment_begin(segment);
        Words4 next = load_once(a.quants + (first_tile + tile) * TILE_BYTES + lane() * 16);
        for (; tile < end; tile++) {
            const Words4 w = next;
            if (tile + 1 < end) {
                next = load_once(a.quants + (first_tile + tile + 1) * TILE_BYTES + lane() * 16);
            }
            rows.add(a, w, block, tile, first_row);
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

using demitasse::LinearBatch;
using demitasse::Part;

#define GEMV(name, ROWS_TYPE, BITS, PART, ROWS, INTEGERS)                                           \
    KERNEL_BLOCKS(256, 2) name(const GRID_CONSTANT LinearBatch batch) {                             \
        demitasse::gemv<demitasse::ROWS_TYPE<BITS, PART, ROWS>, PART, BITS, ROWS, INTEGERS>(batch); \
    }                                                                                               \
    EXPORT(name)
#define GEMV_ROWS(prefix, BITS, suffix, PART)                           \
    GEMV(prefix##suffix##_rows1, IntegerRows, BITS, PART, 1, true)      \
    GEMV(prefix##suffix##_rows4, IntegerRows, BITS, PART, 4, true)      \
    GEMV(prefix##suffix##_float_rows1, FloatRows, BITS, PART, 1, false) \
    GEMV(prefix##suffix##_float_rows4, FloatRows, BITS, PART, 4, false)

GEMV_ROWS(gemv_int8, 8, _group, Part::GROUP)
GEMV_ROWS(gemv_int8, 8, _half, Part::HALF)
GEMV_ROWS(gemv_int8, 8, _row, Part::ROW)
GEMV_ROWS(gemv_int4, 4, _group, Part::GROUP)
GEMV_ROWS(gemv_int4, 4, _half, Part::HALF)
GEMV_ROWS(gemv_int4, 4, _row, Part::ROW)
