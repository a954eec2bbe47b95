// The kernels whose threads work together, against FP64, in both landing modes of asynchronous copies and with five
// orders of threads; and one row against many. Sizes are those of java/testkit's cases.txt. All kernels are tested
// through Java by the contract tests; this adds the orders, and sanitizers.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "kernels.cpp"
// The kernels' structures come first.
#include "attention_sequences.h"
#include "linear_operands.h"
#include "native/tests/hadamard.h"

namespace {

using namespace demitasse;
using namespace demitasse::test;

std::vector<uint16_t> narrowed(const std::vector<float>& values, OutputType type) {
    std::vector<uint16_t> bits;
    for (float v : values) {
        bits.push_back(type == OutputType::F16 ? float_to_fp16(v) : float_to_bf16(v));
    }
    return bits;
}

// A kernel that multiplies `rows` rows by `outputs` outputs a block, and over how many segments a launch is split.
struct LinearKernel {
    std::string name;
    int rows, outputs;
    unsigned threads;
    size_t shared_bytes;
    unsigned splits;
};

std::string name_of(Integers kind) {
    return kind == Integers::INT8 ? "int8" : kind == Integers::INT4 ? "int4" : "levels";
}

std::vector<LinearKernel> linear_kernels(Integers kind, int group, unsigned segments) {
    const std::string element = name_of(kind);
    const std::string suffix = group == 0 ? "_per_row" : group == 16 ? "_per16" : "_per32";
    const std::string gemv = "gemv_" + element + suffix;
    const std::string gemm = "gemm_" + element + suffix;
    std::vector<LinearKernel> kernels;
    for (int rows : {4, 8}) {
        kernels.push_back({gemv + "_rows" + std::to_string(rows), rows, GEMV_OUTPUTS, GEMV_THREADS,
                           static_cast<size_t>(gemv_shared_bytes(CAPABILITY)), 1});
    }
    for (int rows : {16, 32, 64, 128}) {
        kernels.push_back({gemm + "_m" + std::to_string(rows), rows, gemm_outputs(group, rows),
                           static_cast<unsigned>(gemm_threads(rows)),
                           static_cast<size_t>(gemm_shared_bytes(bits_of(kind), group, rows)),
                           rows == 16 ? segments : 1});
    }
    for (int rows : {1, 4}) {
        kernels.push_back({gemv + "_float_rows" + std::to_string(rows), rows, EXACT_GEMV_OUTPUTS, GEMV_THREADS,
                           EXACT_GEMV_SHARED_BYTES, 1});
    }
    return kernels;
}

// What weights are like: columns that share a scale (0: all), minimums or none, scales in FP16 or FP32.
struct Weights {
    int group;
    bool minimum, fp16;
};

// All kernels of a kind of weights: near FP64, and those of integers with the same bits. With one of the orders there
// are two copies of the matrix, as if they were a layer's keys and values, of which the second has 16-bit results.
template <Integers KIND>
void test_linear(const LinearCase& size, const Weights& weights, std::mt19937& random) {
    const auto rows = static_cast<int>(size.rows);
    const auto outputs = static_cast<int>(size.outputs);
    const auto columns = static_cast<int>(size.columns);
    const int group = weights.group;
    const OutputType narrow = KIND == Integers::INT8 ? OutputType::F16 : OutputType::BF16;
    const unsigned copies = emulator::settings.seed == 0 ? 2 : 1;
    const RandomMatrix<KIND> m(outputs, columns, group, weights.minimum, weights.fp16, size.fill, random);
    const RandomInput input(rows, columns, m.tiles * WeightTile<KIND>::COLUMNS, group == 0, size.fill, random);
    const std::vector<float> bias =
        size.bias ? normal_numbers(outputs, random) : std::vector<float>(static_cast<size_t>(outputs));
    Exact integers, floats;
    multiply_exactly(m, input, bias, integers, floats);
    std::vector<float> first_bits;
    LinearArgs a{};
    m.put_to(a);
    input.put_to(a);
    a.bias = size.bias ? bias.data() : nullptr;
    for (const LinearKernel& kernel : linear_kernels(KIND, group, static_cast<unsigned>(a.segments()))) {
        std::vector<float> out(integers.values.size(), -1.0f);
        std::vector<uint16_t> narrow_out(out.size(), 1);
        const size_t partials = (SEGMENTS * out.size() + 3) / 4 * 4;  // stored in pairs
        std::vector<float> partial(2 * partials);
        a.out = {out.data(), OutputType::F32};
        a.partial = partial.data();
        LinearArgs second = a;
        second.out = {narrow_out.data(), narrow};
        second.partial += partials;
        // Blocks of gemv may be fewer than the pieces that they take; some have one more than others.
        auto batch = [&](unsigned each) {
            return LinearBatch{{a, second, {}}, {each, each, 0}, nullptr, {TEST_LEVEL_WORDS[0], TEST_LEVEL_WORDS[1]}};
        };
        const unsigned pieces = blocks(outputs, kernel.outputs);
        const bool fewer = kernel.name.find("gemv") == 0;
        const unsigned each = fewer ? 1 + static_cast<unsigned>(random() % pieces) : pieces;
        const size_t copied = emulator::copied_bytes;
        run(kernel.name, {copies * each, blocks(rows, kernel.rows), kernel.splits}, kernel.threads, kernel.shared_bytes,
            batch(each));
        if (kernel.splits > 1) {
            const unsigned sums = blocks(rows * outputs, ELEMENT_THREADS);
            const std::string finish = group == 0 ? "linear_finish_" + name_of(KIND) + "_per_row" : "linear_finish";
            run(finish, {copies * sums, 1, 1}, ELEMENT_THREADS, 0, batch(sums));
        }
        const std::string what = kernel.name + ", " + std::to_string(rows) + " rows, " + std::to_string(outputs) +
                                 " x " + std::to_string(columns);
        // gemv reads weights once for each of its groups of rows, as far as its blocks have outputs for all of them.
        check(!fewer || outputs % kernel.outputs != 0 ||
                  emulator::copied_bytes - copied == copies * blocks(rows, kernel.rows) * m.tile_bytes(),
              what + ": weights are not read once");
        const bool of_floats = kernel.name.find("_float") != std::string::npos;
        const Exact& expected = of_floats ? floats : integers;
        check(close(out, expected.values, 1e-10, expected.power), what);
        check(copies == 1 || narrow_out == narrowed(out, narrow), what + ": 16-bit results are not those of FP32");
        first_bits = first_bits.empty() ? out : first_bits;
        check(of_floats || out == first_bits, what + ": other bits than the first kernel's");
    }
}

// The groups of the list's layouts of integers, as kernels know them: longer ones are groups of 32 that repeat theirs;
// and levels, which types of files have.
std::vector<std::pair<Integers, int>> kinds_of_weights(const Cases& cases) {
    std::vector<std::pair<Integers, int>> kinds{{Integers::LEVELS, 16}, {Integers::LEVELS, 32}};
    for (const LayoutCase& layout : cases.layouts) {
        if (layout.element.find("INT") != 0) {
            continue;
        }
        const int group = layout.group == ROW_GROUP ? 0 : std::min(static_cast<int>(layout.group), 32);
        const std::pair<Integers, int> kind{layout.element == "INT4" ? Integers::INT4 : Integers::INT8, group};
        if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
            kinds.push_back(kind);
        }
    }
    return kinds;
}

