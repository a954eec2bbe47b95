// Times kernels alone on a card, as they lie in a folder of fatbins, each with several launches of which the quickest
// is wanted; one JSON line a cell. Operands are copied as often as it takes to be larger than any cache, and all copies
// are read in one graph, so a launch finds its own in memory; the median of several graphs. Results of a cell are
// compared with those of its first launch, bit by bit, and poisoned before.
//
//   sweep FOLDER [--seconds N] [--small] [WHICH...]
//
// WHICH are beginnings of cells' names. It ends before N seconds have passed; --small has sizes for the emulator.
#include <cuda.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "kernels.cpp"

#undef cuEventElapsedTime  // drivers before 13.0 do not have the second version
extern "C" CUresult cuEventElapsedTime(float*, CUevent, CUevent);

namespace {

using namespace demitasse;

void check(CUresult failed, const char* doing) {
    if (failed != CUDA_SUCCESS) {
        const char* name = "?";
        cuGetErrorName(failed, &name);
        std::fprintf(stderr, "sweep: %s while %s\n", name, doing);
        std::exit(1);
    }
}

// A launch of a kernel whose argument is a structure.
struct Launch {
    std::string kernel;
    unsigned blocks[3];
    unsigned threads;
    unsigned shared_bytes;
    std::vector<unsigned char> argument;
    bool dependent = false;  // may start before the launch before it has ended

