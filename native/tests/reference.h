// Plain FP64 versions of the operations, and operands made of the cases of the tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "cases.h"
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

// The bits of finite numbers in a 16-bit type: the nearest multiple of its unit in the last place, ties to even.
inline std::vector<uint16_t> narrowed(const Numbers& values, OutputType type) {
    const bool f16 = type == OutputType::F16;
    const int mantissa = f16 ? 10 : 7;
    const int least = f16 ? -14 : -126;  // exponent of normal numbers
    const int infinite = f16 ? 0x7C00 : 0x7F80;
    std::vector<uint16_t> bits;
    for (float value : values) {
        const int exponent = value == 0 ? least : std::max(least, std::ilogb(value));
        const double units = std::nearbyint(std::ldexp(std::fabs(static_cast<double>(value)), mantissa - exponent));
        const int magnitude = std::min(infinite, (exponent - least) * (1 << mantissa) + static_cast<int>(units));
        bits.push_back(static_cast<uint16_t>((std::signbit(value) ? 0x8000 : 0) | magnitude));
    }
    return bits;
}

struct Layout {
    Element element;
    int64_t group;  // 0: the whole row, for integers
    bool minimum;
    int maximum;  // of the integers
    bool fp16_scales = false;

    bool integers() const { return element == Element::INT8 || element == Element::INT4; }
};

// A matrix, its packed form, and the values that it stands for.
struct PackedCase {
    std::vector<uint8_t> quants;
    Numbers scales;
    Numbers mins;
    std::vector<uint16_t> fp16;   // the same, where they are FP16
    std::vector<int> integers;    // rows x padded
    std::vector<double> weights;  // rows x columns
    Matrix matrix{};

    // Points the matrix to the scales, which become powers of two (or stay zero) where they are stored as FP16.
    void store_scales() {
        const bool as_fp16 = matrix.fp16_scales != 0;
        for (Numbers* values : {&scales, &mins}) {
            for (float& value : *values) {
                if (as_fp16) {
                    int exponent = static_cast<int>(value) % 4;
                    int bits = value == 0 ? 0 : (value < 0 ? 0x8000 : 0) | (15 + exponent) << 10;
                    value = value == 0 ? 0 : std::ldexp(value < 0 ? -1.0f : 1.0f, exponent);
                    fp16.push_back(static_cast<uint16_t>(bits));
                }
            }
        }
        const void* first = as_fp16 ? static_cast<const void*>(fp16.data()) : scales.data();
        const void* second = as_fp16 ? static_cast<const void*>(fp16.data() + scales.size()) : mins.data();
        matrix.scales = static_cast<const uint8_t*>(first);
        matrix.mins = mins.empty() ? nullptr : static_cast<const uint8_t*>(second);
    }

    double integer_weight(int64_t row, int64_t k) const {
        const Matrix& m = matrix;
        size_t at = static_cast<size_t>((row / PANEL * m.groups() + k / m.group) * PANEL + row % PANEL);
        int zero = m.element == Element::INT4 && mins.empty() ? 8 : 0;
        double value = static_cast<double>(scales[at]) * (integers[static_cast<size_t>(row * m.padded() + k)] - zero);
        return mins.empty() ? value : value + static_cast<double>(mins[at]);
    }
};

// Layouts of the list of cases, and what packers of files make of them besides: integers of another size, a scale a row
// with a minimum, scales as FP16.
inline std::vector<Layout> layouts(const std::vector<LayoutCase>& cases) {
    const char* names[] = {"F32", "F16", "BF16", "INT8", "INT4"};
    std::vector<Layout> all;
    for (const LayoutCase& c : cases) {
        const auto element = static_cast<Element>(std::find(names, names + 5, c.element) - names);
        const int maximum = element == Element::INT4 ? 15 : c.minimum ? 31 : 127;
        all.push_back({element, std::max<int64_t>(c.group, 0), c.minimum, maximum});
    }
    all.insert(all.end(), {{Element::INT8, 32, false, 128},
                           {Element::INT8, 16, false, 32},
                           {Element::INT4, 0, true, 15},
                           {Element::INT4, 32, false, 15, true},
                           {Element::INT4, 32, true, 15, true},
                           {Element::INT8, 32, false, 127, true}});
    return all;
}

