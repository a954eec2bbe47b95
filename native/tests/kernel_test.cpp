// Every kernel of every instruction set that this machine has against plain FP64, and rows alone against rows in a
// batch.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <thread>

#include "demitasse/demitasse.h"
#include "hadamard.h"
#include "harness.h"
#include "state_tests.h"

namespace demitasse::test {
namespace {

template <class Result>
std::vector<Result> linear(const Device& device, const PackedCase& c, const Numbers& x, const Numbers& bias,
                           int64_t rows, Rounding rounding, OutputType type) {
    const bool integers = rounding != Rounding::NONE;
    const int64_t per_row = rounding == Rounding::ROWS ? 1 : 0;
    const Matrix& m = c.matrix;
    int64_t groups = (m.columns + GROUP - 1) / GROUP;
    std::vector<int8_t> q(static_cast<size_t>(rows * groups * GROUP));
    std::vector<GroupActivation> activations(static_cast<size_t>(rows * groups));
    std::vector<Result> out(static_cast<size_t>(rows * m.rows));
    std::vector<Command> commands;
    Activations a{integers ? q.data() : nullptr, activations.data()};
    if (integers) {
        commands.push_back(command(Op::QUANTIZE_PANELS));
        commands.back().quantize_panels = {x.data(), rows, m.columns, per_row, a};
    }
    commands.push_back(command(Op::LINEAR, static_cast<int64_t>(commands.size()) - 1));
    commands.back().linear = {&m, x.data(), a, bias.empty() ? nullptr : bias.data(), out.data(), rows, per_row, type};
    device.run(commands);
    return out;
}

Numbers linear(const Device& device, const PackedCase& c, const Numbers& x, const Numbers& bias, int64_t rows,
               Rounding rounding) {
    return linear<float>(device, c, x, bias, rows, rounding, OutputType::F32);
}

// Rows with NaN, infinities and the smallest numbers, beside a plain one, for every layout and rounding.
void test_special_values(const Device& device, const Cases& cases, std::mt19937& random) {
    const float nan = std::nanf("");
    const float inf = std::numeric_limits<float>::infinity();
    constexpr int64_t COLUMNS = 100;
    constexpr int64_t OUTPUTS = 21;
    const Numbers plain = numbers(COLUMNS, random);
    for (const Layout& layout : layouts(cases.layouts)) {
        PackedCase c = packed(layout, {0, OUTPUTS, COLUMNS, Fill::RANDOM, false}, random);
        for (Rounding rounding : {Rounding::NONE, Rounding::GROUPS, Rounding::ROWS}) {
            if (rounding != Rounding::NONE && !layout.integers()) {
                continue;
            }
            const Numbers alone = linear(device, c, plain, {}, 1, rounding);
            for (float special : {nan, -nan, inf, -inf, 1e-37f, 1e-38f, 1e-42f}) {
                for (int64_t rows : {1, 2, 5, 9, 17}) {
                    const bool tiny = std::isfinite(special);
                    Numbers x;
                    for (int64_t r = 0; r < rows; r++) {
                        x.insert(x.end(), plain.begin(), plain.end());
                    }
                    Numbers::iterator first = x.begin() + rows / 2 * COLUMNS;
                    tiny ? std::fill(first, first + COLUMNS, special) : void(first[57] = special);
                    const Numbers out = linear(device, c, x, {}, rows, rounding);
                    std::string what = "special value " + std::to_string(special) + ", element " +
                                       std::to_string(static_cast<int>(layout.element)) + " group " +
                                       std::to_string(layout.group) + ", " + std::to_string(rows) + " rows";
                    for (int64_t r = 0; r < rows; r++) {
                        const float* of_row = out.data() + r * OUTPUTS;
                        if (r != rows / 2) {
                            check(std::equal(of_row, of_row + OUTPUTS, alone.begin()), what + ": another row");
                        } else if (!tiny) {
                            check(std::all_of(of_row, of_row + OUTPUTS, [](float v) { return std::isnan(v); }), what);
                        } else if (rounding != Rounding::NONE) {
                            check(std::all_of(of_row, of_row + OUTPUTS, [](float v) { return v == 0; }), what);
                        }
                    }
                }
            }
        }
    }
}

// Products of rows and a matrix in FP64, with the bias.
struct Products {
    std::vector<double> sums;
    double power = 0;  // of all terms: that of the sums, were their signs random

