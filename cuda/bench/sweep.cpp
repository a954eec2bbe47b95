// Times kernels alone on a card, as they lie in a folder of fatbins, each with several launches of which the quickest
// is wanted; one JSON line a cell. Operands are copied as often as it takes to be larger than any cache, and all copies
// are read in one graph, so a launch finds its own in memory; the median of several graphs. Results of a cell are
// compared with those of its first launch, bit by bit, and poisoned before.
//
//   sweep FOLDER [--seconds N] [--small] [WHICH...]
//
// WHICH are beginnings of cells' names. It ends before N seconds have passed; --small has sizes for the emulator.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "card.h"
#include "kernels.cpp"

namespace {

using namespace demitasse;
using namespace demitasse::bench;

class Sweep {
   public:
    Sweep(Card& card, bool small, double seconds, std::vector<std::string> which)
        : card_(card), small_(small), end_(now() + seconds), which_(std::move(which)) {}

    // Launches whose results were not those of the first of their cell.
    int differ() const { return differ_; }

    bool wants(const std::string& name) const {
        bool named = which_.empty();
        for (const std::string& prefix : which_) {
            named = named || name.compare(0, prefix.size(), prefix) == 0;
        }
        return named && now() < end_;
    }

    // One row of activations, or a few, by integer weights, with several numbers of blocks.
    template <int BITS>
    void gemv(int group, int rows, int outputs, int columns) {
        const std::string name = cell("gemv", BITS, group, rows, outputs, columns);
        if (!wants(name)) {
            return;
        }
        Operands m = operands<BITS>(group, rows, outputs, columns);
        const std::string kernel = kernel_name("gemv", BITS, group) + "_rows" + std::to_string(gemv_rows(rows));
        const auto shared = static_cast<unsigned>(gemv_shared_bytes(card_.capability));
        const auto most = static_cast<int>(pieces(outputs, GEMV_OUTPUTS));
        std::vector<Variant> variants;
        auto add = [&](const std::string& prefix, int blocks, unsigned bytes) {
            variants.push_back({prefix + "blocks " + std::to_string(blocks), {}});
            const auto grid = static_cast<unsigned>(blocks);
            variants.back().launches = [=](const LinearArgs& a) {
                const LinearBatch batch{{a, {}, {}}, {grid, 0, 0}, nullptr, {}};
                return std::vector<Launch>{{prefix + kernel, {grid, 1, 1}, GEMV_THREADS, bytes, Launch::bytes(batch)}};
            };
        };
        for (int blocks : {most, card_.multiprocessors, 2 * card_.multiprocessors, 3 * card_.multiprocessors}) {
            if (blocks <= most) {
                add("", blocks, shared);
            }
        }
        for (const Card::GemvVariant& v : card_.gemv_variants) {
            const int resident = 8 * v.ring > 100 << 10 ? 1 : 2;
            if (card_.has(v.name + "@" + kernel)) {
                add(v.name + "@", std::min(most, resident * card_.multiprocessors),
                    static_cast<unsigned>(SEGMENTS * (v.ring + BULK_BARRIERS)));
            }
        }
        measure(name, m, variants);
    }

    // Many rows, with every tile, the columns whole and divided; and by wgmma.
    template <int BITS>
    void gemm(int group, int rows, int outputs, int columns) {
        const std::string name = cell("gemm", BITS, group, rows, outputs, columns);
        if (!wants(name)) {
            return;
        }
        Operands m = operands<BITS>(group, rows, outputs, columns);
        const auto segments = static_cast<unsigned>(m.args.segments());
        const std::string stem = kernel_name("gemm", BITS, group);
        const std::string finish =
            group == 0 ? "linear_finish_int" + std::to_string(BITS) + "_per_row" : "linear_finish";
        std::vector<Variant> variants;
        for (int tile : {16, 32, 64, 128}) {
            for (unsigned split : {1u, segments}) {
                if ((split > 1 && rows > MOST_SPLIT_ROWS) || (tile > 16 && tile > 2 * rows)) {
                    continue;
                }
                const unsigned blocks = pieces(outputs, gemm_outputs(group, tile));
                const unsigned grid_rows = pieces(rows, tile);
                const auto shared = static_cast<unsigned>(gemm_shared_bytes(BITS, group, tile));
                variants.push_back({"tile " + std::to_string(tile) + ", segments " + std::to_string(split), {}});
                variants.back().launches = [=](const LinearArgs& a) {
                    std::vector<Launch> launches{
                        {stem + "_m" + std::to_string(tile),
                         {blocks, grid_rows, split},
                         static_cast<unsigned>(gemm_threads(tile)),
                         shared,
                         Launch::bytes(LinearBatch{{a, {}, {}}, {blocks, 0, 0}, nullptr, {}})}};
                    if (split > 1) {
                        const unsigned sums = pieces(int64_t{rows} * outputs, ELEMENT_THREADS);
                        launches.push_back({finish,
                                            {sums, 1, 1},
                                            ELEMENT_THREADS,
                                            0,
                                            Launch::bytes(LinearBatch{{a, {}, {}}, {sums, 0, 0}, nullptr, {}})});
                    }
                    return launches;
                };
            }
        }
        if (BITS == 8 && group == 0 && card_.capability == 90) {
            const unsigned blocks = wgmma_blocks(rows, outputs);
            variants.push_back({"wgmma", {}});
            variants.back().launches = [=](const LinearArgs& a) {
                return std::vector<Launch>{
                    {stem + "_wgmma", {blocks, 1, 1}, WGMMA_THREADS, WGMMA_BYTES, Launch::bytes(a)}};
            };
        }
        measure(name, m, variants);
    }

