// What a Hopper card gives at most, measured on it: how fast memory is read with so many bytes under way, what a kernel
// of a graph costs with and without programmatic dependent launch, and how many products wgmma starts from shared
// memory. One JSON line a figure. Limits beside which the kernels' own figures stand; nothing of Demitasse runs here.
//
//   nvcc -std=c++17 -O3 -gencode=arch=compute_90a,code=sm_90a -Icuda/include -o ceilings cuda/bench/ceilings.cu
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "demitasse/hopper.cuh"

using namespace demitasse;

#define CHECK(call)                                                                             \
    do {                                                                                        \
        const cudaError_t failed = (call);                                                      \
        if (failed != cudaSuccess) {                                                            \
            std::fprintf(stderr, "%s:%d %s\n", __FILE__, __LINE__, cudaGetErrorString(failed)); \
            std::exit(1);                                                                       \
        }                                                                                       \
    } while (0)

enum class Dependence { NONE, WAIT_FIRST, READ_FIRST };

// Reads `bytes` by bulk copies of `chunk` bytes to a ring of `slots`; a thread of each block starts them.
template <Dependence DEPENDENCE>
__global__ void __launch_bounds__(256) read_bulk(const unsigned char* from, int64_t bytes, int chunk, int slots) {
    extern __shared__ __align__(1024) unsigned char ring[];
    uint64_t* full = reinterpret_cast<uint64_t*>(ring + slots * chunk);
    if (threadIdx.x == 0) {
        for (int i = 0; i < slots; i++) {
            mbarrier_init(full + i, 1);
        }
        mbarrier_init_fence();
    }
    __syncthreads();
    if (DEPENDENCE != Dependence::NONE) {
        launch_dependents();
    }
    if (DEPENDENCE == Dependence::WAIT_FIRST) {
        await_previous();
    }
    if (threadIdx.x == 0) {
        const int64_t chunks = bytes / chunk;
        int count = 0;
        for (int64_t at = blockIdx.x; at < chunks; at += gridDim.x, count++) {
            const int slot = count % slots;
            if (count >= slots) {
                mbarrier_wait(full + slot, static_cast<unsigned>(count / slots - 1) & 1);
            }
            mbarrier_expect(full + slot, static_cast<unsigned>(chunk));
            copy_bulk(ring + slot * chunk, from + at * chunk, static_cast<unsigned>(chunk), full + slot);
            if (DEPENDENCE == Dependence::READ_FIRST && count == slots - 1) {
                await_previous();
            }
        }
        for (int i = maximum(0, count - slots); i < count; i++) {
            mbarrier_wait(full + i % slots, static_cast<unsigned>(i / slots) & 1);
        }
    }
    if (DEPENDENCE == Dependence::READ_FIRST) {
        await_previous();
    }
}

// The same by all of a block's warps, each with a ring of its own.
__global__ void __launch_bounds__(256)
    read_bulk_by_warps(const unsigned char* from, int64_t bytes, int chunk, int slots) {
    extern __shared__ __align__(1024) unsigned char rings[];
    unsigned char* ring = rings + warp() * slots * chunk;
    uint64_t* full = reinterpret_cast<uint64_t*>(rings + 8 * slots * chunk) + warp() * slots;
    if (lane() != 0) {
        return;
    }
    for (int i = 0; i < slots; i++) {
        mbarrier_init(full + i, 1);
    }
    mbarrier_init_fence();
    const int64_t chunks = bytes / chunk;
    int count = 0;
    for (int64_t at = static_cast<int64_t>(blockIdx.x) * 8 + warp(); at < chunks; at += gridDim.x * 8, count++) {
        const int slot = count % slots;
        if (count >= slots) {
            mbarrier_wait(full + slot, static_cast<unsigned>(count / slots - 1) & 1);
        }
        mbarrier_expect(full + slot, static_cast<unsigned>(chunk));
        copy_bulk(ring + slot * chunk, from + at * chunk, static_cast<unsigned>(chunk), full + slot);
    }
    for (int i = maximum(0, count - slots); i < count; i++) {
        mbarrier_wait(full + i % slots, static_cast<unsigned>(i / slots) & 1);
    }
}