    Products(const PackedCase& c, const Numbers& x, const Numbers& bias, int64_t rows) {
        const int64_t columns = c.matrix.columns;
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t n = 0; n < c.matrix.rows; n++) {
                double sum = bias.empty() ? 0 : static_cast<double>(bias[static_cast<size_t>(n)]);
                power += sum * sum;
                const double* weights = c.weights.data() + n * columns;
                const float* values = x.data() + r * columns;
                for (int64_t k = 0; k < columns; k++) {
                    const double term = static_cast<double>(values[k]) * weights[k];
                    sum += term;
                    power += term * term;
                }
                sums.push_back(sum);
            }
        }
    }
};

// On one device, and the same bits on one with more threads.
void test_linear(const Device& device, const Device& more, const Layout& layout, const LinearCase& size,
                 std::mt19937& random) {
    const auto [rows, outputs, columns, fill, with_bias] = size;
    PackedCase c = packed(layout, size, random);
    Numbers x = numbers(static_cast<size_t>(rows * columns), fill, random);
    Numbers bias = numbers(static_cast<size_t>(with_bias ? outputs : 0), random);
    for (Rounding rounding : {Rounding::NONE, Rounding::GROUPS, Rounding::ROWS}) {
        if (rounding != Rounding::NONE && !layout.integers()) {
            continue;
        }
        std::string what = "linear element " + std::to_string(static_cast<int>(layout.element)) + " group " +
                           std::to_string(layout.group) + " fill " + std::to_string(static_cast<int>(fill)) + " " +
                           std::to_string(rows) + "x" + std::to_string(outputs) + "x" + std::to_string(columns);
        Numbers out = linear(device, c, x, bias, rows, rounding);
        Numbers values = rounding == Rounding::NONE ? x : rounded(x, rows, columns, rounding);
        const Products expected(c, values, bias, rows);
        const char* name = rounding == Rounding::NONE ? " F32" : rounding == Rounding::ROWS ? " INT8 rows" : " INT8";
        check_close(out, expected.sums, 1e-10, what + name, expected.power);
        check(linear(more, c, x, bias, rows, rounding) == out, what + ": more threads have other bits");
        for (int64_t r : {int64_t{0}, rows - 1}) {  // the first is in a tile of rows where there are any
            const Numbers row(x.begin() + r * columns, x.begin() + (r + 1) * columns);
            const Numbers alone = linear(device, c, row, bias, 1, rounding);
            check(std::equal(alone.begin(), alone.end(), out.begin() + r * outputs),
                  what + ": row " + std::to_string(r) + " alone has other bits");
        }
        for (OutputType type : {OutputType::F16, OutputType::BF16}) {
            check(linear<uint16_t>(device, c, x, bias, rows, rounding, type) == narrowed(out, type),
                  what + ": 16-bit results are not those of FP32, rounded");
        }
    }
}

