// Operands of linear for the tests of its kernels, and its results in FP64.
#pragma once

#include <array>
#include <bit>
#include <random>

#include "checks.h"
#include "demitasse/quantize.cuh"
#include "native/tests/cases.h"

namespace demitasse::test {

// Levels for the tests, not in order.
constexpr std::array<int8_t, 16> TEST_LEVELS{-128, 113, -83, -65, -49, -35, 127, -10, 1, 13, 25, 38, 53, 69, 89, -104};
constexpr auto TEST_LEVEL_WORDS = std::bit_cast<std::array<uint64_t, 2>>(TEST_LEVELS);

// A matrix of random or extreme integers in tiles (weights.cuh), with scales in FP32 or FP16, and its values.
template <Integers KIND>
struct RandomMatrix {
    using Tile = WeightTile<KIND>;
    static constexpr int BITS = Tile::BITS;
    int outputs, columns, group;
    int64_t tiles;
    std::vector<uint8_t> quants;
    std::vector<float> scales, mins;
    std::vector<uint16_t> fp16_scales;  // and minimums, where they are FP16
    std::vector<double> values;         // outputs x columns

    RandomMatrix(int n, int k, int group_columns, bool minimum, bool fp16, Fill fill, std::mt19937& random)
        : outputs(n), columns(k), group(group_columns), tiles(blocks(k, Tile::COLUMNS)) {
        const int64_t output_tiles = blocks(n, TILE_OUTPUTS);
        const int groups = group == 0 ? 0 : Tile::COLUMNS / group;
        quants.resize(static_cast<size_t>(output_tiles * tiles * TILE_BYTES));
        scales.resize(static_cast<size_t>(group == 0 ? output_tiles * 8 : output_tiles * tiles * 8 * groups));
        mins.resize(minimum ? scales.size() : 0);
        std::uniform_real_distribution<float> real(0.01f, 0.1f);
        for (float& s : scales) {
            s = fill == Fill::ZERO ? 0 : real(random);
        }
        for (float& m : mins) {
            m = -real(random);
        }
        for (std::vector<float>* numbers : {&scales, &mins}) {
            for (float& number : *numbers) {
                if (fp16) {
                    fp16_scales.push_back(float_to_fp16(number));
                    number = fp16_to_float(fp16_scales.back());
                }
            }
        }
        for (int row = 0; row < n; row++) {
            for (int c = 0; c < k; c++) {
                const int q = integer(fill, random);
                put(row, c, q);
                const int64_t tile = row / 8 * tiles + c / Tile::COLUMNS;
                const auto at =
                    static_cast<size_t>(group == 0 ? row : (tile * 8 + row % 8) * groups + c % Tile::COLUMNS / group);
                const double value = static_cast<double>(scales[at]) * (level(q) - zero());
                values.push_back(minimum ? value + mins[at] : value);
            }
        }
    }

    // Bytes that a kernel moves to read every weight once; per row, scales are read where results are stored.
    size_t tile_bytes() const {
        const size_t numbers = group == 0 ? 0 : scales.size() + mins.size();
        return quants.size() + numbers * (fp16_scales.empty() ? 4 : 2);
    }

    static int integer(Fill fill, std::mt19937& random) {
        constexpr int LEAST = BITS == 4 ? 0 : -128;
        constexpr int COUNT = 1 << BITS;
        return LEAST + (fill == Fill::MAXIMUM   ? COUNT - 1
                        : fill == Fill::MINIMUM ? 0
                                                : static_cast<int>(random() % COUNT));
    }

    void put_to(LinearArgs& a) const {
        const bool fp16 = !fp16_scales.empty();
        a.quants = quants.data();
        a.scales = fp16 ? static_cast<const void*>(fp16_scales.data()) : scales.data();
        a.mins = mins.empty() ? nullptr
                 : fp16       ? static_cast<const void*>(fp16_scales.data() + scales.size())
                              : mins.data();
        a.fp16_scales = fp16 ? 1 : 0;
        a.outputs = outputs;
        a.tiles = tiles;
        a.columns = columns;
    }

