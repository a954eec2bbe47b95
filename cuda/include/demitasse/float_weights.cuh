// Weights in FP32, FP16 or BF16: rows in order, each padded to 16 bytes with zeros. What gemv_float and gemm_float
// share.
#pragma once

#include "demitasse/weights.cuh"

namespace demitasse {

struct FloatLinearArgs {
    const uint8_t* weights;
    int64_t stride;  // bytes of a row
    int64_t outputs;
    int64_t columns;
    const float* x;
    int64_t rows;
    const float* bias;  // or null
    Output out;
    const GroupTile* tiles;  // of a grouped product, one for each block along y
    int64_t group_stride;    // bytes from a group's weights to the next one's; biases follow each other

    // The matrix of a tile's group; rows are those of all groups, up to the tile's last.
    DEVICE FloatLinearArgs of(const GroupTile& tile) const {
        FloatLinearArgs own = *this;
        own.weights += tile.group * group_stride;
        own.bias = bias == nullptr ? nullptr : bias + tile.group * outputs;
        own.rows = tile.end;
        return own;
    }
};

struct F32 {
    static constexpr int BYTES = 4;
    static DEVICE float get(const Words4& w, int i) {
        return __uint_as_float(i == 0 ? w.x : i == 1 ? w.y : i == 2 ? w.z : w.w);
    }
};

struct F16 {
    static constexpr int BYTES = 2;
    static DEVICE float get(const Words4& w, int i) {
        const uint32_t word = i < 2 ? w.x : i < 4 ? w.y : i < 6 ? w.z : w.w;
        return fp16_to_float(static_cast<uint16_t>(word >> 16 * (i % 2)));
    }
};

struct BF16 {
    static constexpr int BYTES = 2;
    static DEVICE float get(const Words4& w, int i) {
        const uint32_t word = i < 2 ? w.x : i < 4 ? w.y : i < 6 ? w.z : w.w;
        return __uint_as_float(word >> 16 * (i % 2) << 16);
    }
};

}  // namespace demitasse