// Every size with every kind of weights, each with one of the orders.
void test_linear(const Cases& cases, std::mt19937& random) {
    std::vector<LinearCase> sizes = cases.linear;
    sizes.push_back({130, 75, 460, Fill::RANDOM, true});  // two tiles of 128 rows, which nothing in the list has
    unsigned at = 0;
    for (const auto& [kind, group] : kinds_of_weights(cases)) {
        for (unsigned i = 0; i < sizes.size(); i++, at++) {
            if (at % 5 != emulator::settings.seed) {
                continue;
            }
            const Weights weights{group, kind != Integers::LEVELS && at / 5 % 2 == 1, at / 10 % 2 == 1};
            switch (kind) {
                case Integers::INT8:
                    test_linear<Integers::INT8>(sizes[i], weights, random);
                    break;
                case Integers::INT4:
                    test_linear<Integers::INT4>(sizes[i], weights, random);
                    break;
                case Integers::LEVELS:
                    test_linear<Integers::LEVELS>(sizes[i], weights, random);
            }
        }
    }
}

// Several units of work for each cluster, a last row tile alone, and an odd number of tiles of columns.
void test_wgmma(std::mt19937& random) {
    for (int k : {64, 720, 128 + 256, 192 + 512}) {  // 1, 12, 6 and 11 tiles
        constexpr int N = 140, ROWS = 600;
        RandomMatrix<Integers::INT8> m(N, k, 0, false, false, Fill::RANDOM, random);
        const int64_t padded = m.tiles * WeightTile<Integers::INT8>::COLUMNS;
        const RandomInput input(ROWS, k, padded, true, Fill::RANDOM, random);
        std::vector<float> expected(ROWS * N), out(ROWS * N);
        LinearArgs a{};
        m.put_to(a);
        input.put_to(a);
        a.out.to = expected.data();
        run("gemm_int8_per_row_m128", {blocks(N, 128), blocks(ROWS, 128), 1}, gemm_threads(128),
            gemm_shared_bytes(8, 0, 128), LinearBatch{{a, {}, {}}, {blocks(N, 128), 0, 0}, nullptr, {}});
        a.out.to = out.data();
        for (unsigned grid : {2u, 6u}) {
            std::fill(out.begin(), out.end(), -1.0f);
            run("gemm_int8_per_row_wgmma", {grid, 1, 1}, WGMMA_THREADS, WGMMA_BYTES, a);
            check(out == expected,
                  "gemm_int8_per_row_wgmma, " + std::to_string(k) + " columns: not the bits of gemm_int8");
        }
        std::vector<uint16_t> narrow(out.size());
        a.out = {narrow.data(), OutputType::BF16};
        run("gemm_int8_per_row_wgmma", {2, 1, 1}, WGMMA_THREADS, WGMMA_BYTES, a);
        check(narrow == narrowed(expected, OutputType::BF16),
              "gemm_int8_per_row_wgmma: 16-bit results are not those of FP32");
    }
}

