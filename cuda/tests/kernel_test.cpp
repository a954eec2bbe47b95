// The kernels whose threads work together, against FP64, in both landing modes of asynchronous copies and with five orders of threads;
// and one row against many. All kernels are tested through Java by the contract tests; this adds the orders, and sanitizers.
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "../emulator/kernels.cpp"

namespace {

using namespace demitasse;

int checks = 0;
int failures = 0;

void check(bool holds, const std::string& what) {
    checks++;
    if (!holds && failures++ < 20) {
        std::printf("FAILED: %s (seed %u, %s landing)\n", what.c_str(), emulator::settings.seed,
                    emulator::settings.copies_early ? "early" : "late");
    }
}

template <class Args>
void run(const std::string& kernel, emulator::Index3 grid, unsigned threads, size_t shared, const Args& args) {
    const std::string fault = emulator::exported_kernels().at(kernel).run(grid, {threads, 1, 1}, shared, &args);
    check(fault.empty(), kernel + ": " + fault);
}

unsigned blocks(int64_t count, int size) { return static_cast<unsigned>((count + size - 1) / size); }

bool close(const std::vector<float>& actual, const std::vector<double>& expected, double bound) {
    double error = 0;
    double power = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        error += (actual[i] - expected[i]) * (actual[i] - expected[i]);
        power += expected[i] * expected[i];
    }
    return error <= bound * power;
}

// A matrix of random integers in tiles (weights.cuh), with scales in FP32 or FP16, and its values.
template <int BITS>
struct RandomMatrix {
    using Tile = WeightTile<BITS>;
    int outputs, columns, part;
    int64_t tiles;
    std::vector<uint8_t> quants;
    std::vector<float> scales, mins;
    std::vector<uint16_t> halves;  // scales and minimums, where they are FP16
    std::vector<double> values;    // outputs x columns

    RandomMatrix(int n, int k, int part_columns, bool minimum, bool half, std::mt19937& random)
        : outputs(n), columns(k), part(part_columns), tiles(blocks(k, Tile::COLUMNS)) {
        const int64_t output_tiles = blocks(n, TILE_OUTPUTS);
        const int parts = part == 0 ? 0 : Tile::COLUMNS / part;
        quants.resize(static_cast<size_t>(output_tiles * tiles * TILE_BYTES));
        scales.resize(static_cast<size_t>(part == 0 ? output_tiles * 8 : output_tiles * tiles * 8 * parts));
        mins.resize(minimum ? scales.size() : 0);
        std::uniform_real_distribution<float> real(0.01f, 0.1f);
        for (float& s : scales) {
            s = real(random);
        }
        for (float& m : mins) {
            m = -real(random);
        }
        for (std::vector<float>* numbers : {&scales, &mins}) {
            for (float& number : *numbers) {
                if (half) {
                    halves.push_back(float_to_half(number));
                    number = half_to_float(halves.back());
                }
            }
        }
        for (int row = 0; row < n; row++) {
            for (int c = 0; c < k; c++) {
                const int q = BITS == 4 ? static_cast<int>(random() % 16) : static_cast<int>(random() % 256) - 128;
                put(row, c, q);
                const int64_t tile = row / 8 * tiles + c / Tile::COLUMNS;
                const auto at =
                    static_cast<size_t>(part == 0 ? row : (tile * 8 + row % 8) * parts + c % Tile::COLUMNS / part);
                const double value = static_cast<double>(scales[at]) * (q - zero());
                values.push_back(minimum ? value + mins[at] : value);
            }
        }
    }

    void put_to(LinearArgs& a) const {
        const bool half = !halves.empty();
        a.quants = quants.data();
        a.scales = half ? static_cast<const void*>(halves.data()) : scales.data();
        a.mins = mins.empty() ? nullptr : half ? static_cast<const void*>(halves.data() + scales.size()) : mins.data();
        a.half_scales = half ? 1 : 0;
        a.outputs = outputs;
        a.tiles = tiles;
        a.zero = zero();
        a.columns = columns;
    }

    int zero() const { return BITS == 4 && mins.empty() ? 8 : 0; }

