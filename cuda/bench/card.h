// A card by the driver's API: its memory, and launches of kernels as they lie in a folder of fatbins, alone or timed as
// a graph.
#pragma once

#include <cuda.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#undef cuEventElapsedTime  // drivers before 13.0 do not have the second version
extern "C" CUresult cuEventElapsedTime(float*, CUevent, CUevent);

namespace demitasse::bench {

inline void check(CUresult failed, const char* doing) {
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
            load(folder + "/" + line + ".fatbin", "");
        }
        std::ifstream table(folder + "/variants/gemv_bulk.tsv");
        std::getline(table, line);
        for (GemvVariant v; table >> v.name >> v.ring >> v.tiles;) {
            for (const char* kernel : {"gemv_int4", "gemv_int8"}) {
                load(folder + "/variants/" + v.name + "-" + kernel + ".fatbin", v.name + "@");
            }
            gemv_variants.push_back(v);
        }
    }

    // A line of cuda/variants/gemv_bulk.tsv; its kernels are called name@kernel.
    struct GemvVariant {
        std::string name;
        int ring, tiles;
    };
    std::vector<GemvVariant> gemv_variants;

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
        const size_t at = kernel.find('@') + 1;  // 0 where it is no variant's
        for (const auto& [variant, module] : modules_) {
            CUfunction function;
            if (variant == kernel.substr(0, at) &&
                cuModuleGetFunction(&function, module, kernel.c_str() + at) == CUDA_SUCCESS) {
                functions_[kernel] = function;
                return true;
            }
        }
        return false;
    }

   private:
    void load(const std::string& path, const std::string& variant) {
        std::ifstream file(path, std::ios::binary);
        const std::string image((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        CUmodule module;
        if (!image.empty() && cuModuleLoadData(&module, image.data()) == CUDA_SUCCESS) {
            modules_.emplace_back(variant, module);
        }
    }

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
    std::vector<std::pair<std::string, CUmodule>> modules_;  // by variant, which is empty for what Java runs
    std::map<std::string, CUfunction> functions_;
    std::vector<CUdeviceptr> allocated_;
};

}  // namespace demitasse::bench