// An element of FP16 tiles (fp16_tiles.cuh).
uint16_t fp16_element(const std::vector<uint8_t>& tiles, int columns, int row, int k) {
    const int tile = row / TILE_OUTPUTS * fp16_tiles(columns) + k / FP16_TILE_COLUMNS;
    uint16_t bits;
    std::memcpy(&bits, tiles.data() + tile * TILE_BYTES + chunk_offset(row % 8, k % 32 / 8) + k % 8 * 2, sizeof bits);
    return bits;
}

std::vector<uint8_t> fp16_tile_bytes(int rows, int columns) {
    const auto tiles = static_cast<int>(blocks(rows, TILE_OUTPUTS)) * fp16_tiles(columns);
    return std::vector<uint8_t>(static_cast<size_t>(tiles) * TILE_BYTES, 0xEE);
}

// A matrix as FP16, by the kernel that is tested so: every weight is the nearest one, or the largest. `factor`, a power
// of two, makes scales and minimums larger, where they are FP32.
template <Integers KIND>
std::vector<uint8_t> test_dequantize(RandomMatrix<KIND>& m, float factor) {
    for (std::vector<float>* numbers : {&m.scales, &m.mins}) {
        for (float& number : *numbers) {
            number *= factor;
        }
    }
    LinearArgs linear{};
    m.put_to(linear);
    std::vector<uint8_t> tiles = fp16_tile_bytes(m.outputs, m.columns);
    const int64_t threads = blocks(m.outputs, TILE_OUTPUTS) * m.tiles * TILE_THREADS;
    run("dequantize_weights", {blocks(threads, ELEMENT_THREADS), 1, 1}, ELEMENT_THREADS, 0,
        DequantizeArgs{m.quants.data(),
                       linear.scales,
                       linear.mins,
                       linear.fp16_scales,
                       KIND,
                       m.group,
                       m.outputs,
                       m.tiles,
                       m.columns,
                       {TEST_LEVEL_WORDS[0], TEST_LEVEL_WORDS[1]},
                       tiles.data()});
    bool same = true;
    for (int row = 0; row < m.outputs; row++) {
        for (int k = 0; k < m.columns; k++) {
            double& value = m.values[static_cast<size_t>(row * m.columns + k)];
            value = std::clamp(value * factor, -65504.0, 65504.0);
            same = same && fp16_element(tiles, m.columns, row, k) == float_to_fp16(static_cast<float>(value));
        }
    }
    check(same, "dequantize_weights: " + name_of(KIND) + " per " + std::to_string(m.group) + ", " +
                    std::to_string(m.outputs) + " x " + std::to_string(m.columns));
    return tiles;
}