// Numbers as the list of cases says.
inline Numbers numbers(size_t count, Fill fill, std::mt19937& random) {
    return fill == Fill::RANDOM ? numbers(count, random)
                                : Numbers(count, fill == Fill::MAXIMUM   ? 3.5f
                                                 : fill == Fill::MINIMUM ? -3.5f
                                                                         : 0.0f);
}

// A matrix of floating-point elements.
inline PackedCase packed_floats(const Layout& layout, const LinearCase& size, std::mt19937& random) {
    PackedCase c;
    Matrix& m = c.matrix;
    m = {nullptr, nullptr, nullptr, size.outputs, size.columns, 0, layout.element, 0, 0};
    Numbers values = numbers(static_cast<size_t>(m.panels() * PANEL * m.columns), size.fill, random);
    if (layout.element != Element::F32) {
        const bool f16 = layout.element == Element::F16;
        const std::vector<uint16_t> bits = narrowed(values, f16 ? OutputType::F16 : OutputType::BF16);
        for (size_t i = 0; i < bits.size(); i++) {  // the value that the bits stand for
            const int exponent = f16 ? bits[i] >> 10 & 31 : bits[i] >> 7 & 255;
            const int mantissa = (bits[i] & (f16 ? 1023 : 127)) + (exponent == 0 ? 0 : f16 ? 1024 : 128);
            const double magnitude = std::ldexp(mantissa, std::max(exponent, 1) - (f16 ? 25 : 134));
            values[i] = static_cast<float>((bits[i] & 0x8000) != 0 ? -magnitude : magnitude);
        }
        c.quants.resize(bits.size() * 2);
        std::memcpy(c.quants.data(), bits.data(), c.quants.size());
    } else {
        c.quants.resize(values.size() * 4);
        std::memcpy(c.quants.data(), values.data(), c.quants.size());
    }
    m.quants = c.quants.data();
    for (int64_t row = 0; row < m.rows; row++) {
        for (int64_t k = 0; k < m.columns; k++) {
            int64_t at = (row / PANEL * m.columns + k) * PANEL + row % PANEL;
            c.weights.push_back(static_cast<double>(values[static_cast<size_t>(at)]));
        }
    }
    return c;
}

// Integers of a layout; where they are random, the first row has the extremes side by side, where narrow sums would
// overflow first.
inline void fill_integers(const Layout& layout, Fill fill, std::mt19937& random, PackedCase& c) {
    const Matrix& m = c.matrix;
    const bool int4 = layout.element == Element::INT4;
    const int least = int4 || layout.maximum == 31 ? 0 : -layout.maximum;
    const int most = layout.maximum == 128 ? 127 : layout.maximum;
    std::uniform_int_distribution<int> integer(least, most);
    c.quants.resize(static_cast<size_t>(m.panels() * PANEL * m.padded() / (int4 ? 2 : 1)));
    c.integers.resize(static_cast<size_t>(m.rows * m.padded()));
    for (int64_t row = 0; row < m.rows; row++) {
        for (int64_t k = 0; k < m.padded(); k++) {
            int value = fill == Fill::MAXIMUM   ? most
                        : fill == Fill::MINIMUM ? least
                        : row == 0              ? (least == 0 ? most : least)
                                                : integer(random);
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
}

inline PackedCase packed(const Layout& layout, const LinearCase& size, std::mt19937& random) {
    if (!layout.integers()) {
        return packed_floats(layout, size, random);
    }
    PackedCase c;
    Matrix& m = c.matrix;
    const int64_t group = layout.group == 0 ? (size.columns + GROUP - 1) / GROUP * GROUP : layout.group;
    m = {nullptr, nullptr, nullptr, size.outputs, size.columns, group, layout.element, layout.maximum, 0};
    fill_integers(layout, size.fill, random, c);
    const Fill scales = size.fill == Fill::ZERO ? Fill::ZERO : Fill::RANDOM;
    c.scales = numbers(static_cast<size_t>(m.panels() * m.groups() * PANEL), scales, random);
    if (layout.minimum) {
        c.mins = numbers(c.scales.size(), scales, random);
    }
    m.quants = c.quants.data();
    m.fp16_scales = layout.fp16_scales ? 1 : 0;
    c.store_scales();
    for (int64_t row = 0; row < m.rows; row++) {
        for (int64_t k = 0; k < m.columns; k++) {
            c.weights.push_back(c.integer_weight(row, k));
        }
    }
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
