// Computes: FP16 operands of wgmma. dequantize_weights: s q, or s q + m, of integer weights; fp16_rows: activations.
//           Both the nearest FP16, the largest for what is larger; of activations NaN for what is not finite.
// Layout:   integers as weights.cuh says, activations in rows; out as fp16_tiles.cuh says, with zeros beyond the
//           columns and rows of activations. What weights are beyond their columns is finite and meets those zeros.
// Requires: scales of 16 or 32 columns.
// Accuracy: s q and s q + m are rounded once, as FP32, and then to FP16.
// Launch:   blocks of 256 threads, a thread for each 16 bytes of integers (dequantize_weights) or of FP16 (fp16_rows).
// Moves:    weights and scales read once, 2 bytes written an element; 4 bytes read and 2 written an activation.
// Why:      bound by memory, most of it the writing. Lanes of a warp have a tile of integers as it lies, so that it
//           reads 512 bytes in a row; of each 32 columns a lane has the halves of two chunks of FP16, and its neighbor
//           their other halves, which they exchange, so that a warp writes whole tiles, too. What weights need before
//           they are stored does not wait for the kernel before.
//           An H100 takes 53 us for 14336 x 4096 of INT4: 2.8 TB/s, of the 3.2 that it reads.
#include "demitasse/fp16_tiles.cuh"
#include "demitasse/quantize.cuh"

namespace demitasse {

struct DequantizeArgs {
    const uint8_t* quants;
    const void* scales;
    const void* mins;  // or null
    int64_t fp16_scales;
    Integers integers;
    int64_t group;  // columns that share a scale: 16 or 32
    int64_t outputs;
    int64_t tiles;  // of integers, of a row
    int64_t columns;
    uint64_t levels[2];  // of places
    uint8_t* out;
};

struct Fp16RowsArgs {
    const float* x;
    int64_t rows;
    int64_t columns;
    uint8_t* out;
};

// Where chunk c of a row lies, 8 columns of a tile.
DEVICE uint8_t* fp16_chunk(uint8_t* tiles, int64_t tile, int row, int c) {
    return tiles + tile * TILE_BYTES + chunk_offset(row, c);
}

// A lane's chunk of a tile of integers.
template <Integers KIND, Reach REACH>
struct Dequantization {
    using Tile = WeightTile<KIND>;
    static constexpr int SCALES = Tile::scales(REACH);

    Levels levels;
    uint32_t words[4];
    float scales[SCALES], mins[SCALES];
    bool has_mins;

    DEVICE Dequantization(const DequantizeArgs& a, int tile, int row)
        : levels(a.levels), has_mins(KIND != Integers::LEVELS && a.mins != nullptr) {
        load_words(words, a.quants + static_cast<int64_t>(tile) * TILE_BYTES + lane() * 16);
        const int64_t at = (static_cast<int64_t>(tile) * TILE_OUTPUTS + row) * SCALES;
#pragma unroll
        for (int i = 0; i < SCALES; i += 2) {
            load_pair(scales, i, a.scales, at + i, a);
            if (has_mins) {
                load_pair(mins, i, a.mins, at + i, a);
            }
        }
    }
    static DEVICE void load_pair(float (&to)[SCALES], int i, const void* from, int64_t at, const DequantizeArgs& a) {
        float pair[2];
        load_scale_pair(pair, from, at, a.fp16_scales != 0);
        to[i] = pair[0];
        to[i + 1] = pair[1];
    }

    // Four integers that share the i-th scale, FACTOR times each as bytes, as weights in FP16. A byte b as the last
    // bits of an FP32 number, its sign turned, makes that 2^23 + 128 + b; what is subtracted then leaves b, or of INT4
    // with minimums 16 q = b + 128.
    DEVICE void weights(uint32_t (&to)[2], uint32_t bytes, int i) const {
        constexpr float PLAIN = 8388608.0f + 128;
        const float base = KIND == Integers::INT4 && has_mins ? PLAIN - 128 : PLAIN;
        const float scale = scales[i] * (1.0f / Tile::FACTOR);
        float w[4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const uint32_t bits = byte_perm(bytes ^ 0x80808080u, 0x4B000000u, 0x7540u + static_cast<unsigned>(k));
            const float integer = __uint_as_float(bits) - base;
            w[k] = has_mins ? fmaf(scale, integer, mins[i]) : scale * integer;
        }
        to[0] = finite_fp16(floats_to_fp16(w[0], w[1]));
        to[1] = finite_fp16(floats_to_fp16(w[2], w[3]));
    }

