// Every kernel of every instruction set that this machine has against plain FP64, and rows alone against rows in a
// batch.
#include <algorithm>
#include <cstdlib>
#include <thread>

#include "demitasse/demitasse.h"
#include "reference.h"

namespace demitasse::test {
namespace {

int checks = 0;
int failures = 0;
std::string where;

void check(bool holds, const std::string& what) {
    checks++;
    if (!holds && failures++ < 20) {
        std::printf("FAILED %s: %s\n", where.c_str(), what.c_str());
    }
}

void check_close(const Numbers& actual, const std::vector<double>& expected, double bound, const std::string& what) {
    double error = 0;
    double power = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        double difference = static_cast<double>(actual[i]) - expected[i];
        error += difference * difference;
        power += expected[i] * expected[i];
    }
    check(error <= bound * power + 1e-30, what + ": NMSE " + std::to_string(error / (power + 1e-30) * 1e10) + "e-10");
}

struct Device {
    int64_t handle;

    Device(int set, int threads) : handle(open_device(set, threads)) { check(handle != 0, "the device opens"); }
    ~Device() { close_device(handle); }

    void run(std::vector<Command> commands) const {
        check(run_commands(handle, reinterpret_cast<int64_t>(commands.data()), static_cast<int>(commands.size())) == 0,
              "runs");
    }
};

Command command(Op op, int64_t after = -1) {
    Command c{};
    c.op = op;
    c.after = after;
    return c;
}

Numbers linear(const Device& device, const PackedCase& c, const Numbers& x, const Numbers& bias, int64_t rows,
               Rounding rounding) {
    const bool quantise = rounding != Rounding::NONE;
    const int64_t whole = rounding == Rounding::ROWS ? 1 : 0;
    const Matrix& m = c.matrix;
    int64_t groups = (m.columns + GROUP - 1) / GROUP;
    std::vector<int8_t> q(static_cast<size_t>(rows * groups * GROUP));
    std::vector<GroupActivation> activations(static_cast<size_t>(rows * groups));
    Numbers out(static_cast<size_t>(rows * m.rows));
    std::vector<Command> commands;
    Activations a{quantise ? q.data() : nullptr, activations.data()};
    if (quantise) {
        commands.push_back(command(Op::QUANTIZE_PANELS));
        commands.back().quantize_panels = {x.data(), rows, m.columns, whole, a};
    }
    commands.push_back(command(Op::LINEAR, static_cast<int64_t>(commands.size()) - 1));
    commands.back().linear = {&m, x.data(), a, bias.empty() ? nullptr : bias.data(), out.data(), rows, whole};
    device.run(commands);
    return out;
}

void test_linear(const Device& device, std::mt19937& random) {
    constexpr int64_t SIZES[][3] = {{1, 32, 1}, {15, 31, 2}, {16, 64, 3}, {17, 257, 1}, {40, 96, 9}, {33, 544, 66}};
    for (const Layout& layout : layouts()) {
        for (const auto& size : SIZES) {
            auto [outputs, columns, rows] = size;
            PackedCase c = packed(layout, outputs, columns, random);
            Numbers x = numbers(static_cast<size_t>(rows * columns), random);
            Numbers bias = numbers(static_cast<size_t>(rows % 2 == 0 ? 0 : outputs), random);
            for (Rounding rounding : {Rounding::NONE, Rounding::GROUPS, Rounding::ROWS}) {
                if (rounding != Rounding::NONE && layout.element == Element::F32) {
                    continue;
                }
                std::string what = "linear element " + std::to_string(static_cast<int>(layout.element)) + " group " +
                                   std::to_string(layout.group) + " " + std::to_string(outputs) + "x" +
                                   std::to_string(columns);
                Numbers out = linear(device, c, x, bias, rows, rounding);
                Numbers values = rounding == Rounding::NONE ? x : rounded(x, rows, columns, rounding);
                std::vector<double> expected;
                for (int64_t r = 0; r < rows; r++) {
                    for (int64_t n = 0; n < outputs; n++) {
                        double sum = bias.empty() ? 0 : static_cast<double>(bias[static_cast<size_t>(n)]);
                        for (int64_t k = 0; k < columns; k++) {
                            sum += static_cast<double>(values[static_cast<size_t>(r * columns + k)]) * c.weight(n, k);
                        }
                        expected.push_back(sum);
                    }
                }
                check_close(out, expected, 1e-10,
                            what + (rounding == Rounding::NONE   ? " F32"
                                    : rounding == Rounding::ROWS ? " INT8 rows"
                                                                 : " INT8"));
                Numbers last(x.end() - columns, x.end());
                Numbers alone = linear(device, c, last, bias, 1, rounding);
                check(std::equal(alone.begin(), alone.end(), out.end() - outputs),
                      what + ": a row alone has other bits");
            }
        }
    }
}

void test_small_operations(const Device& device, std::mt19937& random) {
    for (int64_t columns : {1, 7, 16, 33, 576, 4097}) {
        int64_t rows = 3;
        size_t count = static_cast<size_t>(rows * columns);
        Numbers x = numbers(count, random);
        Numbers y = numbers(count, random);
        Numbers normed(count);
        Numbers gated(count);
        Numbers sum = x;
        std::vector<Command> commands{command(Op::RMS_NORM), command(Op::GATED_ACTIVATION), command(Op::ADD),
                                      command(Op::SOFT_CAP, 2)};
        commands[0].rms_norm = {x.data(), y.data(), rows, columns, 1e-5f, normed.data()};
        commands[1].gated_activation = {columns % 2, x.data(), y.data(), rows * columns, gated.data()};
        commands[2].add = {sum.data(), y.data(), rows * columns};
        commands[3].soft_cap = {sum.data(), rows * columns, 3};
        device.run(commands);
        std::vector<double> expected_norm;
        std::vector<double> expected_gate;
        std::vector<double> expected_sum;
        for (size_t i = 0; i < count; i++) {
            size_t row = i / static_cast<size_t>(columns) * static_cast<size_t>(columns);
            double squares = 0;
            for (size_t k = row; k < row + static_cast<size_t>(columns); k++) {
                squares += static_cast<double>(x[k]) * static_cast<double>(x[k]);
            }
            double g = static_cast<double>(x[i]);
            double u = static_cast<double>(y[i]);
            double tanh = std::tanh(0.7978845608 * (g + 0.044715 * g * g * g));
            expected_norm.push_back(g / std::sqrt(squares / static_cast<double>(columns) + 1e-5) *
                                    static_cast<double>(y[i - row]));
            expected_gate.push_back((columns % 2 == 0 ? g / (1 + std::exp(-g)) : g / 2 * (1 + tanh)) * u);
            expected_sum.push_back(3 * std::tanh((g + u) / 3));
        }
        check_close(normed, expected_norm, 1e-10, "rms_norm of " + std::to_string(columns));
        check_close(gated, expected_gate, 1e-10, "gated_activation of " + std::to_string(columns));
        check_close(sum, expected_sum, 1e-10, "add and soft_cap of " + std::to_string(columns));
    }
}

// A cache with one sequence per entry of past, its pages shuffled.
struct KvCase {
    int64_t heads;
    int64_t kv_heads;
    int64_t dim;
    int64_t window;
    float soft_cap;
    std::vector<int32_t> past;  // positions before the new rows
    std::vector<int32_t> rows;  // new rows
    KvType type;
    double bound;  // NMSE against FP64 attention over the unrounded cache
};

void test_attention(const Device& device, const KvCase& c, std::mt19937& random) {
    size_t sequences = c.past.size();
    std::vector<std::vector<int32_t>> pages(sequences);
    std::vector<int32_t> all;
    for (size_t s = 0; s < sequences; s++) {
        pages[s].resize(static_cast<size_t>((c.past[s] + c.rows[s]) / PAGE + 1));
        for (int32_t& page : pages[s]) {
            page = static_cast<int32_t>(all.size());
            all.push_back(page);
        }
    }
    std::shuffle(all.begin(), all.end(), random);
    for (auto& table : pages) {
        for (int32_t& page : table) {
            page = all[static_cast<size_t>(page)];
        }
    }
    KvPages kv{nullptr, nullptr, nullptr, nullptr, static_cast<int64_t>(all.size()), c.kv_heads, c.dim, c.type};
    size_t bytes = static_cast<size_t>(kv.pages * kv.heads * kv.block_bytes());
    std::vector<uint8_t> key_bytes(bytes);
    std::vector<uint8_t> value_bytes(bytes);
    Numbers key_scales(static_cast<size_t>(kv.pages * kv.heads * kv.scale_groups() * PAGE));
    Numbers value_scales(key_scales.size());
    kv.keys = key_bytes.data();
    kv.values = value_bytes.data();
    bool scaled = kv.element_bytes() == 1;
    kv.key_scales = scaled ? key_scales.data() : nullptr;
    kv.value_scales = scaled ? value_scales.data() : nullptr;

    std::vector<double> expected;
    Numbers q;
    Numbers new_keys;
    Numbers new_values;
    std::vector<int32_t> positions;
    std::vector<const int32_t*> tables;
    const float scale = 1 / std::sqrt(static_cast<float>(c.dim));
    for (size_t s = 0; s < sequences; s++) {
        int32_t length = c.past[s] + c.rows[s];
        size_t width = static_cast<size_t>(c.kv_heads * c.dim);
        Numbers keys = numbers(static_cast<size_t>(length) * width, random);
        Numbers values = numbers(keys.size(), random);
        // What is in the cache already goes there in one call, the rest in the call that is tested.
        std::vector<int32_t> before;
        for (int32_t p = 0; p < c.past[s]; p++) {
            before.push_back(p);
        }
        std::vector<const int32_t*> before_tables(before.size(), pages[s].data());
        BatchRows old{static_cast<int64_t>(before.size()), before.data(), before_tables.data()};
        Command append = command(Op::KV_APPEND);
        append.kv_append = {&kv, 0, keys.data(), values.data(), &old};
        if (!before.empty()) {
            device.run({append});
        }
        for (int32_t p = c.past[s]; p < length; p++) {
            positions.push_back(p);
            tables.push_back(pages[s].data());
            Numbers query = numbers(static_cast<size_t>(c.heads * c.dim), random);
            for (int64_t head = 0; head < c.heads; head++) {
                int64_t kv_head = head / (c.heads / c.kv_heads);
                int32_t from = c.window == 0 ? 0 : std::max(0, p - static_cast<int32_t>(c.window) + 1);
                std::vector<double> weights;
                double total = 0;
                for (int32_t t = from; t <= p; t++) {
                    double dot = 0;
                    for (int64_t d = 0; d < c.dim; d++) {
                        dot += static_cast<double>(query[static_cast<size_t>(head * c.dim + d)]) *
                               static_cast<double>(
                                   keys[static_cast<size_t>(t) * width + static_cast<size_t>(kv_head * c.dim + d)]);
                    }
                    dot *= static_cast<double>(scale);
                    dot = c.soft_cap == 0
                              ? dot
                              : static_cast<double>(c.soft_cap) * std::tanh(dot / static_cast<double>(c.soft_cap));
                    weights.push_back(std::exp(dot));
                    total += weights.back();
                }
                for (int64_t d = 0; d < c.dim; d++) {
                    double sum = 0;
                    for (int32_t t = from; t <= p; t++) {
                        sum += weights[static_cast<size_t>(t - from)] *
                               static_cast<double>(
                                   values[static_cast<size_t>(t) * width + static_cast<size_t>(kv_head * c.dim + d)]);
                    }
                    expected.push_back(sum / total);
                }
            }
            q.insert(q.end(), query.begin(), query.end());
        }
        new_keys.insert(new_keys.end(), keys.begin() + c.past[s] * static_cast<int64_t>(width), keys.end());
        new_values.insert(new_values.end(), values.begin() + c.past[s] * static_cast<int64_t>(width), values.end());
    }

    BatchRows rows{static_cast<int64_t>(positions.size()), positions.data(), tables.data()};
    std::vector<AttentionBlock> blocks;
    int32_t states = 0;
    for (int32_t first = 0; first < rows.count;) {
        int32_t last = first + 1;
        while (last < rows.count && last - first < QUERY_BLOCK &&
               tables[static_cast<size_t>(last)] == tables[static_cast<size_t>(first)]) {
            last++;
        }
        int32_t position = positions[static_cast<size_t>(first)];
        int32_t from = c.window == 0 ? 0 : std::max(0, position - static_cast<int32_t>(c.window) + 1);
        int32_t segments = position / SEGMENT - from / SEGMENT + 1;
        if (last - first == 1 && segments > 1) {
            for (int32_t i = 0; i < segments; i++) {
                blocks.push_back({first, last, from / SEGMENT + i, states + i, i == 0 ? segments : 0});
            }
            states += segments;
        } else {
            blocks.push_back({first, last, -1, 0, 0});
        }
        first = last;
    }
    Numbers out(q.size());
    Numbers shared(static_cast<size_t>(states * c.heads * (STATE_HEADER + kv.padded())));
    Command append = command(Op::KV_APPEND);
    append.kv_append = {&kv, 0, new_keys.data(), new_values.data(), &rows};
    Command attend = command(Op::ATTENTION, 0);
    attend.attention = {q.data(),
                        &kv,
                        0,
                        c.heads,
                        scale,
                        c.soft_cap,
                        c.window,
                        &rows,
                        out.data(),
                        blocks.data(),
                        static_cast<int64_t>(blocks.size()),
                        shared.data()};
    Command merge = attend;
    merge.op = Op::ATTENTION_MERGE;
    merge.after = 1;
    device.run({append, attend, merge});
    check_close(out, expected, c.bound,
                "attention, cache type " + std::to_string(static_cast<int>(c.type)) + ", dim " + std::to_string(c.dim));
}

void test_attention(const Device& device, std::mt19937& random) {
    struct TypeBound {
        KvType type;
        double bound;
    };
    for (TypeBound t :
         {TypeBound{KvType::F32, 1e-10}, {KvType::F16, 1e-6}, {KvType::INT8, 1e-3}, {KvType::FP8, 1e-2}}) {
        test_attention(device, {1, 1, 8, 0, 0, {0}, {1}, t.type, t.bound}, random);
        test_attention(device, {9, 3, 64, 0, 0, {31, 0, 600}, {1, 7, 1}, t.type, t.bound}, random);
        test_attention(device, {4, 2, 40, 16, 30, {0, 530}, {40, 2}, t.type, t.bound}, random);
        test_attention(device, {4, 1, 72, 512, 0, {1030}, {1}, t.type, t.bound}, random);
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

int main(int argc, char** argv) {
    using namespace demitasse;
    using namespace demitasse::test;
    const char* names[] = {"sse42", "avx2", "avx2-vnni", "avx512-vnni", "neon", "dotprod"};
    unsigned seed = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 20261124;
    for (int set = 0; set < static_cast<int>(InstructionSet::COUNT); set++) {
        if ((instruction_sets() >> set & 1) == 0) {
            std::printf("%s: not run, this machine has no such instructions\n", names[set]);
            check(open_device(set, 1) == 0, "an instruction set that is not there opens no device");
            continue;
        }
        for (int threads : {1, 3}) {
            where = std::string(names[set]) + ", " + std::to_string(threads) + " threads, seed " + std::to_string(seed);
            std::mt19937 random(seed);
            Device device(set, threads);
            test_linear(device, random);
            test_small_operations(device, random);
            test_attention(device, random);
        }
        std::mt19937 random(seed);
        test_order(set, random);
        std::printf("%s: run\n", names[set]);
    }
    std::printf("%d checks, %d failed\n", checks, failures);
    return failures == 0 ? 0 : 1;
}