// Reads by plain loads of 16 bytes, eight under way a thread.
__global__ void __launch_bounds__(1024) read_loads(const uint4* from, int64_t count, unsigned* out) {
    unsigned sum = 0;
    const int64_t threads = static_cast<int64_t>(gridDim.x) * blockDim.x;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i + 7 * threads < count;
         i += 8 * threads) {
        uint4 v[8];
#pragma unroll
        for (int j = 0; j < 8; j++) {
            v[j] = __ldcs(from + i + j * threads);
        }
#pragma unroll
        for (int j = 0; j < 8; j++) {
            sum += v[j].x ^ v[j].y ^ v[j].z ^ v[j].w;
        }
    }
    if (sum == 0x12345678) {
        *out = sum;
    }
}

struct Parameters {
    long words[128];
};

template <Dependence DEPENDENCE>
__global__ void __launch_bounds__(256) empty(const __grid_constant__ Parameters, unsigned* out) {
    if (DEPENDENCE != Dependence::NONE) {
        launch_dependents();
        await_previous();
    }
    if (out == nullptr && threadIdx.x == 1000) {
        asm volatile("trap;");
    }
}

#define EIGHT_SUMS(i)                                                                                           \
    "+r"(d[i]), "+r"(d[i + 1]), "+r"(d[i + 2]), "+r"(d[i + 3]), "+r"(d[i + 4]), "+r"(d[i + 5]), "+r"(d[i + 6]), \
        "+r"(d[i + 7])
__device__ __forceinline__ void wgmma_int8_n256(int (&d)[128], uint64_t a, uint64_t b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n256k32.s32.s8.s8 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, "
        "%12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, "
        "%33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, "
        "%54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, "
        "%75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
        "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, "
        "%114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, %128, %129, 1;"
        : EIGHT_SUMS(0), EIGHT_SUMS(8), EIGHT_SUMS(16), EIGHT_SUMS(24), EIGHT_SUMS(32), EIGHT_SUMS(40), EIGHT_SUMS(48),
          EIGHT_SUMS(56), EIGHT_SUMS(64), EIGHT_SUMS(72), EIGHT_SUMS(80), EIGHT_SUMS(88), EIGHT_SUMS(96),
          EIGHT_SUMS(104), EIGHT_SUMS(112), EIGHT_SUMS(120)
        : "l"(a), "l"(b));
}
#undef EIGHT_SUMS

constexpr int OPERANDS = 128 * 1024;

// Products of operands that stay in shared memory: 64 x 256 a group of four warps, or twice 64 x 128.
template <int OUTPUTS>
__global__ void __launch_bounds__(256) multiply(int steps, int* out) {
    extern __shared__ __align__(1024) unsigned char operands[];
    unsigned state = threadIdx.x * 2654435761u + blockIdx.x;
    for (int i = static_cast<int>(threadIdx.x); i < OPERANDS / 4; i += 256) {
        state = state * 1664525u + 1013904223u;
        reinterpret_cast<unsigned*>(operands)[i] = state;
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    const unsigned char* rows = operands + threadIdx.x / 128 * 32768;
    const unsigned char* outputs = operands + 65536;
    int sums[128] = {};
    for (int step = 0; step < steps; step++) {
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < 8; k++) {
            const int at = k / 2 * 512 + k % 2 * 32;
            if constexpr (OUTPUTS == 256) {
                wgmma_int8_n256(sums, wgmma_operand(rows + at, 2048), wgmma_operand(outputs + at, 2048));
            } else {
                wgmma_int8(*reinterpret_cast<int(*)[64]>(sums), wgmma_operand(rows + at, 2048),
                           wgmma_operand(outputs + at, 2048));
                wgmma_int8(*reinterpret_cast<int(*)[64]>(sums + 64), wgmma_operand(rows + 16384 + at, 2048),
                           wgmma_operand(outputs + at, 2048));
            }
        }
        wgmma_commit();
        wgmma_wait<0>();
    }
    int sum = 0;
    for (int i = 0; i < 128; i++) {
        sum += sums[i];
    }
    if (sum == 0x12345678) {
        *out = sum;
    }
}

static cudaStream_t stream;