    // The chunk of FP16 that a lane stores of group g: of an even chunk of integers the first columns, with those of
    // the odd one beside it, and of that one the columns that are 16 further.
    DEVICE Words4 chunk(int g, bool odd) const {
        uint32_t bytes[2], first[2], second[2], other[2];
        Tile::unpack(words, g, levels, bytes[0], bytes[1]);
        weights(first, bytes[0], REACH == Reach::PER16 ? 2 * g : g);
        weights(second, bytes[1], REACH == Reach::PER16 ? 2 * g + 1 : g);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            other[i] = __shfl_xor_sync(ALL_LANES, odd ? first[i] : second[i], 1);
        }
        return odd ? Words4{other[0], other[1], second[0], second[1]} : Words4{first[0], first[1], other[0], other[1]};
    }
};

// A warp has a tile of integers.
template <Integers KIND, Reach REACH>
DEVICE void dequantize(const DequantizeArgs& a) {
    using Tile = WeightTile<KIND>;
    const auto tiles = static_cast<int>(a.tiles);
    const int tile = static_cast<int>(thread_index() / TILE_THREADS);
    const int line = tile / tiles;
    if (line * int64_t{TILE_OUTPUTS} >= a.outputs) {
        await_previous();
        return;
    }
    const int row = lane() / 4;
    const int c = lane() % 4 ^ row / 2 % 4;
    const Dequantization<KIND, REACH> weights(a, tile, row);
    await_previous();
    const int out_tiles = fp16_tiles(static_cast<int>(a.columns));
    const int first = tile % tiles * Tile::GROUPS;  // a group of integers is a tile of FP16
#pragma unroll
    for (int g = 0; g < Tile::GROUPS; g++) {
        const bool odd = c % 2 != 0;
        const Words4 chunk = weights.chunk(g, odd);
        if (first + g < out_tiles) {
            store16(fp16_chunk(a.out, int64_t{line} * out_tiles + first + g, row, odd * 2 + c / 2), chunk);
        }
    }
}

}  // namespace demitasse

KERNEL(demitasse::ELEMENT_THREADS) dequantize_weights(const demitasse::DequantizeArgs a) {
    using namespace demitasse;
    launch_dependents();
    switch (a.integers) {
        case Integers::INT8:
            a.group == 16 ? dequantize<Integers::INT8, Reach::PER16>(a) : dequantize<Integers::INT8, Reach::PER32>(a);
            break;
        case Integers::INT4:
            a.group == 16 ? dequantize<Integers::INT4, Reach::PER16>(a) : dequantize<Integers::INT4, Reach::PER32>(a);
            break;
        default:
            a.group == 16 ? dequantize<Integers::LEVELS, Reach::PER16>(a)
                          : dequantize<Integers::LEVELS, Reach::PER32>(a);
    }
}
EXPORT(dequantize_weights)

KERNEL(demitasse::ELEMENT_THREADS) fp16_rows(const demitasse::Fp16RowsArgs a) {
    using namespace demitasse;
    follow_previous();
    const auto columns = static_cast<int>(a.columns);
    const int tiles = fp16_tiles(columns);
    const int tile = static_cast<int>(thread_index() / TILE_THREADS);
    const int64_t first_row = tile / tiles * int64_t{TILE_OUTPUTS};
    if (first_row >= a.rows) {
        return;
    }
    const int row = lane() / 4;
    const int c = lane() % 4 ^ row / 2 % 4;
    const int k = tile % tiles * FP16_TILE_COLUMNS + c * 8;
    float x[2][LANE_COLUMNS] = {};
    if (first_row + row < a.rows) {
        const float* from = a.x + (first_row + row) * a.columns;
        load_columns(x[0], from, k, columns);
        load_columns(x[1], from, k + LANE_COLUMNS, columns);
    }
    uint32_t words[2][2];
    narrow_to_fp16(words[0], x[0]);
    narrow_to_fp16(words[1], x[1]);
    store16(fp16_chunk(a.out, tile, row, c), Words4{words[0][0], words[0][1], words[1][0], words[1][1]});
}
EXPORT(fp16_rows)