    void put(int row, int c, int q) {
        const int in_tile = c % Tile::COLUMNS;
        const int in_group = in_tile % 32;
        uint8_t* at = quants.data() + (row / 8 * tiles + c / Tile::COLUMNS) * TILE_BYTES +
                      chunk_offset(row % 8, in_group % 16 / 4);
        if (BITS == 8) {
            at[in_tile / 32 * 8 + in_group / 16 * 4 + c % 4] = static_cast<uint8_t>(q);
        } else {
            at[in_tile / 32 * 4 + c % 4] |= static_cast<uint8_t>(q << in_group / 16 * 4);
        }
    }
};

// Rows of random numbers, and the same as integers in tiles.
struct RandomInput {
    int count;
    std::vector<float> x;
    std::vector<int8_t> q;
    std::vector<ActivationGroup> groups;

    RandomInput(int rows, int columns, int64_t padded, bool whole_rows, std::mt19937& random)
        : count(rows),
          x(static_cast<size_t>(rows * columns)),
          q(static_cast<size_t>(round_up(rows, TILE_OUTPUTS) * padded)),
          groups(static_cast<size_t>(rows * padded / 32)) {
        std::normal_distribution<float> normal;
        for (float& v : x) {
            v = normal(random);
        }
        run("quantize_rows", {static_cast<unsigned>(rows), 1, 1}, 256, 0,
            QuantizeRowsArgs{x.data(), columns, nullptr, nullptr, {q.data(), groups.data(), padded, whole_rows}});
    }

    void put_to(LinearArgs& a) const {
        a.x = x.data();
        a.q = reinterpret_cast<const uint8_t*>(q.data());
        a.groups = groups.data();
        a.rows = count;
    }
};

std::vector<uint16_t> narrowed(const std::vector<float>& values, OutputType type) {
    std::vector<uint16_t> bits;
    for (float v : values) {
        bits.push_back(type == OutputType::F16 ? float_to_half(v) : float_to_bfloat(v));
    }
    return bits;
}

template <int BITS>
void test_linear(const char* element, int part, bool minimum, bool half, std::mt19937& random) {
    constexpr int K = 460;  // seven tiles of 64, or three of 128 and a part
    constexpr int N = 75;
    RandomMatrix<BITS> m(N, K, part, minimum, half, random);
    const std::string suffix = part == 0 ? "_row" : part == 16 ? "_half" : "_group";
    const int64_t padded = m.tiles * WeightTile<BITS>::COLUMNS;
    for (int rows : emulator::settings.seed == 0 ? std::vector<int>{1, 3, 17, 130} : std::vector<int>{5, 70}) {
        const RandomInput input(rows, K, padded, part == 0, random);
        std::vector<double> expected, expected_float;
        for (int r = 0; r < rows; r++) {
            for (int n = 0; n < N; n++) {
                double sum = 0;
                double float_sum = 0;
                for (int k = 0; k < K; k++) {
                    const double value = m.values[static_cast<size_t>(n * K + k)];
                    sum += static_cast<double>(input.q[static_cast<size_t>(tiled_offset(r, k, padded))]) *
                           input.groups[static_cast<size_t>(r * (padded / 32) + k / 32)].scale * value;
                    float_sum += static_cast<double>(input.x[static_cast<size_t>(r * K + k)]) * value;
                }
                expected.push_back(sum);
                expected_float.push_back(float_sum);
            }
        }
        std::vector<float> out(expected.size());
        std::vector<float> partial(SEGMENTS * expected.size());
        LinearArgs a{};
        m.put_to(a);
        input.put_to(a);
        a.out.to = out.data();
        a.partial = partial.data();
        // The second of two matrices has 16-bit results.
        const OutputType narrow = BITS == 8 ? OutputType::F16 : OutputType::BF16;
        std::vector<uint16_t> again(out.size());
        std::vector<float> again_partial(partial.size());
        LinearArgs second = a;
        second.out = {again.data(), narrow};
        second.partial = again_partial.data();
        const std::string gemv = std::string("gemv_") + element + suffix;
        const std::string gemm = std::string("gemm_") + element + suffix;
        const std::string what = std::string(" ").append(std::to_string(rows)).append(" rows");
        // With one of the orders, two copies of the matrix, as if they were a layer's keys and values.
        const unsigned copies = emulator::settings.seed == 0 ? 2 : 1;
        auto batch = [&](unsigned each) { return LinearBatch{{a, second, {}}, {each, each, 0}}; };
        for (unsigned each : {1u, 4u}) {
            run(gemv + "_float_rows" + std::to_string(each), {blocks(N, 8), blocks(rows, static_cast<int>(each)), 1},
                256, 0, batch(blocks(N, 8)));
            check(close(out, expected_float, 1e-10), gemv + "_float" + what);
            std::fill(out.begin(), out.end(), -1.0f);
        }
        run(gemv + "_rows4", {copies * blocks(N, 8), blocks(rows, 4), 1}, 256, 0, batch(blocks(N, 8)));
        check(copies == 1 || again == narrowed(out, narrow), gemv + what + ": 16-bit results are not those of FP32");
        check(close(out, expected, 1e-10), gemv + what);
        const std::vector<float> same = out;
        std::fill(out.begin(), out.end(), -1.0f);
        std::fill(again.begin(), again.end(), uint16_t{1});
        run(gemv + "_rows8", {copies * blocks(N, 16), blocks(rows, 8), 1}, 256, 0, batch(blocks(N, 16)));
        check(copies == 1 || again == narrowed(same, narrow),
              gemv + "_rows8" + what + ": 16-bit results are not those of FP32");
        check(out == same, gemv + "_rows8" + what + ": not the bits of four rows");
        for (int tile_rows : {16, 64, 128}) {
            const bool whole = part == 0 && tile_rows == 128;
            const int width = whole ? 128 : 64;
            const unsigned threads = tile_rows == 16 ? 128 : 256;
            const unsigned splits = part == 0 ? 1 : tile_rows == 16 ? static_cast<unsigned>(a.segments()) : 1;
            std::fill(out.begin(), out.end(), -1.0f);
            std::fill(again.begin(), again.end(), uint16_t{1});
            run(gemm + "_m" + std::to_string(tile_rows), {copies * blocks(N, width), blocks(rows, tile_rows), splits},
                threads, 98 << 10, batch(blocks(N, width)));
            if (splits > 1) {
                const unsigned each = blocks(rows * N, 256);
                run("linear_finish", {copies * each, 1, 1}, 256, 0, batch(each));
            }
            check(copies == 1 || again == narrowed(same, narrow),
                  gemm + what + ": 16-bit results are not those of FP32");
            check(out == same, gemm + "_m" + std::to_string(tile_rows) + what + ": not the bits of gemv");
        }
    }
}

