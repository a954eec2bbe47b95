// Where results of linear go, and as what.
#pragma once

#include "demitasse/kernel.cuh"

namespace demitasse {

enum class OutputType : int64_t { F32, F16, BF16 };

// Numbers in order, FP32 or rounded to 16 bits, nearest, ties to even. They begin at a multiple of 8 bytes.
struct Output {
    void* to;
    OutputType type;

    DEVICE void store(int64_t at, float value) const {
        if (type == OutputType::F32) {
            static_cast<float*>(to)[at] = value;
        } else {
            static_cast<uint16_t*>(to)[at] = static_cast<uint16_t>(narrow(value, 0));
        }
    }

    // The first `count` of two neighbors.
    DEVICE void store_pair(int64_t at, const float (&pair)[2], int count) const {
        if (count < 2 || at % 2 != 0) {
            if (count > 0) {
                store(at, pair[0]);
            }
            if (count > 1) {
                store(at + 1, pair[1]);
            }
        } else {
            store_aligned(at, pair);
        }
    }

    // Two neighbors of which the first has an even number.
    DEVICE void store_aligned(int64_t at, const float (&pair)[2]) const {
        if (type == OutputType::F32) {
            store_floats(static_cast<float*>(to) + at, pair[0], pair[1]);
        } else {
            static_cast<uint32_t*>(to)[at / 2] = narrow(pair[0], pair[1]);
        }
    }

    // Two numbers of a 16-bit type in a word, the first in its low 16 bits.
    DEVICE uint32_t narrow(float first, float second) const {
        return type == OutputType::F16 ? floats_to_fp16(first, second) : floats_to_bf16(first, second);
    }
};

}  // namespace demitasse