void test_small_operations(const Device& device, const Cases& cases, std::mt19937& random) {
    for (int64_t columns : cases.lengths) {
        int64_t rows = 3;
        size_t count = static_cast<size_t>(rows * columns);
        Numbers x = numbers(count, random);
        Numbers y = numbers(count, random);
        Numbers normed(count);
        Numbers gated(count);
        Numbers sum = x;
        Numbers centered(count);
        Numbers scaled = y;
        std::vector<Command> commands{command(Op::RMS_NORM),    command(Op::GATED_ACTIVATION), command(Op::ADD),
                                      command(Op::SOFT_CAP, 2), command(Op::LAYER_NORM),       command(Op::SCALE)};
        commands[0].rms_norm = {x.data(), y.data(), 1, rows, columns, 1e-5f, normed.data()};
        commands[4].layer_norm = {x.data(), y.data(), x.data(), rows, columns, 1e-5f, centered.data()};
        commands[5].scale = {scaled.data(), rows * columns, -0.75f};
        commands[1].gated_activation = {static_cast<Gate>(columns % 4), x.data(), y.data(), rows * columns,
                                        gated.data()};
        commands[2].add = {sum.data(), y.data(), rows * columns};
        commands[3].soft_cap = {sum.data(), rows * columns, 3};
        device.run(commands);
        std::vector<double> expected_norm;
        std::vector<double> expected_gate;
        std::vector<double> expected_sum;
        std::vector<double> expected_centered;
        std::vector<double> expected_scaled;
        for (size_t i = 0; i < count; i++) {
            size_t row = i / static_cast<size_t>(columns) * static_cast<size_t>(columns);
            double squares = 0;
            for (size_t k = row; k < row + static_cast<size_t>(columns); k++) {
                squares += static_cast<double>(x[k]) * static_cast<double>(x[k]);
            }
            double mean = 0;
            for (size_t k = row; k < row + static_cast<size_t>(columns); k++) {
                mean += static_cast<double>(x[k]) / static_cast<double>(columns);
            }
            const double variance = squares / static_cast<double>(columns) - mean * mean;
            double g = static_cast<double>(x[i]);
            expected_centered.push_back((g - mean) / std::sqrt(variance + 1e-5) * static_cast<double>(y[i - row]) +
                                        static_cast<double>(x[i - row]));
            expected_scaled.push_back(-0.75 * static_cast<double>(y[i]));
            double u = static_cast<double>(y[i]);
            double tanh = std::tanh(0.7978845608 * (g + 0.044715 * g * g * g));
            expected_norm.push_back(g / std::sqrt(squares / static_cast<double>(columns) + 1e-5) *
                                    static_cast<double>(y[i - row]));
            const double functions[] = {g / (1 + std::exp(-g)), g / 2 * (1 + tanh), 1 / (1 + std::exp(-g)), g};
            expected_gate.push_back(functions[columns % 4] * u);
            expected_sum.push_back(3 * std::tanh((g + u) / 3));
        }
        check_close(normed, expected_norm, 1e-10, "rms_norm of " + std::to_string(columns));
        check_close(centered, expected_centered, 1e-9, "layer_norm of " + std::to_string(columns));
        check_close(scaled, expected_scaled, 1e-10, "scale of " + std::to_string(columns));
        check_close(gated, expected_gate, 1e-10, "gated_activation of " + std::to_string(columns));
        check_close(sum, expected_sum, 1e-10, "add and soft_cap of " + std::to_string(columns));
    }
}

// Against the matrix that the operation is defined by.
void test_rotate(const Device& device, std::mt19937& random) {
    for (int64_t dim : {1, 8, 15, 16, 64, 80, 96, 128, 256}) {
        constexpr int64_t ROWS = 19;
        constexpr int64_t HEADS = 3;
        Numbers x = numbers(static_cast<size_t>(ROWS * HEADS * dim), random);
        const std::vector<double> expected = rotated_heads(x, static_cast<size_t>(dim));
        Command rotate = command(Op::ROTATE);
        rotate.rotate = {x.data(), ROWS, HEADS, dim};
        device.run({rotate});
        check_close(x, expected, 1e-10, "rotate heads of " + std::to_string(dim));
    }
}

// Sequences with some positions in the cache already and some new rows.
struct KvCase : AttentionCase {
    KvType type;
    double bound;  // NMSE against FP64 attention over the unrounded cache: windows of a few positions magnify rounding

    size_t width() const { return static_cast<size_t>(kv_heads * head_dim); }
    double scale() const { return 1 / std::sqrt(static_cast<double>(head_dim)); }
    int32_t first_seen(int32_t position) const {
        const auto length = static_cast<int32_t>(window);
        return length < 0 ? position / -length * -length : length == 0 ? 0 : std::max(0, position - length + 1);
    }
    int32_t last_seen(int32_t position, int32_t end) const {
        return ahead == 0 ? position : std::min(position + static_cast<int32_t>(ahead), end);
    }
};