// Several units of work for each cluster, a last row tile alone, and an odd number of tiles of columns.
void test_wgmma(std::mt19937& random) {
    for (int k : {64, 720, 128 + 256, 192 + 512}) {  // 1, 12, 6 and 11 tiles
        constexpr int N = 140, ROWS = 600;
        RandomMatrix<8> m(N, k, 0, false, false, random);
        const int64_t padded = m.tiles * WeightTile<8>::COLUMNS;
        const RandomInput input(ROWS, k, padded, true, random);
        std::vector<float> expected(ROWS * N), out(ROWS * N);
        LinearArgs a{};
        m.put_to(a);
        input.put_to(a);
        a.out.to = expected.data();
        run("gemm_int8_row_m128", {blocks(N, 128), blocks(ROWS, 128), 1}, 256, 98 << 10,
            LinearBatch{{a, {}, {}}, {blocks(N, 128), 0, 0}});
        a.out.to = out.data();
        for (unsigned grid : {2u, 6u}) {
            std::fill(out.begin(), out.end(), -1.0f);
            run("gemm_int8_row_wgmma", {grid, 1, 1}, Wgmma::THREADS, Wgmma::BYTES, a);
            check(out == expected, "gemm_int8_row_wgmma, " + std::to_string(k) + " columns: not the bits of gemm_int8");
        }
        std::vector<uint16_t> narrow(out.size());
        a.out = {narrow.data(), OutputType::BF16};
        run("gemm_int8_row_wgmma", {2, 1, 1}, Wgmma::THREADS, Wgmma::BYTES, a);
        check(narrow == narrowed(expected, OutputType::BF16),
              "gemm_int8_row_wgmma: 16-bit results are not those of FP32");
    }
}

AttentionArgs attention_args(const float* q, const KvPages& kv, int64_t heads, int64_t window, const BatchRows& rows,
                             float* out) {
    AttentionArgs a{};
    a.q = q;
    a.kv = kv;
    a.heads = heads;
    a.scale = {0.125f};
    a.soft_cap = {window == 0 ? 0.0f : 5.0f};
    a.window = window;
    a.rows = rows;
    a.out = out;
    return a;
}