// Activations as FP16, by the kernel that is tested so: with zeros beyond columns and rows, and what is not finite or
// too large in some.
std::vector<uint8_t> test_fp16_rows(std::vector<float>& x, int rows, int columns) {
    const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f, -65520, 65519, 1e-7f, -0.0f};
    for (int i = 0; i < 8 && rows > 8; i++) {
        x[static_cast<size_t>((i < 3 ? 3 : 5) * columns + i)] = odd[i];
    }
    std::vector<uint8_t> tiles = fp16_tile_bytes(rows, columns);
    run("fp16_rows", {blocks(static_cast<int64_t>(tiles.size() / 16), ELEMENT_THREADS), 1, 1}, ELEMENT_THREADS, 0,
        Fp16RowsArgs{x.data(), rows, columns, tiles.data()});
    bool same = true;
    for (int row = 0; row < round_up(rows, TILE_OUTPUTS); row++) {
        for (int k = 0; k < round_up(columns, FP16_TILE_COLUMNS); k++) {
            const float value = row < rows && k < columns ? x[static_cast<size_t>(row * columns + k)] : 0;
            const uint16_t expected =
                std::isfinite(value) ? float_to_fp16(std::clamp(value, -65504.0f, 65504.0f)) : 0x7FFF;
            same = same && fp16_element(tiles, columns, row, k) == expected;
        }
    }
    check(same, "fp16_rows: " + std::to_string(rows) + " x " + std::to_string(columns));
    return tiles;
}

// Whether a row of results is near FP64 of operands in FP16, or NaN where one of the row is.
bool is_fp16_product(const float* out, int row, const std::vector<uint8_t>& x, const std::vector<uint8_t>& w,
                     const std::vector<float>& bias, int columns) {
    std::vector<double> expected;
    double power = 0;
    bool finite = true;
    bool all_nan = true;
    for (size_t n = 0; n < bias.size(); n++) {
        double sum = bias[n];
        for (int k = 0; k < columns; k++) {
            const double term = static_cast<double>(fp16_to_float(fp16_element(x, columns, row, k))) *
                                fp16_to_float(fp16_element(w, columns, static_cast<int>(n), k));
            sum += term;
            power += term * term;
        }
        expected.push_back(sum);
        finite = finite && std::isfinite(sum);
        all_nan = all_nan && std::isnan(out[n]);
    }
    return finite ? close({out, out + expected.size()}, expected, 1e-10, power) : all_nan;
}

// The way of many rows over FP16: both conversions exactly, and their product near FP64 of what they give.
template <Integers KIND>
void test_fp16(int rows, int outputs, int columns, const Weights& weights, std::mt19937& random) {
    RandomMatrix<KIND> m(outputs, columns, weights.group, weights.minimum, weights.fp16, Fill::RANDOM, random);
    const std::vector<uint8_t> w = test_dequantize(m, !weights.fp16 && weights.minimum ? 1 << 17 : 1);
    std::vector<float> x = normal_numbers(int64_t{rows} * columns, random);
    const std::vector<uint8_t> q = test_fp16_rows(x, rows, columns);
    const std::vector<float> bias = normal_numbers(outputs, random);
    const std::string what = "gemm_f16_wgmma, " + std::to_string(rows) + " rows, " + std::to_string(outputs) + " x " +
                             std::to_string(columns);
    std::vector<float> first;
    LinearArgs a{};
    a.quants = w.data();
    a.q = q.data();
    a.tiles = fp16_tiles(columns);
    a.outputs = outputs;
    a.rows = rows;
    a.bias = bias.data();
    for (unsigned grid : {2u, 6u}) {
        std::vector<float> out(static_cast<size_t>(rows * outputs), -1.0f);
        a.out = {out.data(), OutputType::F32};
        run("gemm_f16_wgmma", {grid, 1, 1}, WGMMA_THREADS, WGMMA_BYTES, a);
        check(first.empty() || std::memcmp(first.data(), out.data(), out.size() * sizeof(float)) == 0,
              what + ": other bits in another grid");
        first = out;
    }
    std::vector<uint16_t> narrow(first.size());
    a.out = {narrow.data(), OutputType::F16};
    run("gemm_f16_wgmma", {2, 1, 1}, WGMMA_THREADS, WGMMA_BYTES, a);
    check(narrow == narrowed(first, OutputType::F16), what + ": 16-bit results are not those of FP32");
    bool near = true;
    for (int r = 0; r < rows; r++) {
        near = near && is_fp16_product(first.data() + r * outputs, r, q, w, bias, columns);
    }
    check(near, what);
}