    template <class Args>
    static std::vector<unsigned char> bytes(const Args& args) {
        const auto* from = reinterpret_cast<const unsigned char*>(&args);
        return {from, from + sizeof args};
    }
};

class Card {
   public:
    explicit Card(const std::string& folder) {
        check(cuInit(0), "starting the driver");
        check(cuDevicePrimaryCtxRetain(&context_, 0), "making a context");
        check(cuCtxSetCurrent(context_), "entering the context");
        check(cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "making a stream");
        check(cuEventCreate(&from_, 0), "making an event");
        check(cuEventCreate(&to_, 0), "making an event");
        check(cuDeviceGetAttribute(&multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0), "asking");
        int minor = 0;
        check(cuDeviceGetAttribute(&capability, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0), "asking");
        check(cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0), "asking");
        capability = 10 * capability + minor;
        std::ifstream list(folder + "/kernels.txt");
        std::string line;
        while (std::getline(list, line)) {
            if (line.find(' ') != std::string::npos) {
                continue;  // what the kernels were made of, and for which driver
            }
            std::ifstream file(folder + "/" + line + ".fatbin", std::ios::binary);
            const std::string image((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
            CUmodule module;
            if (!image.empty() && cuModuleLoadData(&module, image.data()) == CUDA_SUCCESS) {
                modules_.push_back(module);
            }
        }
    }

    int multiprocessors = 0;
    int capability = 0;  // 90 for 9.0

    template <class T>
    T* allocate(int64_t count) {
        CUdeviceptr memory = 0;
        check(cuMemAlloc(&memory, static_cast<size_t>(count) * sizeof(T)), "allocating");
        allocated_.push_back(memory);
        return reinterpret_cast<T*>(memory);
    }
    template <class T>
    T* upload(const std::vector<T>& values) {
        T* to = allocate<T>(static_cast<int64_t>(values.size()));
        check(cuMemcpyHtoD(reinterpret_cast<CUdeviceptr>(to), values.data(), values.size() * sizeof(T)), "copying");
        return to;
    }
    template <class T>
    std::vector<T> download(const T* from, int64_t count) {
        std::vector<T> values(static_cast<size_t>(count));
        check(cuMemcpyDtoH(values.data(), reinterpret_cast<CUdeviceptr>(from), values.size() * sizeof(T)), "copying");
        return values;
    }
    void poison(void* memory, int64_t bytes) {
        check(cuMemsetD8(reinterpret_cast<CUdeviceptr>(memory), 0xFF, static_cast<size_t>(bytes)), "poisoning");
    }
    void free_all() {
        for (CUdeviceptr memory : allocated_) {
            check(cuMemFree(memory), "freeing");
        }
        allocated_.clear();
    }

    void run(const Launch& launch) {
        start(launch);
        check(cuStreamSynchronize(stream_), launch.kernel.c_str());
    }

    // Microseconds of a graph of launches, the median of `graphs` runs after one that does not count.
    double time(const std::vector<Launch>& launches, int graphs) {
        CUgraph graph;
        CUgraphExec executable;
        for (const Launch& launch : launches) {
            find(launch);  // nothing is loaded during a capture
        }
        check(cuStreamBeginCapture(stream_, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "beginning a capture");
        for (const Launch& launch : launches) {
            start(launch);
        }
        check(cuStreamEndCapture(stream_, &graph), "ending a capture");
        check(cuGraphInstantiate(&executable, graph, 0), "making a graph");
        std::vector<double> times;
        for (int i = 0; i <= graphs; i++) {
            check(cuEventRecord(from_, stream_), "recording");
            check(cuGraphLaunch(executable, stream_), "launching a graph");
            check(cuEventRecord(to_, stream_), "recording");
            check(cuEventSynchronize(to_), "running a graph");
            float milliseconds = 0;
            check(cuEventElapsedTime(&milliseconds, from_, to_), "timing");
            if (i > 0) {
                times.push_back(1000.0 * milliseconds);
            }
        }
        check(cuGraphExecDestroy(executable), "destroying a graph");
        check(cuGraphDestroy(graph), "destroying a graph");
        std::sort(times.begin(), times.end());
        return times[times.size() / 2];
    }

    bool has(const std::string& kernel) {
        for (CUmodule module : modules_) {
            CUfunction function;
            if (cuModuleGetFunction(&function, module, kernel.c_str()) == CUDA_SUCCESS) {
                functions_[kernel] = function;
                return true;
            }
        }
        return false;
    }

   private:
    CUfunction find(const Launch& launch) {
        if (functions_.find(launch.kernel) == functions_.end() && !has(launch.kernel)) {
            check(CUDA_ERROR_NOT_FOUND, launch.kernel.c_str());
        }
        CUfunction function = functions_[launch.kernel];
        if (launch.shared_bytes > 48 << 10) {
            check(cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                     static_cast<int>(launch.shared_bytes)),
                  "asking for shared memory");
        }
        return function;
    }

    void start(const Launch& launch) {
        CUlaunchConfig config = {};
        config.gridDimX = launch.blocks[0];
        config.gridDimY = launch.blocks[1];
        config.gridDimZ = launch.blocks[2];
        config.blockDimX = launch.threads;
        config.blockDimY = config.blockDimZ = 1;
        config.sharedMemBytes = launch.shared_bytes;
        config.hStream = stream_;
        CUlaunchAttribute attribute = {};
        attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
        attribute.value.programmaticStreamSerializationAllowed = 1;
        config.attrs = &attribute;
        config.numAttrs = launch.dependent ? 1 : 0;
        std::vector<unsigned char> argument = launch.argument;
        void* arguments[] = {argument.data()};
        check(cuLaunchKernelEx(&config, find(launch), arguments, nullptr), launch.kernel.c_str());
    }

    CUcontext context_;
    CUstream stream_;
    CUevent from_, to_;
    std::vector<CUmodule> modules_;
    std::map<std::string, CUfunction> functions_;
    std::vector<CUdeviceptr> allocated_;
};

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
        const int pieces = (outputs + GEMV_OUTPUTS - 1) / GEMV_OUTPUTS;
        std::vector<Variant> variants;
        for (int blocks : {pieces, card_.multiprocessors, 2 * card_.multiprocessors, 3 * card_.multiprocessors}) {
            if (blocks <= pieces) {
                variants.push_back({"blocks " + std::to_string(blocks), {}});
                const auto grid = static_cast<unsigned>(blocks);
                variants.back().launches = [=](const LinearArgs& a) {
                    const LinearBatch batch{{a, {}, {}}, {grid, 0, 0}};
                    return std::vector<Launch>{{kernel, {grid, 1, 1}, GEMV_THREADS, shared, Launch::bytes(batch)}};
                };
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
                    std::vector<Launch> launches{{stem + "_m" + std::to_string(tile),
                                                  {blocks, grid_rows, split},
                                                  static_cast<unsigned>(gemm_threads(tile)),
                                                  shared,
                                                  Launch::bytes(LinearBatch{{a, {}, {}}, {blocks, 0, 0}})}};
                    if (split > 1) {
                        const unsigned sums = pieces(int64_t{rows} * outputs, ELEMENT_THREADS);
                        launches.push_back({finish,
                                            {sums, 1, 1},
                                            ELEMENT_THREADS,
                                            0,
                                            Launch::bytes(LinearBatch{{a, {}, {}}, {sums, 0, 0}})});
                    }
                    return launches;
                };
            }
        }
        if (BITS == 8 && group == 0 && card_.capability == 90) {
            const unsigned units = pieces(rows, 2 * WGMMA_ROWS) * pieces(outputs, WGMMA_OUTPUTS);
            const unsigned blocks = 2 * std::min(units, static_cast<unsigned>(card_.multiprocessors) / 2);
            variants.push_back({"wgmma", {}});
            variants.back().launches = [=](const LinearArgs& a) {
                return std::vector<Launch>{
                    {stem + "_wgmma", {blocks, 1, 1}, WGMMA_THREADS, WGMMA_BYTES, Launch::bytes(a)}};
            };
        }
        measure(name, m, variants);
    }

    void quantize(int rows, int columns, bool per_row) {
        const std::string name = std::string("quantize_rows/") + (per_row ? "row/" : "32/") + std::to_string(rows) +
                                 "x" + std::to_string(columns);
        if (!wants(name)) {
            return;
        }
        const int copies = small_ ? 2 : 4;
        const int64_t count = int64_t{rows} * columns;
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        std::vector<float> x(static_cast<size_t>(std::min<int64_t>(count, 1 << 20)));
        for (float& value : x) {
            value = normal(random);
        }
        std::vector<float> all;
        while (static_cast<int64_t>(all.size()) < count * copies) {
            all.insert(all.end(), x.begin(), x.end());
        }
        const float* from = card_.upload(all);
        auto* q = card_.allocate<int8_t>(round_up(rows, TILE_OUTPUTS) * int64_t{columns});
        auto* groups = card_.allocate<GroupPair>(count / 64);
        const int blocks = per_row ? 1 : (columns + QUANTIZE_COLUMNS - 1) / QUANTIZE_COLUMNS;
        std::vector<Launch> launches;
        for (int i = 0; i < copies; i++) {
            const QuantizeRowsArgs args{from + i * count, columns, nullptr, nullptr, {q, groups, columns, per_row}};
            launches.push_back({"quantize_rows",
                                {static_cast<unsigned>(rows), static_cast<unsigned>(blocks), 1},
                                QUANTIZE_THREADS,
                                0,
                                Launch::bytes(args)});
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

    // A way to launch a multiplication.
    struct Variant {
        std::string name;
        std::function<std::vector<Launch>(const LinearArgs&)> launches;
    };

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
        a.q = card_.upload(random_bytes<uint8_t>(round_up(rows, TILE_OUTPUTS) * int64_t{columns}));
        a.groups = card_.upload(std::vector<GroupPair>(static_cast<size_t>(int64_t{rows} * columns / 64),
                                                       GroupPair{{0.01f, 0.01f}, {0, 0}}));
        a.quants = card_.upload(random_bytes<uint8_t>(m.bytes * m.copies));
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
            const bool same = std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(float)) == 0;
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

    template <class T>
    static std::vector<T> random_bytes(int64_t count) {
        static std::vector<T> some;
        std::mt19937 random(7);
        while (some.size() < (16u << 20)) {
            some.push_back(static_cast<T>(random() >> 8));
        }
        std::vector<T> values;
        while (static_cast<int64_t>(values.size()) < count) {
            const auto more = std::min<int64_t>(count - static_cast<int64_t>(values.size()), some.size() - 13);
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
