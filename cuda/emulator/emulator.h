// CUDA for a C++ compiler: what kernel.cuh needs when it is not nvcc that compiles.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "collectives.h"
#include "instructions.h"

#define KERNEL(threads) extern "C" void
#define KERNEL_BLOCKS(threads, blocks) extern "C" void
#define DEVICE inline
#define GRID_CONSTANT
#define __restrict__ __restrict
#define SHARED(type, name, count)     \
    static const char name##_key = 0; \
    type* name = static_cast<type*>(emulator::shared_memory(&name##_key, sizeof(type) * (count)))
#define DYNAMIC_SHARED(name) unsigned char* name = emulator::block->dynamic_shared
#define EXPORT(name) static const bool name##_exported = emulator::export_kernel(#name, name);

#define threadIdx (emulator::fiber->thread)
#define blockIdx (emulator::block->index)
#define blockDim (emulator::block->threads)
#define gridDim (emulator::block->grid)

inline float __expf(float x) { return std::exp(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline int __popc(uint32_t bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline uint64_t __umul64hi(uint64_t a, uint64_t b) {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline float __uint_as_float(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
inline uint32_t __float_as_uint(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}

namespace emulator {

// A kernel by name, with its one argument as bytes.
struct ExportedKernel {
    size_t argument_bytes;
    std::function<std::string(Index3 grid, Index3 threads, size_t shared_bytes, const void* argument)> run;
};

inline std::map<std::string, ExportedKernel>& exported_kernels() {
    static std::map<std::string, ExportedKernel> kernels;
    return kernels;
}

template <class Args>
bool export_kernel(const char* name, void (*kernel)(Args), unsigned cluster_blocks = 1) {
    exported_kernels()[name] = {
        sizeof(Args), [kernel, cluster_blocks](Index3 grid, Index3 threads, size_t bytes, const void* argument) {
            Args args;
            std::memcpy(&args, argument, sizeof args);
            auto body = [&] {
                kernel(args);
                if (!fiber->awaited_previous) {
                    block->fault = "a thread ends that has not awaited the kernels before";
                }
            };
            return launch(grid, threads, bytes, body, cluster_blocks);
        }};
    return true;
}

}  // namespace emulator