    // Many rows by wgmma after both operands were converted to FP16; and each of the three kernels alone, of which the
    // product uses what the others have left.
    template <int BITS>
    void through_fp16(int rows, int outputs, int columns) {
        const std::string name = cell("w4a16", BITS, 32, rows, outputs, columns);
        if (card_.capability != 90 || !wants(name)) {
            return;
        }
        Operands m = operands<BITS>(32, rows, outputs, columns);
        const int tiles = fp16_tiles(columns);
        const int64_t weight_bytes = int64_t{round_up(outputs, TILE_OUTPUTS)} * tiles * TILE_ROW_BYTES;
        const int64_t row_bytes = int64_t{round_up(rows, TILE_OUTPUTS)} * tiles * TILE_ROW_BYTES;
        auto* weights = card_.allocate<uint8_t>(weight_bytes * m.copies);
        auto* activations = card_.allocate<uint8_t>(row_bytes);
        m.args.x = card_.upload(normal_numbers(int64_t{rows} * columns));
        auto copy = [=](const LinearArgs& a) { return weights + (a.quants - m.args.quants) / m.bytes * weight_bytes; };
        auto dequantize = [=](const LinearArgs& a) {
            DequantizeArgs args{};
            args.quants = a.quants;
            args.scales = a.scales;
            args.fp16_scales = 1;
            args.integers = BITS == 4 ? Integers::INT4 : Integers::INT8;
            args.group = 32;
            args.outputs = a.outputs;
            args.tiles = a.tiles;
            args.columns = a.columns;
            args.out = copy(a);
            return Launch{"dequantize_weights",
                          {pieces(m.bytes / 16, ELEMENT_THREADS), 1, 1},
                          ELEMENT_THREADS,
                          0,
                          Launch::bytes(args)};
        };
        auto narrow = [=](const LinearArgs& a) {
            const Fp16RowsArgs args{a.x, a.rows, a.columns, activations};
            return Launch{
                "fp16_rows", {pieces(row_bytes / 16, ELEMENT_THREADS), 1, 1}, ELEMENT_THREADS, 0, Launch::bytes(args)};
        };
        auto multiply = [=, blocks = wgmma_blocks(rows, outputs)](LinearArgs a) {
            a.quants = copy(a);
            a.q = activations;
            a.tiles = tiles;
            return Launch{"gemm_f16_wgmma", {blocks, 1, 1}, WGMMA_THREADS, WGMMA_BYTES, Launch::bytes(a)};
        };
        using Launches = std::vector<Launch>;
        measure(name, m,
                {{"all",
                  [=](const LinearArgs& a) {
                      return Launches{narrow(a), dequantize(a), multiply(a)};
                  }},
                 {"dequantize_weights", [=](const LinearArgs& a) { return Launches{dequantize(a)}; }, false},
                 {"fp16_rows", [=](const LinearArgs& a) { return Launches{narrow(a)}; }, false},
                 {"gemm_f16_wgmma", [=](const LinearArgs& a) { return Launches{multiply(a)}; }}});
    }