// 1, 6, 11 and 8 tiles of columns, of which a stage has four; several units of work for a cluster.
void test_fp16(std::mt19937& random) {
    const bool minimum = emulator::settings.seed % 2 == 0;
    test_fp16<Integers::INT4>(70, 24, 32, {32, minimum, true}, random);
    test_fp16<Integers::INT8>(300, 140, 168, {32, minimum, false}, random);
    test_fp16<Integers::INT4>(140, 70, 340, {16, minimum, false}, random);
    test_fp16<Integers::INT8>(270, 130, 256, {16, minimum, true}, random);
    test_fp16<Integers::LEVELS>(140, 70, 340, {32, false, minimum}, random);
    test_fp16<Integers::LEVELS>(70, 24, 256, {16, false, minimum}, random);
}

void test_attention(const AttentionCase& shape, const CacheType& type, std::mt19937& random) {
    AttentionTest test(shape, type, random);
    if (!type.scaled) {
        test.make_sink();
    }
    test.append();
    const auto rows = static_cast<int>(test.new_positions.size());
    const std::vector<float> decoded = test.by_decode(rows);
    const std::vector<float> prefilled = test.by_prefill(rows);
    check(close(prefilled, std::vector<double>(decoded.begin(), decoded.end()), 1e-5),
          test.prefill + " is not near " + test.decode);
    const int size = test.heads * test.dim;
    for (int row : {0, rows / 2, rows - 1}) {
        const float* out = decoded.data() + row * size;
        check(type.scaled || close(std::vector<float>(out, out + size), test.exact(row), 1e-10), test.decode);
    }
    if (shape.ahead > 0) {
        return;  // what is behind a row is seen
    }
    // What a row does not see, be it NaN or very large, does not change its bits; nor do other rows of the batch.
    test.append_behind_first(type.scaled ? 1e30f : NAN);
    const std::vector<float> alone = test.by_decode(1);
    const std::vector<float> prefilled_alone = test.by_prefill(1);
    check(std::equal(alone.begin(), alone.end(), decoded.begin()),
          test.decode + ": other bits with other positions behind the row");
    check(std::equal(prefilled_alone.begin(), prefilled_alone.end(), prefilled.begin()),
          test.prefill + ": other bits with other positions behind the row");
}