// The memory of a cache whose pages are handed out in a shuffled order.
struct Cache {
    std::vector<std::vector<int32_t>> tables;  // of each sequence
    std::vector<uint8_t> keys;
    std::vector<uint8_t> values;
    Numbers key_scales;
    Numbers value_scales;
    KvPages pages{};

    Cache(const KvCase& c, std::mt19937& random) : tables(c.past.size()) {
        std::vector<int32_t> all;
        for (size_t s = 0; s < tables.size(); s++) {
            tables[s].resize(static_cast<size_t>((c.past[s] + c.rows[s]) / PAGE + 1));
            for (int32_t& page : tables[s]) {
                page = static_cast<int32_t>(all.size());
                all.push_back(page);
            }
        }
        std::shuffle(all.begin(), all.end(), random);
        for (auto& table : tables) {
            for (int32_t& page : table) {
                page = all[static_cast<size_t>(page)];
            }
        }
        pages = {nullptr, nullptr, nullptr, nullptr, static_cast<int64_t>(all.size()), c.kv_heads, c.head_dim, c.type};
        keys.resize(static_cast<size_t>(pages.pages * pages.heads * pages.block_bytes()));
        values.resize(keys.size());
        pages.keys = keys.data();
        pages.values = values.data();
        if (pages.element_bits() <= 8) {
            key_scales.resize(static_cast<size_t>(pages.pages * pages.heads * pages.scale_groups() * PAGE));
            value_scales.resize(key_scales.size());
            pages.key_scales = key_scales.data();
            pages.value_scales = value_scales.data();
        }
    }
};

// The result of one query head at a position, over a sequence's unrounded keys and values.
void expect_head(const KvCase& c, const float* query, int64_t kv_head, int32_t position, int32_t end,
                 const Numbers& keys, const Numbers& values, std::vector<double>& expected) {
    auto element = [&](const Numbers& x, int32_t t, int64_t d) {
        return static_cast<double>(
            x[static_cast<size_t>(t) * c.width() + static_cast<size_t>(kv_head * c.head_dim + d)]);
    };
    std::vector<double> weights;
    double total = 0;
    int32_t from = c.first_seen(position);
    int32_t last = c.last_seen(position, end);
    for (int32_t t = from; t <= last; t++) {
        double score = 0;
        for (int64_t d = 0; d < c.head_dim; d++) {
            score += static_cast<double>(query[d]) * element(keys, t, d) * c.scale();
        }
        double cap = static_cast<double>(c.soft_cap);
        weights.push_back(std::exp(cap == 0 ? score : cap * std::tanh(score / cap)));
        total += weights.back();
    }
    for (int64_t d = 0; d < c.head_dim; d++) {
        double sum = 0;
        for (int32_t t = from; t <= last; t++) {
            sum += weights[static_cast<size_t>(t - from)] * element(values, t, d);
        }
        expected.push_back(sum / total);
    }
}

// The new rows of all sequences, and what attention shall make of them.
struct AttentionBatch {
    Numbers q;
    Numbers keys;
    Numbers values;
    std::vector<int32_t> positions;
    std::vector<const int32_t*> tables;
    std::vector<int32_t> ends;
    std::vector<double> expected;