    int zero() const { return KIND == Integers::INT4 && mins.empty() ? 8 : 0; }
    static int level(int q) { return KIND == Integers::LEVELS ? TEST_LEVELS[static_cast<size_t>(q)] : q; }

    void put(int row, int c, int q) {
        const int in_tile = c % Tile::COLUMNS;
        const int in_group = in_tile % 32;
        uint8_t* at = quants.data() + (row / 8 * tiles + c / Tile::COLUMNS) * TILE_BYTES +
                      chunk_offset(row % 8, in_group % 16 / 4);
        if (KIND == Integers::INT8) {
            at[in_tile / 32 * 8 + in_group / 16 * 4 + c % 4] = static_cast<uint8_t>(q);
        } else if (KIND == Integers::LEVELS) {
            at[in_tile / 32 * 4 + in_group / 16 * 2 + c % 4 / 2] |= static_cast<uint8_t>(q << c % 2 * 4);
        } else {
            at[in_tile / 32 * 4 + c % 4] |= static_cast<uint8_t>((q ^ 8) << in_group / 16 * 4);
        }
    }
};

// Rows of random numbers, and the same as integers in tiles.
struct RandomInput {
    int count;
    std::vector<float> x;
    std::vector<int8_t> q;
    std::vector<GroupPair> groups;

    RandomInput(int rows, int columns, int64_t padded, bool per_row, Fill fill, std::mt19937& random)
        : count(rows),
          x(normal_numbers(static_cast<int64_t>(rows) * columns, random)),
          q(static_cast<size_t>(round_up(rows, TILE_OUTPUTS) * padded)),
          groups(static_cast<size_t>(rows * padded / 64)) {
        if (fill == Fill::MAXIMUM || fill == Fill::MINIMUM) {
            std::fill(x.begin(), x.end(), fill == Fill::MAXIMUM ? 3.5f : -3.5f);
        }
        run("quantize_rows", {static_cast<unsigned>(rows), 1, 1}, QUANTIZE_THREADS, 0,
            QuantizeRowsArgs{x.data(),
                             columns,
                             nullptr,
                             nullptr,
                             {q.data(), groups.data(), padded, per_row},
                             nullptr,
                             nullptr,
                             nullptr});
    }

    void put_to(LinearArgs& a) const {
        a.x = x.data();
        a.q = reinterpret_cast<const uint8_t*>(q.data());
        a.groups = groups.data();
        a.rows = count;
    }
};

// What linear gives in FP64, and the power of what its sums are of.
struct Exact {
    std::vector<double> values;
    double power = 0;

    void add(double sum, double square) {
        values.push_back(sum);
        power += square;
    }
};

// Rows by a matrix: of the integers, and of FP32 activations.
template <Integers KIND>
void multiply_exactly(const RandomMatrix<KIND>& m, const RandomInput& input, const std::vector<float>& bias,
                      Exact& integers, Exact& floats) {
    const int64_t padded = m.tiles * WeightTile<KIND>::COLUMNS;
    for (int r = 0; r < input.count; r++) {
        for (int n = 0; n < m.outputs; n++) {
            double sums[2] = {bias[static_cast<size_t>(n)], bias[static_cast<size_t>(n)]};
            double squares[2] = {};
            for (int k = 0; k < m.columns; k++) {
                const double value = m.values[static_cast<size_t>(n * m.columns + k)];
                const float scale = input.groups[static_cast<size_t>(r * (padded / 64) + k / 64)].scales[k / 32 % 2];
                const double q = input.q[static_cast<size_t>(tiled_offset(r, k, padded))];
                const double terms[2] = {q * scale * value, input.x[static_cast<size_t>(r * m.columns + k)] * value};
                for (int i = 0; i < 2; i++) {
                    sums[i] += terms[i];
                    squares[i] += terms[i] * terms[i];
                }
            }
            integers.add(sums[0], squares[0]);
            floats.add(sums[1], squares[1]);
        }
    }
}

}  // namespace demitasse::test