    void quantize(int rows, int columns, bool per_row) {
        const std::string name = std::string("quantize_rows/") + (per_row ? "row/" : "32/") + std::to_string(rows) +
                                 "x" + std::to_string(columns);
        if (!wants(name)) {
            return;
        }
        const int copies = small_ ? 2 : 4;
        const int64_t count = int64_t{rows} * columns;
        const float* from = card_.upload(normal_numbers(count * copies));
        auto* q = card_.allocate<int8_t>(round_up(rows, TILE_OUTPUTS) * int64_t{columns});
        auto* groups = card_.allocate<GroupPair>(count / 64);
        const unsigned blocks = per_row ? 1 : pieces(columns, QUANTIZE_COLUMNS);
        std::vector<Launch> launches;
        for (int i = 0; i < copies; i++) {
            const QuantizeRowsArgs args{from + i * count, columns, nullptr, nullptr, {q, groups, columns, per_row},
                                        nullptr,          nullptr, nullptr};
            launches.push_back(
                {"quantize_rows", {static_cast<unsigned>(rows), blocks, 1}, QUANTIZE_THREADS, 0, Launch::bytes(args)});
        }
        const double us = card_.time(launches, GRAPHS) / copies;
        std::printf("{\"cell\": \"%s\", \"us\": %.2f, \"gbs\": %.0f}\n", name.c_str(), us,
                    static_cast<double>(count) * 5.25 / us / 1000);
        std::fflush(stdout);
        card_.free_all();
    }

    void all() {
        const int outputs[] = {4096, 6144, 14336, 28672, 4096, 2048, 128256};
        const int columns[] = {4096, 4096, 4096, 4096, 14336, 8192, 4096};
        for (int rows : {1, 8, 64, 512, 4096}) {
            for (int i = 0; i < (small_ ? 1 : 7); i++) {
                const int n = small_ ? 64 : outputs[i];
                const int k = small_ ? 512 : columns[i];
                if (rows <= GEMV_ROWS) {
                    gemv<4>(32, rows, n, k);
                    gemv<8>(32, rows, n, k);
                    gemv<8>(0, rows, n, k);
                } else if (n < 100000) {
                    gemm<4>(32, small_ ? 20 : rows, n, k);
                    gemm<8>(0, small_ ? 20 : rows, n, k);
                }
            }
        }
        const int shapes[][2] = {{14336, 4096}, {4096, 14336}, {4096, 4096}};
        for (int i = 0; i < (small_ ? 1 : 9); i++) {
            const int rows = small_ ? 70 : i < 3 ? 128 : i < 6 ? 512 : 4096;
            const int n = small_ ? 64 : shapes[i % 3][0];
            const int k = small_ ? 512 : shapes[i % 3][1];
            through_fp16<4>(rows, n, k);
            through_fp16<8>(rows, n, k);
        }
        for (int rows : {1, 64, 512, 4096}) {
            for (int k : {4096, 14336}) {
                quantize(small_ ? 3 : rows, small_ ? 512 : k, true);
                quantize(small_ ? 3 : rows, small_ ? 512 : k, false);
            }
        }
    }

   private:
    static constexpr int64_t COLD = 256 << 20;
    static constexpr int GRAPHS = 7;
    static constexpr int MOST_SPLIT_ROWS = 512;

    // A multiplication on the card: copies of a matrix, of which `args` has the first, and the rows that meet it.
    struct Operands {
        LinearArgs args;
        int copies;
        int64_t bytes, scales;  // of a copy
        float* out;
    };

    // A way to launch a multiplication, or a part of it that leaves no results.
    struct Variant {
        std::string name;
        std::function<std::vector<Launch>(const LinearArgs&)> launches;
        bool whole = true;
    };

    unsigned wgmma_blocks(int rows, int outputs) const {
        const unsigned units = pieces(rows, WGMMA_CLUSTER * WGMMA_ROWS) * pieces(outputs, WGMMA_OUTPUTS);
        return WGMMA_CLUSTER * std::min(units, static_cast<unsigned>(card_.multiprocessors) / WGMMA_CLUSTER);
    }

    static unsigned pieces(int64_t count, int size) { return static_cast<unsigned>((count + size - 1) / size); }

    static std::string kernel_name(const std::string& kind, int bits, int group) {
        return kind + "_int" + std::to_string(bits) + (group == 0 ? "_per_row" : "_per32");
    }

    static std::string cell(const std::string& kind, int bits, int group, int rows, int outputs, int columns) {
        return kind + "/int" + std::to_string(bits) + "/" + std::to_string(group) + "/" + std::to_string(rows) + "/" +
               std::to_string(outputs) + "x" + std::to_string(columns);
    }

