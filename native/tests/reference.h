// Plain FP64 versions of the operations, and the cases of the tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "demitasse/command.h"

namespace demitasse::test {

using Numbers = std::vector<float>;

inline Numbers numbers(size_t count, std::mt19937& random) {
    std::normal_distribution<float> normal;
    std::uniform_int_distribution<int> outlier(0, 49);
    Numbers values(count);
    for (float& value : values) {
        value = normal(random) * (outlier(random) == 0 ? 8.0f : 1.0f);
    }
    return values;
}

// The bits of finite numbers in a 16-bit type: the multiple of its unit in the last place that is nearest, ties to even.
inline std::vector<uint16_t> narrowed(const Numbers& values, OutputType type) {
    const bool half = type == OutputType::F16;
    const int mantissa = half ? 10 : 7;
    const int least = half ? -14 : -126;  // exponent of normal numbers
    const int infinite = half ? 0x7C00 : 0x7F80;
    std::vector<uint16_t> bits;
    for (float value : values) {
        const int exponent = value == 0 ? least : std::max(least, std::ilogb(value));
        const double units = std::nearbyint(std::ldexp(std::fabs(static_cast<double>(value)), mantissa - exponent));
        const int magnitude = std::min(infinite, (exponent - least) * (1 << mantissa) + static_cast<int>(units));
        bits.push_back(static_cast<uint16_t>((std::signbit(value) ? 0x8000 : 0) | magnitude));
    }
    return bits;
}

// A matrix of random integers, and its packed form.
struct PackedCase {
    std::vector<uint8_t> quants;
    Numbers scales;
    Numbers mins;
    std::vector<uint16_t> halves;
    std::vector<int> integers;  // rows x padded
    Matrix matrix{};

    // Points the matrix to the scales, which become powers of two where they are stored as FP16.
    void store_scales() {
        const bool half = matrix.half_scales != 0;
        for (Numbers* values : {&scales, &mins}) {
            for (float& value : *values) {
                if (half) {
                    int exponent = static_cast<int>(value) % 4;
                    value = std::ldexp(value < 0 ? -1.0f : 1.0f, exponent);
                    halves.push_back(static_cast<uint16_t>((value < 0 ? 0x8000 : 0) | (15 + exponent) << 10));
                }
            }
        }
        const void* first = half ? static_cast<const void*>(halves.data()) : scales.data();
        const void* second = half ? static_cast<const void*>(halves.data() + scales.size()) : mins.data();
        matrix.scales = static_cast<const uint8_t*>(first);
        matrix.mins = mins.empty() ? nullptr : static_cast<const uint8_t*>(second);
    }

    double weight(int64_t row, int64_t k) const {
        const Matrix& m = matrix;
        if (m.group == 0) {
            float value;
            std::memcpy(&value, quants.data() + 4 * ((row / PANEL * m.columns + k) * PANEL + row % PANEL), 4);
            return static_cast<double>(value);
        }
        size_t at = static_cast<size_t>((row / PANEL * m.groups() + k / m.group) * PANEL + row % PANEL);
        int zero = m.element == Element::INT4 && mins.empty() ? 8 : 0;
        double value = static_cast<double>(scales[at]) * (integers[static_cast<size_t>(row * m.padded() + k)] - zero);
        return mins.empty() ? value : value + static_cast<double>(mins[at]);
    }
};

struct Layout {
    Element element;
    int64_t group;  // 0: the whole row, for integers
    bool minimum;
    int maximum;  // of the integers
    bool half_scales = false;
};

inline std::vector<Layout> layouts() {
    return {{Element::F32, 0, false, 0},          {Element::INT8, 16, false, 127},
            {Element::INT8, 32, false, 128},      {Element::INT8, 16, false, 32},
            {Element::INT8, 32, true, 31},        {Element::INT8, 64, false, 127},
            {Element::INT8, 0, false, 127},       {Element::INT4, 32, false, 15},
            {Element::INT4, 32, true, 15},        {Element::INT4, 16, true, 15},
            {Element::INT4, 128, false, 15},      {Element::INT4, 0, true, 15},
            {Element::INT4, 32, false, 15, true}, {Element::INT4, 32, true, 15, true},
            {Element::INT8, 32, false, 127, true}};
}

inline PackedCase packed(const Layout& layout, int64_t rows, int64_t columns, std::mt19937& random) {
    PackedCase c;
    Matrix& m = c.matrix;
    m = {nullptr, nullptr, nullptr, rows, columns, layout.group, layout.element, layout.maximum, 0};
    if (layout.element == Element::F32) {
        Numbers values = numbers(static_cast<size_t>(m.panels() * PANEL * columns), random);
        c.quants.resize(values.size() * 4);
        std::memcpy(c.quants.data(), values.data(), c.quants.size());
        m.quants = c.quants.data();
        return c;
    }
    m.group = layout.group == 0 ? (columns + GROUP - 1) / GROUP * GROUP : layout.group;
    const bool int4 = layout.element == Element::INT4;
    std::uniform_int_distribution<int> integer(int4                   ? 0
                                               : layout.maximum == 31 ? 0
                                                                      : -layout.maximum,
                                               layout.maximum == 128 ? 127 : layout.maximum);
    c.quants.resize(static_cast<size_t>(m.panels() * PANEL * m.padded() / (int4 ? 2 : 1)));
    c.integers.resize(static_cast<size_t>(rows * m.padded()));
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t k = 0; k < m.padded(); k++) {
            // The extremes side by side, where narrow sums would overflow first.
            int value = row == 0 ? (int4 || layout.maximum == 31 ? layout.maximum : -layout.maximum) : integer(random);
            c.integers[static_cast<size_t>(row * m.padded() + k)] = value;
            int64_t panel = row / PANEL * PANEL * m.padded();
            int64_t r = row % PANEL * 4 + k % 4;
            if (int4) {
                uint8_t& pair = c.quants[static_cast<size_t>(panel / 2 + k / 8 * 64 + r)];
                pair = static_cast<uint8_t>(pair | value << ((k & 4) == 0 ? 0 : 4));
            } else {
                c.quants[static_cast<size_t>(panel + k / 4 * 64 + r)] = static_cast<uint8_t>(value);
            }
        }
    }
    c.scales = numbers(static_cast<size_t>(m.panels() * m.groups() * PANEL), random);
    if (layout.minimum) {
        c.mins = numbers(c.scales.size(), random);
    }
    m.quants = c.quants.data();
    m.half_scales = layout.half_scales ? 1 : 0;
    c.store_scales();
    return c;
}

// How activations are rounded to INT8.
enum class Rounding { NONE, GROUPS, ROWS };

// Rounded activations as values.
inline Numbers rounded(const Numbers& x, int64_t rows, int64_t columns, Rounding rounding) {
    const int64_t group = rounding == Rounding::ROWS ? columns : GROUP;
    Numbers out(x.size());
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t from = 0; from < columns; from += group) {
            int64_t to = std::min<int64_t>(columns, from + group);
            float largest = 0;
            for (int64_t k = from; k < to; k++) {
                largest = std::max(largest, std::fabs(x[static_cast<size_t>(row * columns + k)]));
            }
            for (int64_t k = from; k < to; k++) {
                size_t at = static_cast<size_t>(row * columns + k);
                out[at] = largest == 0 ? 0 : std::nearbyintf(x[at] * (127 / largest)) * (largest / 127);
            }
        }
    }
    return out;
}

}  // namespace demitasse::test