    // Adds a sequence; what is in the cache already goes there at once.
    void add(const Device& device, const KvCase& c, const Cache& cache, size_t sequence, std::mt19937& random) {
        int32_t past = c.past[sequence];
        int32_t length = past + c.rows[sequence];
        Numbers all_keys = numbers(static_cast<size_t>(length) * c.width(), random);
        Numbers all_values = numbers(all_keys.size(), random);
        const int32_t* table = cache.tables[sequence].data();
        std::vector<int32_t> before(static_cast<size_t>(past));
        std::iota(before.begin(), before.end(), 0);
        std::vector<const int32_t*> before_tables(before.size(), table);
        BatchRows old{past, before.data(), before_tables.data(), nullptr};
        Command append = command(Op::KV_APPEND);
        append.kv_append = {&cache.pages, 0, all_keys.data(), all_values.data(), &old};
        device.run({append});
        for (int32_t position = past; position < length; position++) {
            positions.push_back(position);
            tables.push_back(table);
            ends.push_back(length - 1);
            Numbers query = numbers(static_cast<size_t>(c.heads * c.head_dim), random);
            for (int64_t head = 0; head < c.heads; head++) {
                expect_head(c, query.data() + head * c.head_dim, head / (c.heads / c.kv_heads), position, length - 1,
                            all_keys, all_values, expected);
            }
            q.insert(q.end(), query.begin(), query.end());
        }
        auto from = past * static_cast<int64_t>(c.width());
        keys.insert(keys.end(), all_keys.begin() + from, all_keys.end());
        values.insert(values.end(), all_values.begin() + from, all_values.end());
    }

    // Blocks as a caller makes them; returns how many states they need.
    int32_t divide(const KvCase& c, std::vector<AttentionBlock>& blocks) const {
        int32_t states = 0;
        auto count = static_cast<int32_t>(positions.size());
        for (int32_t first = 0, last; first < count; first = last) {
            last = first + 1;
            while (last < count && last - first < QUERY_BLOCK &&
                   tables[static_cast<size_t>(last)] == tables[static_cast<size_t>(first)]) {
                last++;
            }
            int32_t position = positions[static_cast<size_t>(first)];
            int32_t segment = c.first_seen(position) / SEGMENT;
            int32_t segments = c.last_seen(position, ends[static_cast<size_t>(first)]) / SEGMENT - segment + 1;
            if (last - first > 1 || segments == 1) {
                blocks.push_back({first, last, -1, 0, 0});
                continue;
            }
            for (int32_t i = 0; i < segments; i++) {
                blocks.push_back({first, last, segment + i, states + i, i == 0 ? segments : 0});
            }
            states += segments;
        }
        return states;
    }
};

void test_attention(const Device& device, const KvCase& c, std::mt19937& random) {
    Cache cache(c, random);
    AttentionBatch batch;
    for (size_t s = 0; s < c.past.size(); s++) {
        batch.add(device, c, cache, s, random);
    }
    BatchRows rows{static_cast<int64_t>(batch.positions.size()), batch.positions.data(), batch.tables.data(),
                   batch.ends.data()};
    std::vector<AttentionBlock> blocks;
    int32_t states = batch.divide(c, blocks);
    Numbers out(batch.q.size());
    Numbers shared(static_cast<size_t>(states * c.heads * (STATE_HEADER + cache.pages.padded())));
    Command append = command(Op::KV_APPEND);
    append.kv_append = {&cache.pages, 0, batch.keys.data(), batch.values.data(), &rows};
    Command attend = command(Op::ATTENTION, 0);
    attend.attention = {batch.q.data(),
                        &cache.pages,
                        0,
                        c.heads,
                        static_cast<float>(c.scale()),
                        c.soft_cap,
                        c.window,
                        c.ahead,
                        nullptr,
                        &rows,
                        out.data(),
                        blocks.data(),
                        static_cast<int64_t>(blocks.size()),
                        shared.data()};
    Command merge = attend;
    merge.op = Op::ATTENTION_MERGE;
    merge.after = 1;
    device.run({append, attend, merge});
    check_close(
        out, batch.expected, c.bound,
        "attention, cache type " + std::to_string(static_cast<int>(c.type)) + ", dim " + std::to_string(c.head_dim));
}

