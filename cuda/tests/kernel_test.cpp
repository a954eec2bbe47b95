// The kernels whose threads work together, against FP64, in both landing modes of asynchronous copies and with five
// orders of threads; and one row against many. Sizes are those of java/testkit's cases.txt. All kernels are tested
// through Java by the contract tests; this adds the orders, and sanitizers.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "kernels.cpp"
// The kernels' structures come first.
#include "attention_sequences.h"
#include "linear_operands.h"

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

std::vector<LinearKernel> linear_kernels(int bits, int group, unsigned segments) {
    const std::string element = "int" + std::to_string(bits);
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
                           static_cast<size_t>(gemm_shared_bytes(bits, group, rows)), rows == 16 ? segments : 1});
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
template <int BITS>
void test_linear(const LinearCase& size, const Weights& weights, std::mt19937& random) {
    const auto rows = static_cast<int>(size.rows);
    const auto outputs = static_cast<int>(size.outputs);
    const auto columns = static_cast<int>(size.columns);
    const int group = weights.group;
    const OutputType narrow = BITS == 8 ? OutputType::F16 : OutputType::BF16;
    const unsigned copies = emulator::settings.seed == 0 ? 2 : 1;
    const RandomMatrix<BITS> m(outputs, columns, group, weights.minimum, weights.fp16, size.fill, random);
    const RandomInput input(rows, columns, m.tiles * WeightTile<BITS>::COLUMNS, group == 0, size.fill, random);
    const std::vector<float> bias =
        size.bias ? normal_numbers(outputs, random) : std::vector<float>(static_cast<size_t>(outputs));
    Exact integers, floats;
    multiply_exactly(m, input, bias, integers, floats);
    std::vector<float> first_bits;
    LinearArgs a{};
    m.put_to(a);
    input.put_to(a);
    a.bias = size.bias ? bias.data() : nullptr;
    for (const LinearKernel& kernel : linear_kernels(BITS, group, static_cast<unsigned>(a.segments()))) {
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
        auto batch = [&](unsigned each) { return LinearBatch{{a, second, {}}, {each, each, 0}}; };
        const unsigned pieces = blocks(outputs, kernel.outputs);
        const bool fewer = kernel.name.find("gemv") == 0;
        const unsigned each = fewer ? 1 + static_cast<unsigned>(random() % pieces) : pieces;
        const size_t copied = emulator::copied_bytes;
        run(kernel.name, {copies * each, blocks(rows, kernel.rows), kernel.splits}, kernel.threads, kernel.shared_bytes,
            batch(each));
        if (kernel.splits > 1) {
            const unsigned sums = blocks(rows * outputs, ELEMENT_THREADS);
            const std::string finish =
                group == 0 ? "linear_finish_int" + std::to_string(BITS) + "_per_row" : "linear_finish";
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

// The groups of the list's layouts of integers, as kernels know them: longer ones are groups of 32 that repeat theirs.
std::vector<std::pair<int, int>> kinds_of_weights(const Cases& cases) {
    std::vector<std::pair<int, int>> kinds;  // bits, group
    for (const LayoutCase& layout : cases.layouts) {
        if (layout.element.find("INT") != 0) {
            continue;
        }
        const int group = layout.group == ROW_GROUP ? 0 : std::min(static_cast<int>(layout.group), 32);
        const std::pair<int, int> kind{layout.element == "INT4" ? 4 : 8, group};
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
    for (const auto& [bits, group] : kinds_of_weights(cases)) {
        for (unsigned i = 0; i < sizes.size(); i++, at++) {
            if (at % 5 != emulator::settings.seed) {
                continue;
            }
            const Weights weights{group, at / 5 % 2 == 1, at / 10 % 2 == 1};
            bits == 8 ? test_linear<8>(sizes[i], weights, random) : test_linear<4>(sizes[i], weights, random);
        }
    }
}

// Several units of work for each cluster, a last row tile alone, and an odd number of tiles of columns.
void test_wgmma(std::mt19937& random) {
    for (int k : {64, 720, 128 + 256, 192 + 512}) {  // 1, 12, 6 and 11 tiles
        constexpr int N = 140, ROWS = 600;
        RandomMatrix<8> m(N, k, 0, false, false, Fill::RANDOM, random);
        const int64_t padded = m.tiles * WeightTile<8>::COLUMNS;
        const RandomInput input(ROWS, k, padded, true, Fill::RANDOM, random);
        std::vector<float> expected(ROWS * N), out(ROWS * N);
        LinearArgs a{};
        m.put_to(a);
        input.put_to(a);
        a.out.to = expected.data();
        run("gemm_int8_per_row_m128", {blocks(N, 128), blocks(ROWS, 128), 1}, gemm_threads(128),
            gemm_shared_bytes(8, 0, 128), LinearBatch{{a, {}, {}}, {blocks(N, 128), 0, 0}});
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
    // What a row does not see, be it NaN or very large, does not change its bits; nor do other rows of the batch.
    test.append_behind_first(type.scaled ? 1e30f : NAN);
    const std::vector<float> alone = test.by_decode(1);
    const std::vector<float> prefilled_alone = test.by_prefill(1);
    check(std::equal(alone.begin(), alone.end(), decoded.begin()),
          test.decode + ": other bits with other positions behind the row");
    check(std::equal(prefilled_alone.begin(), prefilled_alone.end(), prefilled.begin()),
          test.prefill + ": other bits with other positions behind the row");
}

// Every case with every type of cache, each with one of two orders.
void test_attention(const Cases& cases, std::mt19937& random) {
    const CacheType types[] = {{"f32", 4, false}, {"f16", 2, false}, {"int8", 1, true}, {"fp8", 1, true}};
    for (unsigned i = 0; i < cases.attention.size(); i++) {
        for (unsigned t = 0; t < 4; t++) {
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
            if (!early && !has("linear")) {
                test_attention(cases, random);  // which copies nothing asynchronously
            }
        }
    }
    std::printf("%d checks, %d failed\n", checks, failures);
    return failures == 0 ? 0 : 1;
}
