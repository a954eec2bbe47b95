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
    ScaleType scale_type = ScaleType::FP32;
    bool all_sizes = true;  // else every other of the list

    bool integers() const { return element == Element::INT8 || element >= Element::INT4; }
};

// A matrix, its packed form, and the values that it stands for.
struct PackedCase {
    std::vector<uint8_t> quants;
    Numbers scales;
    Numbers mins;
    std::vector<uint16_t> fp16;  // the same, where they are FP16
    std::vector<int8_t> int8;    // the same, where they are INT8
    std::vector<uint16_t> supers;
    std::vector<int> integers;    // rows x padded
    std::vector<double> weights;  // rows x columns
    Matrix matrix{};

    // Points the matrix to the scales, which become powers of two (or stay zero) where they are stored as FP16, and
    // products of integers and FP16 numbers where they are INT8.
    void store_scales(std::mt19937& random) {
        const size_t count = scales.size();
        switch (matrix.scale_type) {
            case ScaleType::FP32:
                point(scales.data(), mins.data());
                break;
            case ScaleType::FP16:
                for (Numbers* values : {&scales, &mins}) {
                    store_fp16(*values);
                }
                point(fp16.data(), fp16.data() + count);
                break;
            case ScaleType::INT8:
                for (Numbers* values : {&scales, &mins}) {
                    store_int8(*values, random);
                }
                point(int8.data(), int8.data() + count);
                matrix.super_scales = supers.data();
                matrix.super_mins = mins.empty() ? nullptr : supers.data() + supers.size() / 2;
                break;
        }
    }

    template <class T>
    void point(const T* first, const T* second) {
        matrix.scales = reinterpret_cast<const uint8_t*>(first);
        matrix.mins = mins.empty() ? nullptr : reinterpret_cast<const uint8_t*>(second);
    }

    void store_fp16(Numbers& values) {
        for (float& value : values) {
            int exponent = static_cast<int>(value) % 4;
            int bits = value == 0 ? 0 : (value < 0 ? 0x8000 : 0) | (15 + exponent) << 10;
            value = value == 0 ? 0 : std::ldexp(value < 0 ? -1.0f : 1.0f, exponent);
            fp16.push_back(static_cast<uint16_t>(bits));
        }
    }

