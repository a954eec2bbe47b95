// Computes: out[i] = scale table[ids[i]].
// Layout:   the table as weights.cuh says, or float_weights.cuh; ids in device memory; out rows x columns FP32.
// Requires: ids within the table; a negative one counts as 0.
// Accuracy: FP32; 16-bit elements are widened exactly.
// Launch:   (rows, columns / 256) blocks of 256 threads, a thread an element.
// Moves:    a row of the table read, 4 bytes written an element.
// Why:      bound by the launch: few rows a step, wherever they lie.
#include "demitasse/weights.cuh"

namespace demitasse {

enum class Table : int64_t { F32, F16, BF16, INT8, INT4, LEVELS };

struct EmbedArgs {
    Table element;
    const uint8_t* weights;
    const void* scales;
    const void* mins;  // or null
    int64_t stride;    // floating point: bytes of a row
    int64_t tiles;     // integers: tiles of a row
    int64_t group;     // integers: columns that share a scale, 16 or 32; 0 for the whole row
    int64_t fp16_scales;
    uint64_t levels[2];  // of places
    int64_t columns;
    const int32_t* ids;
    Real scale;
    float* out;
};

template <Integers KIND>
DEVICE float integer_element(const EmbedArgs& a, int64_t row, int k) {
    using Tile = WeightTile<KIND>;
    const int64_t tile = row / TILE_OUTPUTS * a.tiles + k / Tile::COLUMNS;
    const int in_tile = k % Tile::COLUMNS;
    const int in_group = in_tile % 32;
    const uint8_t* line =
        a.weights + tile * TILE_BYTES + chunk_offset(static_cast<int>(row % TILE_OUTPUTS), in_group % 16 / 4);
    int q;
    if constexpr (KIND == Integers::INT8) {
        q = static_cast<int8_t>(line[in_tile / 32 * 8 + in_group / 16 * 4 + k % 4]);
    } else if constexpr (KIND == Integers::LEVELS) {
        q = Levels(a.levels).of(line[in_tile / 32 * 4 + in_group / 16 * 2 + k % 4 / 2] >> k % 2 * 4 & 15);
    } else {
        q = static_cast<int8_t>(line[in_tile / 32 * 4 + k % 4] << (4 - in_group / 16 * 4)) >> 4;
        q += a.mins != nullptr ? 8 : 0;
    }
    const int64_t groups = a.group == 0 ? 1 : Tile::COLUMNS / a.group;
    const int64_t scale = a.group == 0 ? row : (tile * TILE_OUTPUTS + row % TILE_OUTPUTS) * groups + in_tile / a.group;
    auto number = [&](const void* from) {
        return a.fp16_scales != 0 ? fp16_to_float(static_cast<const uint16_t*>(from)[scale])
                                  : static_cast<const float*>(from)[scale];
    };
    const float value = number(a.scales) * static_cast<float>(q);
    return a.mins == nullptr ? value : value + number(a.mins);
}

DEVICE float table_element(const EmbedArgs& a, int64_t row, int k) {
    switch (a.element) {
        case Table::F32:
            return reinterpret_cast<const float*>(a.weights + row * a.stride)[k];
        case Table::F16:
            return fp16_to_float(reinterpret_cast<const uint16_t*>(a.weights + row * a.stride)[k]);
        case Table::BF16:
            return __uint_as_float(
                static_cast<uint32_t>(reinterpret_cast<const uint16_t*>(a.weights + row * a.stride)[k]) << 16);
        case Table::INT8:
            return integer_element<Integers::INT8>(a, row, k);
        case Table::INT4:
            return integer_element<Integers::INT4>(a, row, k);
        default:
            return integer_element<Integers::LEVELS>(a, row, k);
    }
}

}  // namespace demitasse

KERNEL_BLOCKS(demitasse::ROW_THREADS, 4) embed(const demitasse::EmbedArgs a) {
    demitasse::follow_previous();
    const int64_t row = a.ids[blockIdx.x] < 0 ? 0 : a.ids[blockIdx.x];  // sample found no token; nobody wants the row
    const int step = static_cast<int>(gridDim.y * blockDim.x);
    for (int k = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x); k < a.columns; k += step) {
        a.out[blockIdx.x * a.columns + k] = a.scale * demitasse::table_element(a, row, k);
    }
}
EXPORT(embed)