// The fast transform against the matrix that it stands for; and kv_append, which turns and rotates while it stores,
// against what does so one after the other.
void test_rotate(int dim, std::mt19937& random) {
    constexpr int ROWS = 3;
    constexpr int HEADS = 3;
    const std::vector<float> x = normal_numbers(ROWS * HEADS * dim, random);
    const int n = dim & -dim;
    const std::vector<double> right = rotated_heads(x, static_cast<size_t>(dim));
    const std::string what = "rotate heads of " + std::to_string(dim);
    std::vector<float> rotated = x;
    run("rotate", {blocks(ROWS * HEADS, ROTATE_HEADS), 1, 1}, ROTATE_THREADS, 0,
        RotateArgs{rotated.data(), ROWS, HEADS, dim, {}});
    check(close(rotated, right, 1e-10), what);

    const int32_t positions[ROWS] = {0, 1, 2};
    const int32_t tables[ROWS] = {};
    const int32_t pages[1] = {};
    std::vector<float> angles(static_cast<size_t>(ROWS * dim), 0.6f);
    std::vector<uint8_t> caches[2];
    for (int together = 0; together < 2; together++) {
        std::vector<float> keys = x;
        std::vector<float> values = x;
        std::vector<float> queries = x;
        std::vector<uint8_t>& cache = caches[together];
        const size_t bytes = static_cast<size_t>(HEADS * padded_dim(dim) * PAGE / 2);
        const size_t scales = static_cast<size_t>(HEADS * scale_groups(dim) * PAGE * 4);
        cache.resize(2 * bytes + 2 * scales);
        auto* first_scale = reinterpret_cast<float*>(cache.data() + 2 * bytes);
        const KvPages kv{cache.data(), cache.data() + bytes, first_scale, first_scale + scales / 4, 1, HEADS, dim};
        RopeAngles turn{dim / 2 * 2, 0, angles.data()};
        if (together == 0) {
            for (std::vector<float>* turned : {&keys, &queries}) {
                run("rope", {blocks(ROWS * HEADS * (dim / 2), ELEMENT_THREADS), 1, 1}, ELEMENT_THREADS, 0,
                    RopeArgs{turned->data(), ROWS, HEADS, dim, turn});
            }
            for (std::vector<float>* turned : {&keys, &queries, &values}) {
                run("rotate", {blocks(ROWS * HEADS, ROTATE_HEADS), 1, 1}, ROTATE_THREADS, 0,
                    RotateArgs{turned->data(), ROWS, HEADS, dim, {}});
            }
            turn = {};
        }
        const unsigned heads = together == 0 ? HEADS : 2 * HEADS;
        run("kv_append_int4", {ROWS, heads, 1}, APPEND_THREADS, 0,
            KvAppendArgs{kv,
                         0,
                         keys.data(),
                         values.data(),
                         {positions, tables, pages},
                         turn,
                         together == 0 ? nullptr : queries.data(),
                         together == 0 ? 0 : HEADS,
                         together == 0 ? 0 : n});
        for (const std::vector<float>* left : {&keys, &values, &queries}) {
            const auto* at = reinterpret_cast<const uint8_t*>(left->data());
            cache.insert(cache.end(), at, at + left->size() * 4);
        }
    }
    check(caches[0] == caches[1], what + ": other bits where it is done while storing");
}

void test_rotate(std::mt19937& random) {
    for (int dim : {16, 30, 64, 80, 96, 128, 256, 320, 512, 576}) {
        test_rotate(dim, random);
    }
}

// Every case with every type of cache, each with one of two orders.
void test_attention(const Cases& cases, std::mt19937& random) {
    const CacheType types[] = {
        {"f32", 32, false}, {"f16", 16, false}, {"int8", 8, true}, {"fp8", 8, true}, {"int4", 4, true}};
    for (unsigned i = 0; i < cases.attention.size(); i++) {
        for (unsigned t = 0; t < 5; t++) {
            if ((i + t) % 2 == emulator::settings.seed) {
                test_attention(cases.attention[i], types[t], random);
            }
        }
    }
}

}  // namespace

// With the argument "late" one landing and two orders, which meet all kernels: what sanitizers look for does not depend
// on when a copy lands, and they take five times as long. With "linear" linear alone.
int main(int argc, char** argv) {
    const std::vector<std::string> options(argv + 1, argv + argc);
    auto has = [&](const char* option) { return std::find(options.begin(), options.end(), option) != options.end(); };
    const Cases cases = read_cases(DEMITASSE_CASES);
    for (bool early : has("late") ? std::vector<bool>{false} : std::vector<bool>{false, true}) {
        for (unsigned seed = 0; seed < (has("late") ? 2u : 5u); seed++) {
            emulator::settings = {seed, early};
            std::mt19937 random(20261125 + seed);
            test_linear(cases, random);
            test_wgmma(random);
            test_fp16(random);
            if (!early && !has("linear")) {
                test_attention(cases, random);  // which copies nothing asynchronously
                test_rotate(random);
            }
        }
    }
    std::printf("%d checks, %d failed\n", checks, failures);
    return failures == 0 ? 0 : 1;
}