void test_attention(const Device& device, const Cases& cases, std::mt19937& random) {
    struct TypeBound {
        KvType type;
        double bound;
    };
    for (TypeBound t : {TypeBound{KvType::F32, 1e-10},
                        {KvType::F16, 2e-5},
                        {KvType::INT8, 3e-3},
                        {KvType::FP8, 5e-2},
                        {KvType::INT4, 4e-1}}) {  // where few positions have most of the weight
        for (const AttentionCase& c : cases.attention) {
            test_attention(device, {c, t.type, t.bound}, random);
        }
    }
}

// Lists that depend on each other in every way, many times: each task adds one, and a missing wait shows as another
// sum.
void test_order(int set, std::mt19937& random) {
    Device device(set, 4);
    Numbers ones(20'000, 1);
    for (int round = 0; round < 50; round++) {
        Numbers x(ones.size(), 0);
        Numbers y(ones.size(), 0);
        std::vector<Command> commands;
        int64_t last_x = -1;
        int64_t last_y = -1;
        std::uniform_int_distribution<int> coin(0, 1);
        for (int i = 0; i < 20; i++) {
            bool first = coin(random) == 0;
            commands.push_back(command(Op::ADD, first ? last_x : last_y));
            commands.back().add = {first ? x.data() : y.data(), ones.data(), static_cast<int64_t>(ones.size())};
            (first ? last_x : last_y) = i;
        }
        commands.push_back(command(Op::ADD, 19));
        commands.back().add = {x.data(), y.data(), static_cast<int64_t>(ones.size())};
        device.run(commands);
        check(std::all_of(x.begin(), x.end(), [](float value) { return value == 20; }), "commands in order");
    }
}

}  // namespace
}  // namespace demitasse::test

// Arguments: a seed; or "third": each instruction set takes every third size of linear, others than its neighbors.
// Under qemu all of them take ten minutes.
int main(int argc, char** argv) {
    using namespace demitasse;
    using namespace demitasse::test;
    const char* names[] = {"sse42", "avx2", "avx2-vnni", "avx512-vnni", "amx", "neon", "dotprod", "i8mm"};
    std::printf("boundary %015llx\n", static_cast<unsigned long long>(boundary_fingerprint()));
    const Cases cases = read_cases(DEMITASSE_CASES);
    const bool third = argc > 1 && std::string(argv[1]) == "third";
    const unsigned seed = argc > 1 && !third ? static_cast<unsigned>(std::atoi(argv[1])) : 20261124;
    const size_t step = third ? 3 : 1;
    for (int set = 0; set < static_cast<int>(InstructionSet::COUNT); set++) {
        if ((instruction_sets() >> set & 1) == 0) {
            std::printf("%s: not run, this machine has no such instructions\n", names[set]);
            check(open_device(set, 1) == 0, "an instruction set that is not there opens no device");
            continue;
        }
        std::mt19937 random(seed);
        const Device one(set, 1);
        const Device three(set, 3);
        where = std::string(names[set]) + ", seed " + std::to_string(seed);
        size_t others = 0;
        size_t turn = static_cast<size_t>(set);
        for (const Layout& layout : layouts(cases.layouts)) {
            others += layout.all_sizes ? 0 : 1;
            for (size_t i = layout.all_sizes ? 0 : others % 2; i < cases.linear.size(); i += layout.all_sizes ? 1 : 2) {
                if (turn++ % step == 0) {
                    test_linear(one, three, layout, cases.linear[i], random);
                }
            }
        }
        for (const Device* device : {&one, &three}) {
            where = std::string(names[set]) + (device == &one ? ", 1 thread" : ", 3 threads") + ", seed " +
                    std::to_string(seed);
            test_special_values(*device, cases, random);
            test_small_operations(*device, cases, random);
            test_rotate(*device, random);
            test_convolve(*device, random);
            test_delta_rule(*device, random);
            test_selective_scan(*device, random);
            std::mt19937 of_attention(seed);  // its own, since the bounds are those of some numbers
            test_attention(*device, cases, of_attention);
        }
        test_order(set, random);
        std::printf("%s: run\n", names[set]);
    }
    std::printf("%d checks, %d failed\n", checks, failures);
    return failures == 0 ? 0 : 1;
}