template <class... Parameters_>
static void launch(bool dependent, void (*kernel)(Parameters_...), int blocks, int threads, int shared,
                   std::common_type_t<Parameters_>... arguments) {
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(static_cast<unsigned>(blocks));
    config.blockDim = dim3(static_cast<unsigned>(threads));
    config.dynamicSmemBytes = static_cast<size_t>(shared);
    config.stream = stream;
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &attribute;
    config.numAttrs = dependent ? 1 : 0;
    CHECK(cudaLaunchKernelEx(&config, kernel, arguments...));
}

// Microseconds of what is launched, as a graph; the median of seven.
static double time_graph(const std::function<void()>& launches) {
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    launches();
    CHECK(cudaStreamEndCapture(stream, &graph));
    CHECK(cudaGraphInstantiate(&executable, graph, 0));
    cudaEvent_t from, to;
    CHECK(cudaEventCreate(&from));
    CHECK(cudaEventCreate(&to));
    std::vector<double> times;
    for (int i = 0; i < 8; i++) {
        CHECK(cudaEventRecord(from, stream));
        CHECK(cudaGraphLaunch(executable, stream));
        CHECK(cudaEventRecord(to, stream));
        CHECK(cudaEventSynchronize(to));
        float milliseconds;
        CHECK(cudaEventElapsedTime(&milliseconds, from, to));
        if (i > 0) {
            times.push_back(1000.0 * milliseconds);
        }
    }
    CHECK(cudaEventDestroy(from));
    CHECK(cudaEventDestroy(to));
    CHECK(cudaGraphExecDestroy(executable));
    CHECK(cudaGraphDestroy(graph));
    std::sort(times.begin(), times.end());
    return times[3];
}

static const unsigned char* memory;
static unsigned* result;
static constexpr int64_t MEMORY = int64_t{8} << 30;
static int multiprocessors;