    void store_int8(Numbers& values, std::mt19937& random) {
        const Matrix& m = matrix;
        constexpr uint16_t SUPERS[] = {0x2C00, 0x2C00, 0xAC00, 0x0000};  // 0.0625 and on, the same negative, subnormal
        const size_t first = supers.size();
        if (!values.empty()) {
            supers.resize(first + static_cast<size_t>(m.panels() * m.supers() * PANEL));
        }
        for (size_t i = first; i < supers.size(); i++) {
            supers[i] = SUPERS[random() % 4] | static_cast<uint16_t>(random() & 0x3FF);
        }
        for (size_t i = 0; i < values.size(); i++) {
            const int64_t group = static_cast<int64_t>(i) / PANEL;
            const int64_t super = group / m.groups() * m.supers() + group % m.groups() * m.group / SUPER;
            const uint16_t bits = supers[first + static_cast<size_t>(super * PANEL) + i % PANEL];
            const int integer = static_cast<int>(values[i] * 30) % 128;
            int8.push_back(static_cast<int8_t>(integer));
            const int mantissa = (bits & 0x3FF) + ((bits & 0x7C00) == 0 ? 0 : 1024);
            const float super_value = std::ldexp(static_cast<float>(mantissa), (bits & 0x7C00) == 0 ? -24 : -14);
            values[i] = static_cast<float>(integer) * ((bits & 0x8000) != 0 ? -super_value : super_value);
        }
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
// with a minimum, scales as FP16 and as INT8, six bits.
inline std::vector<Layout> layouts(const std::vector<LayoutCase>& cases) {
    const char* names[] = {"F32", "F16", "BF16", "INT8", "INT4"};
    std::vector<Layout> all;
    for (const LayoutCase& c : cases) {
        const auto element = static_cast<Element>(std::find(names, names + 5, c.element) - names);
        const int maximum = element == Element::INT4 ? 15 : c.minimum ? 31 : 127;
        all.push_back({element, std::max<int64_t>(c.group, 0), c.minimum, maximum});
    }
    for (const Layout& more : std::initializer_list<Layout>{{Element::INT8, 32, false, 128},
                                                            {Element::INT8, 16, false, 32},
                                                            {Element::INT4, 0, true, 15},
                                                            {Element::INT4, 32, false, 15, ScaleType::FP16},
                                                            {Element::INT4, 32, true, 15, ScaleType::FP16},
                                                            {Element::INT8, 32, false, 127, ScaleType::FP16},
                                                            {Element::INT4, 32, true, 15, ScaleType::INT8},
                                                            {Element::INT4, 16, false, 15, ScaleType::INT8},
                                                            {Element::INT6, 16, false, 32, ScaleType::INT8},
                                                            {Element::INT6, 32, true, 32, ScaleType::INT8},
                                                            {Element::INT6, 32, false, 32, ScaleType::FP16},
                                                            {Element::INT6, 0, false, 32},
                                                            {Element::IQ4, 32, false, 127, ScaleType::INT8},
                                                            {Element::FP4, 32, false, 12, ScaleType::FP16},
                                                            {Element::FP4, 16, false, 12}}) {
        all.push_back(more);
        all.back().all_sizes = more.element < Element::INT6 && more.scale_type != ScaleType::INT8;
    }
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
    m = {nullptr, nullptr, nullptr, nullptr, nullptr, size.outputs, size.columns, 0, layout.element, ScaleType::FP32};
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

// The tables that four bits are places of.
inline int level(Element element, int place) {
    constexpr int IQ4[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    constexpr int FP4[] = {0, 1, 2, 3, 4, 6, 8, 12};
    return element == Element::IQ4 ? IQ4[place] : place < 8 ? FP4[place] : -FP4[place - 8];
}

// Integers of a layout; where they are random, the first row has the extremes side by side, where narrow sums would
// overflow first.
inline void fill_integers(const Layout& layout, Fill fill, std::mt19937& random, PackedCase& c) {
    const Matrix& m = c.matrix;
    const bool int6 = layout.element == Element::INT6;
    const bool levels = layout.element == Element::IQ4 || layout.element == Element::FP4;
    const bool nibbles = layout.element == Element::INT4 || levels;
    const int least = nibbles || layout.maximum == 31 ? 0 : -layout.maximum;
    const int most = nibbles ? 15 : layout.maximum == 128 ? 127 : int6 ? 31 : layout.maximum;
    std::uniform_int_distribution<int> integer(least, most);
    c.quants.resize(static_cast<size_t>(m.panels() * PANEL * m.padded() * m.element_bits() / 8));
    c.integers.resize(static_cast<size_t>(m.rows * m.padded()));
    for (int64_t row = 0; row < m.rows; row++) {
        for (int64_t k = 0; k < m.padded(); k++) {
            int value = fill == Fill::MAXIMUM   ? most
                        : fill == Fill::MINIMUM ? least
                        : row == 0              ? (least == 0 ? most : least)
                                                : integer(random);
            c.integers[static_cast<size_t>(row * m.padded() + k)] = levels ? level(layout.element, value) : value;
            int64_t panel = row / PANEL * PANEL * m.padded();
            int64_t r = row % PANEL * 4 + k % 4;
            if (nibbles) {
                uint8_t& pair = c.quants[static_cast<size_t>(panel / 2 + k / 8 * 64 + r)];
                pair = static_cast<uint8_t>(pair | value << ((k & 4) == 0 ? 0 : 4));
            } else if (int6) {
                const int64_t half = panel * 6 / 8 + k / 16 * 192;
                uint8_t& pair = c.quants[static_cast<size_t>(half + k % 16 / 8 * 64 + r)];
                pair = static_cast<uint8_t>(pair | ((value + 32) & 15) << ((k & 4) == 0 ? 0 : 4));
                uint8_t& upper = c.quants[static_cast<size_t>(half + 128 + r)];
                upper = static_cast<uint8_t>(upper | ((value + 32) >> 4) << k % 16 / 4 * 2);
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
    m = {nullptr,      nullptr,      nullptr, nullptr,        nullptr,
         size.outputs, size.columns, group,   layout.element, layout.scale_type};
    fill_integers(layout, size.fill, random, c);
    const Fill scales = size.fill == Fill::ZERO ? Fill::ZERO : Fill::RANDOM;
    c.scales = numbers(static_cast<size_t>(m.panels() * m.groups() * PANEL), scales, random);
    if (layout.minimum) {
        c.mins = numbers(c.scales.size(), scales, random);
    }
    m.quants = c.quants.data();
    c.store_scales(random);
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