    template <int BITS>
    Operands operands(int group, int rows, int outputs, int columns) {
        Operands m{};
        LinearArgs& a = m.args;
        a.outputs = outputs;
        a.tiles = columns / tile_columns(BITS);
        a.fp16_scales = 1;
        a.columns = columns;
        a.rows = rows;
        m.bytes = outputs / TILE_OUTPUTS * a.tiles * TILE_BYTES;
        m.scales = group == 0 ? outputs : int64_t{outputs} * columns / group;
        m.copies = small_ ? 2 : static_cast<int>(std::max<int64_t>(2, COLD / (m.bytes + 2 * m.scales)));
        a.q = card_.upload(random_bytes(round_up(rows, TILE_OUTPUTS) * int64_t{columns}));
        a.groups = card_.upload(std::vector<GroupPair>(static_cast<size_t>(int64_t{rows} * columns / 64),
                                                       GroupPair{{0.01f, 0.01f}, {0, 0}}));
        a.quants = card_.upload(random_bytes(m.bytes * m.copies));
        a.scales = card_.upload(std::vector<uint16_t>(static_cast<size_t>(m.scales * m.copies), 0x2E66));
        m.out = card_.allocate<float>(int64_t{rows} * outputs);
        a.out = {m.out, OutputType::F32};
        if (rows <= MOST_SPLIT_ROWS) {
            a.partial = card_.allocate<float>(int64_t{SEGMENTS} * rows * outputs);
        }
        return m;
    }

    // Times every variant over all copies, each launch after the last one or overlapping it, and compares results.
    void measure(const std::string& name, const Operands& m, const std::vector<Variant>& variants) {
        const int64_t count = m.args.rows * m.args.outputs;
        std::vector<float> expected;
        for (const Variant& variant : variants) {
            std::vector<Launch> launches;
            for (int i = 0; i < m.copies; i++) {
                LinearArgs a = m.args;
                a.quants += i * m.bytes;
                a.scales = static_cast<const uint16_t*>(a.scales) + i * m.scales;
                for (Launch& launch : variant.launches(a)) {
                    launches.push_back(launch);
                }
            }
            card_.poison(m.out, count * 4);
            for (size_t i = 0; i < launches.size() / static_cast<size_t>(m.copies); i++) {
                card_.run(launches[i]);
            }
            const std::vector<float> actual = card_.download(m.out, count);
            expected = expected.empty() ? actual : expected;
            const bool same =
                !variant.whole || std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(float)) == 0;
            differ_ += same ? 0 : 1;
            for (bool dependent : {false, true}) {
                for (Launch& launch : launches) {
                    launch.dependent = dependent && card_.capability >= 90;
                }
                const double us = card_.time(launches, GRAPHS) / m.copies;
                std::printf(
                    "{\"cell\": \"%s\", \"variant\": \"%s\", \"dependent\": %d, \"us\": %.2f, \"gbs\": %.0f, "
                    "\"tops\": %.1f, \"same\": %d}\n",
                    name.c_str(), variant.name.c_str(), dependent, us,
                    static_cast<double>(m.bytes + 2 * m.scales) / us / 1000,
                    2.0 * static_cast<double>(count) * static_cast<double>(m.args.columns) / us / 1e6, same);
                std::fflush(stdout);
            }
        }
        card_.free_all();
    }

    static double now() {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    }

    static std::vector<float> normal_numbers(int64_t count) {
        static std::vector<float> some;
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        while (some.size() < (1u << 20)) {
            some.push_back(normal(random));
        }
        return repeated(some, count);
    }

    static std::vector<uint8_t> random_bytes(int64_t count) {
        static std::vector<uint8_t> some;
        std::mt19937 random(7);
        while (some.size() < (16u << 20)) {
            some.push_back(static_cast<uint8_t>(random() >> 8));
        }
        return repeated(some, count);
    }

    // Less than all of them each time, so that copies of a matrix do not begin alike.
    template <class T>
    static std::vector<T> repeated(const std::vector<T>& some, int64_t count) {
        std::vector<T> values;
        while (static_cast<int64_t>(values.size()) < count) {
            const auto more =
                std::min<int64_t>(count - static_cast<int64_t>(values.size()), static_cast<int64_t>(some.size()) - 13);
            values.insert(values.end(), some.begin(), some.begin() + more);
        }
        return values;
    }

    Card& card_;
    int differ_ = 0;
    bool small_;
    double end_;
    std::vector<std::string> which_;
};

}  // namespace

int main(int argc, char** argv) {
    bool small = false;
    double seconds = 1e9;
    std::vector<std::string> which;
    for (int i = 2; i < argc; i++) {
        const std::string option = argv[i];
        if (option == "--small") {
            small = true;
        } else if (option == "--seconds" && i + 1 < argc) {
            seconds = std::atof(argv[++i]);
        } else {
            which.push_back(option);
        }
    }
    if (argc < 2) {
        std::fprintf(stderr, "sweep FOLDER [--seconds N] [--small] [WHICH...]\n");
        return 2;
    }
    Card card(argv[1]);
    Sweep sweep(card, small, seconds, which);
    sweep.all();
    return sweep.differ() == 0 ? 0 : 1;
}
