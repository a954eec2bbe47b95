// One kernel source for two compilers: nvcc, which turns the operations below into PTX (instructions.cuh), and a C++
// compiler, for which the emulator carries them out (emulator/).
//
//   KERNEL(threads) name(Args args)   a kernel that is launched with at most `threads` threads a block
//   KERNEL_BLOCKS(threads, blocks)    the same, with registers for so many blocks on a multiprocessor
//   EXPORT(name)                      makes it known by name to the emulator
//   SHARED(type, name, count)         an array in a block's shared memory
//   DYNAMIC_SHARED(name)              bytes that the launch asks for, aligned to 1024
//   DEVICE                            a function of the device
//   GRID_CONSTANT                     an argument whose address may be taken
//
// Kernels take one structure of 64-bit words: addresses, integers, and FP32 numbers in a word's low half. The caller
// writes words and needs to know no other layout.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)

#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
#define KERNEL_BLOCKS(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)
#define EXPORT(name)
#define SHARED(type, name, count) __shared__ __align__(16) type name[count]
#define DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]
#define DEVICE __device__ __forceinline__
#define GRID_CONSTANT __grid_constant__

#include "demitasse/instructions.cuh"

#else

#include "emulator.h"

#endif

namespace demitasse {

constexpr unsigned ALL_LANES = 0xFFFFFFFFu;

struct alignas(8) Real {
    float value;
    DEVICE operator float() const { return value; }
};

static_assert(sizeof(Real) == 8, "an argument is a word");

DEVICE int lane() { return static_cast<int>(threadIdx.x) % 32; }
DEVICE int warp() { return static_cast<int>(threadIdx.x) / 32; }

DEVICE int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }
constexpr DEVICE int minimum(int a, int b) { return a < b ? a : b; }
DEVICE int maximum(int a, int b) { return a > b ? a : b; }

// The same result in all lanes, always summed in the same order.
DEVICE float warp_sum(float value) {
    for (int distance = 16; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, distance);
    }
    return value;
}

// The same of the four lanes that hold a row of what `mma` gives.
DEVICE float quad_sum(float value) {
    value += __shfl_xor_sync(ALL_LANES, value, 1);
    return value + __shfl_xor_sync(ALL_LANES, value, 2);
}
DEVICE float quad_max(float value) {
    value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, 1));
    return fmaxf(value, __shfl_xor_sync(ALL_LANES, value, 2));
}

DEVICE float warp_max(float value) {
    for (int distance = 16; distance > 0; distance /= 2) {
        value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, distance));
    }
    return value;
}

}  // namespace demitasse