// A sequence of `count` positions in pages out of order; all rows at once.
void test_attention(const char* type, bool scaled, int element_bytes, int dim, int heads, int kv_heads, int window,
                    std::mt19937& random) {
    constexpr int COUNT = 300;
    constexpr int PAGES = COUNT / PAGE + 1;
    const int padded = (dim + 15) / 16 * 16;
    const int groups = (dim + SCALE_GROUP - 1) / SCALE_GROUP;
    std::vector<uint8_t> keys(static_cast<size_t>(PAGES * kv_heads * padded * PAGE * element_bytes));
    std::vector<uint8_t> values(keys.size());
    std::vector<float> key_scales(scaled ? static_cast<size_t>(PAGES * kv_heads * groups * PAGE) : 0);
    std::vector<float> value_scales(key_scales.size());
    std::vector<int32_t> positions, tables(COUNT, 0), pages;
    for (int i = 0; i < PAGES; i++) {
        pages.push_back(PAGES - 1 - i);
    }
    auto numbers = [&](int count) {
        std::vector<float> x(static_cast<size_t>(count));
        std::normal_distribution<float> normal;
        for (float& v : x) {
            v = normal(random);
        }
        return x;
    };
    std::vector<float> k = numbers(COUNT * kv_heads * dim);
    std::vector<float> v = numbers(COUNT * kv_heads * dim), q = numbers(COUNT * heads * dim);
    if (!scaled) {  // a sink: position 0 has nearly all the weight, and values of zero
        for (int i = 0; i < COUNT * heads; i++) {
            q[static_cast<size_t>(i * dim)] = 8;
        }
        for (int h = 0; h < kv_heads; h++) {
            k[static_cast<size_t>(h * dim)] = 10;
        }
        std::fill(v.begin(), v.begin() + kv_heads * dim, 0.0f);
    }
    for (int i = 0; i < COUNT; i++) {
        positions.push_back(i);
    }
    const BatchRows rows{positions.data(), tables.data(), pages.data()};
    const KvPages kv{keys.data(),
                     values.data(),
                     scaled ? key_scales.data() : nullptr,
                     scaled ? value_scales.data() : nullptr,
                     PAGES,
                     kv_heads,
                     dim};
    run(std::string("kv_append_") + type, {COUNT, static_cast<unsigned>(kv_heads), 1}, 64, 0,
        KvAppendArgs{kv, 0, k.data(), v.data(), rows, {}, nullptr, 0});
    const int group = heads / kv_heads;
    const int64_t segments = (COUNT + SEGMENT - 1) / SEGMENT;
    std::vector<float> states(static_cast<size_t>(COUNT * heads * segments * (4 + padded)));
    std::vector<float> decoded(static_cast<size_t>(COUNT * heads * dim));
    std::vector<float> prefilled(decoded.size());
    auto a = attention_args(q.data(), kv, heads, window, rows, decoded.data());
    a.states = states.data();
    a.segments = segments;
    const int width = element_bytes < 4 ? 8 : group == 1 ? 1 : 4;
    const std::string largest = element_bytes == 4 ? "" : dim <= 128 ? "_dim128" : "_dim256";
    const std::string decode = std::string("attention_decode_") + type + "_heads" + std::to_string(width) + largest;
    run(decode, {static_cast<unsigned>(kv_heads) * blocks(group, width), COUNT, static_cast<unsigned>(segments)}, 128,
        0, a);
    run("attention_merge", {static_cast<unsigned>(heads), COUNT, 1}, 64, 0, AttentionMergeArgs{a, {}});
    std::vector<int32_t> row_blocks;
    for (int first = 0; first < COUNT; first += PREFILL_ROWS) {
        for (int word : {first, std::min(PREFILL_ROWS, COUNT - first), 0, 0}) {
            row_blocks.push_back(word);
        }
    }
    auto p = attention_args(q.data(), kv, heads, window, rows, prefilled.data());
    p.blocks = row_blocks.data();
    const int most = padded <= 64 ? 64 : padded <= 128 ? 128 : 256;
    const std::string prefill = std::string("attention_prefill_") + type + "_dim" + std::to_string(most);
    run(prefill, {static_cast<unsigned>(heads), static_cast<unsigned>(row_blocks.size() / 4), 1}, 128, 98 << 10, p);
    std::vector<double> expected(decoded.begin(), decoded.end());
    // What a row does not see, be it no number or very large, has no part in its bits.
    constexpr int ROW = 40;
    std::vector<float> stale(static_cast<size_t>(PAGE * kv_heads * dim), scaled ? 1e30f : NAN);
    run(std::string("kv_append_") + type, {2 * PAGE - ROW - 1, static_cast<unsigned>(kv_heads), 1}, 64, 0,
        KvAppendArgs{kv,
                     0,
                     stale.data(),
                     stale.data(),
                     {positions.data() + ROW + 1, tables.data(), pages.data()},
                     {},
                     nullptr,
                     0});
    std::vector<float> row(static_cast<size_t>(heads * dim));
    std::vector<float> first_rows(static_cast<size_t>((ROW + 1) * heads * dim));
    a.q = q.data() + ROW * heads * dim;
    a.rows.positions = positions.data() + ROW;
    a.out = row.data();
    run(decode, {static_cast<unsigned>(kv_heads) * blocks(group, width), 1, 1}, 128, 0, a);
    run("attention_merge", {static_cast<unsigned>(heads), 1, 1}, 64, 0, AttentionMergeArgs{a, {}});
    const int32_t first_block[] = {0, ROW + 1, 0, 0};
    p.blocks = first_block;
    p.out = first_rows.data();
    run(prefill, {static_cast<unsigned>(heads), 1, 1}, 128, 98 << 10, p);
    check(std::equal(row.begin(), row.end(), decoded.begin() + ROW * heads * dim),
          decode + ": other bits with other positions behind the row");
    check(std::equal(first_rows.begin(), first_rows.end(), prefilled.begin()),
          prefill + ": other bits with other positions behind the rows");
    const std::string what = std::string(type) + " dim " + std::to_string(dim) + " window " + std::to_string(window);
    check(close(prefilled, expected, 1e-5), "prefill is not near decode: " + what);
    if (!scaled) {
        for (std::vector<float>* stored : {&k, &v}) {
            for (float& x : *stored) {
                x = element_bytes == 2 ? half_to_float(float_to_half(x)) : x;
            }
        }
        for (int row : {0, 31, 32, 255, 256, 299}) {
            const float* out = decoded.data() + row * heads * dim;
            std::vector<double> right;
            for (int h = 0; h < heads; h++) {
                std::vector<double> sum(static_cast<size_t>(dim));
                double weights = 0;
                for (int t = window == 0 ? 0 : std::max(0, row - window + 1); t <= row; t++) {
                    double score = 0;
                    for (int d = 0; d < dim; d++) {
                        score += static_cast<double>(q[static_cast<size_t>((row * heads + h) * dim + d)]) *
                                 k[static_cast<size_t>((t * kv_heads + h / group) * dim + d)];
                    }
                    score *= 0.125;
                    const double weight = std::exp(window == 0 ? score : 5 * std::tanh(score / 5));
                    weights += weight;
                    for (int d = 0; d < dim; d++) {
                        sum[static_cast<size_t>(d)] +=
                            weight * v[static_cast<size_t>((t * kv_heads + h / group) * dim + d)];
                    }
                }
                for (double s : sum) {
                    right.push_back(s / weights);
                }
            }
            check(close(std::vector<float>(out, out + heads * dim), right, 1e-10), "decode: " + what);
        }
    }
}

}  // namespace

int main() {
    for (bool early : {false, true}) {
        for (unsigned seed = 0; seed < 5; seed++) {
            emulator::settings = {seed, early};
            std::mt19937 random(20261125 + seed);
            const bool minimum = seed % 2 == 1;
            const bool half = seed / 2 == 1;
            for (int part : {32, 16, 0}) {
                test_linear<8>("int8", part, minimum, half, random);
                test_linear<4>("int4", part, minimum, half, random);
            }
            test_wgmma(random);
            if (seed > 1) {
                continue;  // attention copies nothing asynchronously
            }
            test_attention("f32", false, 4, 80, 6, 2, seed == 0 ? 0 : 70, random);
            test_attention("f16", false, 2, 64, 3, 3, 0, random);
            test_attention("int8", true, 1, 256, 4, 1, 100, random);
            test_attention("fp8", true, 1, 128, 5, 1, 0, random);
        }
    }
    std::printf("%d checks, %d failed\n", checks, failures);
    return failures == 0 ? 0 : 1;
}