static void bandwidth() {
    constexpr int64_t BYTES = int64_t{2} << 30;
    for (int chunk : {1024, 2048, 4096, 8192, 16384}) {
        for (int kib : {8, 16, 24, 32, 48, 64, 96, 128, 192}) {
            const int slots = kib * 1024 / chunk;
            if (slots < 2 || slots > 96) {
                continue;
            }
            const int shared = slots * (chunk + 8);
            CHECK(
                cudaFuncSetAttribute(read_bulk<Dependence::NONE>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
            const double us = time_graph([&] {
                launch(false, read_bulk<Dependence::NONE>, multiprocessors, 256, shared, memory, BYTES, chunk, slots);
            });
            std::printf(
                "{\"what\": \"read\", \"by\": \"bulk\", \"chunk\": %d, \"kib_in_flight\": %d, \"us\": %.1f, "
                "\"gbs\": %.1f}\n",
                chunk, kib, us, BYTES / us / 1000);
        }
    }
    for (int chunk : {256, 512, 1024, 2048, 4096}) {
        const int kib = 64;
        const int slots = kib * 1024 / chunk / 8;
        const int shared = 8 * slots * (chunk + 8);
        CHECK(cudaFuncSetAttribute(read_bulk_by_warps, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
        const double us = time_graph(
            [&] { launch(false, read_bulk_by_warps, multiprocessors, 256, shared, memory, BYTES, chunk, slots); });
        std::printf(
            "{\"what\": \"read\", \"by\": \"bulk, eight warps\", \"chunk\": %d, \"kib_in_flight\": %d, \"us\": %.1f, "
            "\"gbs\": %.1f}\n",
            chunk, kib, us, BYTES / us / 1000);
    }
    for (int blocks : {1, 2}) {
        const double us = time_graph([&] {
            launch(false, read_loads, blocks * multiprocessors, 1024, 0, reinterpret_cast<const uint4*>(memory),
                   BYTES / 16, result);
        });
        std::printf("{\"what\": \"read\", \"by\": \"loads\", \"blocks\": %d, \"us\": %.1f, \"gbs\": %.1f}\n", blocks,
                    us, BYTES / us / 1000);
    }
}

template <Dependence DEPENDENCE>
static void chain(const char* name) {
    for (double mib : {0.25, 1.0, 2.0, 4.0, 9.0, 18.0, 33.0, 66.0, 133.0}) {
        for (int kib : {48, 96, 160}) {
            constexpr int CHUNK = 4096;
            const int64_t bytes = static_cast<int64_t>(mib * 1048576) / CHUNK * CHUNK;
            const int slots = kib * 1024 / CHUNK;
            const int shared = slots * (CHUNK + 8);
            CHECK(cudaFuncSetAttribute(read_bulk<DEPENDENCE>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
            const int kernels = static_cast<int>(std::clamp<int64_t>((int64_t{1} << 30) / bytes, 32, 256));
            const double us = time_graph([&] {
                for (int i = 0; i < kernels; i++) {
                    launch(DEPENDENCE != Dependence::NONE, read_bulk<DEPENDENCE>, multiprocessors, 256, shared,
                           memory + i * bytes % (MEMORY - bytes) / CHUNK * CHUNK, bytes, CHUNK, slots);
                }
            });
            std::printf(
                "{\"what\": \"chain\", \"dependent\": \"%s\", \"mib\": %.2f, \"kib_in_flight\": %d, "
                "\"us_a_kernel\": %.2f, \"gbs\": %.1f}\n",
                name, mib, kib, us / kernels, static_cast<double>(bytes) * kernels / us / 1000);
        }
    }
}

template <Dependence DEPENDENCE>
static void nodes(const char* name) {
    constexpr int KERNELS = 512;
    for (int blocks : {1, 132, 528, 1024}) {
        const double us = time_graph([&] {
            for (int i = 0; i < KERNELS; i++) {
                launch(DEPENDENCE != Dependence::NONE, empty<DEPENDENCE>, blocks, 256, 0, Parameters{}, result);
            }
        });
        std::printf("{\"what\": \"node\", \"dependent\": \"%s\", \"blocks\": %d, \"us\": %.3f}\n", name, blocks,
                    us / KERNELS);
    }
}

static void copies() {
    void* pinned;
    CHECK(cudaMallocHost(&pinned, 65536));
    for (int bytes : {64, 4096, 65536}) {
        const double device = time_graph([&] {
            for (int i = 0; i < 64; i++) {
                CHECK(cudaMemcpyAsync(result, memory, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, stream));
            }
        });
        const double host = time_graph([&] {
            for (int i = 0; i < 64; i++) {
                CHECK(cudaMemcpyAsync(result, pinned, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream));
            }
        });
        std::printf("{\"what\": \"copy node\", \"bytes\": %d, \"us_on_device\": %.2f, \"us_from_host\": %.2f}\n", bytes,
                    device / 64, host / 64);
    }
}

template <int OUTPUTS>
static void products() {
    constexpr int STEPS = 2000;
    CHECK(cudaFuncSetAttribute(multiply<OUTPUTS>, cudaFuncAttributeMaxDynamicSharedMemorySize, OPERANDS));
    const double us = time_graph([&] {
        launch(false, multiply<OUTPUTS>, multiprocessors, 256, OPERANDS, STEPS, reinterpret_cast<int*>(result));
    });
    const double operations = 2.0 * 128 * 256 * 256 * STEPS * multiprocessors;
    std::printf("{\"what\": \"wgmma s8\", \"instruction\": \"%s\", \"us\": %.1f, \"tops\": %.1f}\n",
                OUTPUTS == 256 ? "64x256x32" : "64x128x32", us, operations / us / 1e6);
}

int main() {
    CHECK(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
    CHECK(cudaStreamCreate(&stream));
    void* allocated;
    CHECK(cudaMalloc(&allocated, static_cast<size_t>(MEMORY)));
    CHECK(cudaMemset(allocated, 0x5A, static_cast<size_t>(MEMORY)));
    memory = static_cast<const unsigned char*>(allocated);
    CHECK(cudaMalloc(reinterpret_cast<void**>(&result), 65536));
    nodes<Dependence::NONE>("no");
    nodes<Dependence::WAIT_FIRST>("wait first");
    copies();
    bandwidth();
    chain<Dependence::NONE>("no");
    chain<Dependence::WAIT_FIRST>("wait first");
    chain<Dependence::READ_FIRST>("read first");
    products<128>();
    products<256>();
    return 0;
}
