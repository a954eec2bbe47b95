// Computes: INT8 activations per group of 32 columns, or per row: q = round(x (127 / max|x|)), ties to even, with the
//           scale max|x| / 127; and the sums of the integers of each 16 columns.
// Layout:   x rows in order; out in blocks of rows (Activations in command.h), or rows in order.
// Requires: nothing of the columns; the last group is filled with zeros.
//           A group whose 127 / max|x| is infinite (max|x| below 3.7e-37) counts as zeros, with scale 0; one with NaN
//           or an infinity has integers 0 and scale NaN, which makes all results of its row NaN.
// Accuracy: the reference's integers exactly: adding and taking off 1.5 2^23 rounds to nearest even. Sums are below
//           2^13.
// Launch:   one task eight rows.
// Moves:    4 bytes read and 1.5 written a column.
// Why:      one pass over a group in registers; rows of a block lie together so that gemm reads them in order.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"

namespace demitasse::DM_ISA {

// NaN or infinite where an element is: bits of magnitudes are ordered as integers, and NaN is the largest.
inline float largest_magnitude(const float* x, int64_t count) {
    I32 largest = zero_i();
    for_lanes(0, count, [&](int64_t i, int n) { largest = max_i(largest, as_i32(abs(load_lanes(x + i, n)))); });
    const int32_t bits = reduce_max(largest);
    float magnitude;
    std::memcpy(&magnitude, &bits, 4);
    return magnitude;
}

// Rounds a group of count <= 32 columns whose largest magnitude is maximum; returns its scale.
inline float quantize_group(const float* x, int count, float maximum, int8_t* q, int16_t* sums16) {
    alignas(64) float padded[GROUP];
    if (count < GROUP) {
        std::memset(padded, 0, sizeof padded);
        std::memcpy(padded, x, static_cast<size_t>(count) * 4);
        x = padded;
    }
    const float inverse = 127 / maximum;
    if (!(inverse > 0 && inverse <= __FLT_MAX__)) {
        std::memset(q, 0, GROUP);
        sums16[0] = sums16[1] = 0;
        return maximum < 1 ? 0 : __builtin_nanf("");
    }
    for (int h = 0; h < 2; h++) {
        I32 sum = zero_i();
        for (int i = h * 16; i < h * 16 + 16; i += LANES) {
            I32 integers = to_i32(sub(add(mul(load(x + i), set1(inverse)), set1(12582912.0f)), set1(12582912.0f)));
            store_s8(q + i, integers);
            sum = add_i(sum, integers);
        }
        sums16[h] = static_cast<int16_t>(reduce_add(sum));
    }
    return maximum / 127;
}

inline void quantize_rows(const Command& command, int task, Worker&) {
    const QuantizeRowsArgs& a = command.quantize_rows;
    int64_t last = (task + 1) * QUANTIZE_ROWS < a.rows ? (task + 1) * QUANTIZE_ROWS : a.rows;
    for (int64_t row = task * QUANTIZE_ROWS; row < last; row++) {
        for (int64_t k = 0; k < a.columns; k += GROUP) {
            int64_t at = row * a.columns + k;
            int16_t sums16[2];
            a.scales[at / GROUP] =
                quantize_group(a.x + at, GROUP, largest_magnitude(a.x + at, GROUP), a.q + at, sums16);
        }
    }
}

inline void quantize_panels(const Command& command, int task, Worker&) {
    const QuantizePanelsArgs& a = command.quantize_panels;
    int64_t groups = (a.columns + GROUP - 1) / GROUP;
    int64_t last = (task + 1) * QUANTIZE_ROWS < a.rows ? (task + 1) * QUANTIZE_ROWS : a.rows;
    for (int64_t row = task * QUANTIZE_ROWS; row < last; row++) {
        int64_t first = row / ROW_BLOCK * ROW_BLOCK;
        int64_t block = a.rows - first < ROW_BLOCK ? a.rows - first : ROW_BLOCK;
        const float* x = a.x + row * a.columns;
        const float row_maximum = a.per_row != 0 ? largest_magnitude(x, a.columns) : 0;
        for (int64_t g = 0; g < groups; g++) {
            int64_t at = first * groups + g * block + row - first;
            int64_t k = g * GROUP;
            int count = static_cast<int>(a.columns - k < GROUP ? a.columns - k : GROUP);
            GroupActivation& out = a.out.groups[at];
            float maximum = a.per_row != 0 ? row_maximum : largest_magnitude(x + k, count);
            out.scale = quantize_group(x + k, count, maximum, a.out.q + at * GROUP, out.sums16);
            const int32_t sum = out.sums16[0] + out.sums16[1];
            out.sum = static_cast<float>(sum);
            out.correction = -128 * sum;
        }
    }
}

}  // namespace demitasse::DM_ISA
