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
// Kernels take one structure of 64-bit words: addresses, integers, and FP32 numbers in a word's low 32 bits. The caller
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

#include "demitasse/launch.cuh"

namespace demitasse {

// Of the GPU that the code is for, such as 90 for 9.0.
#if defined(__CUDA_ARCH__)
constexpr int CAPABILITY = __CUDA_ARCH__ / 10;
#elif defined(EMULATED_CAPABILITY)
constexpr int CAPABILITY = EMULATED_CAPABILITY;
#else
constexpr int CAPABILITY = 80;
#endif

constexpr unsigned ALL_LANES = 0xFFFFFFFFu;

struct alignas(8) Real {
    float value;
    DEVICE operator float() const { return value; }
};

static_assert(sizeof(Real) == 8, "an argument is a word");

DEVICE int lane() { return static_cast<int>(threadIdx.x) % 32; }
DEVICE int warp() { return static_cast<int>(threadIdx.x) / 32; }
// Of all threads of a grid with one dimension.
DEVICE int64_t thread_index() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

constexpr DEVICE int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }
constexpr DEVICE int minimum(int a, int b) { return a < b ? a : b; }
DEVICE int maximum(int a, int b) { return a > b ? a : b; }

// What the next kernel of the stream may begin with, when it was launched so: what does not depend on this one.
// `launch_dependents` lets it start once all blocks have said so; `await_previous` returns when all kernels before this
// one have ended and what they wrote is there. Every kernel says both, so that each waits for all before it. Weights do
// not depend on them, nor does the step's data (ids, positions, pages), which was there before the first of them began.
#if !defined(__CUDACC__)
DEVICE void launch_dependents() {}
DEVICE void await_previous() { emulator::await_previous(); }
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
DEVICE void launch_dependents() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
DEVICE void await_previous() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
#else
DEVICE void launch_dependents() {}
DEVICE void await_previous() {}
#endif
// Both, where a kernel has nothing to do before.
DEVICE void follow_previous() {
    launch_dependents();
    await_previous();
}

// The same result in all lanes, always summed in the same order.
DEVICE float warp_sum(float value) {
    for (int distance = 16; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, distance);
    }
    return value;
}

// Whether a number is neither NaN nor infinite.
DEVICE bool is_finite(float x) { return (__float_as_uint(x) & 0x7F800000u) != 0x7F800000u; }

DEVICE float not_a_number() { return __uint_as_float(0x7FFFFFFFu); }

// The larger of a magnitude and that of x; NaN where one is: bits of magnitudes are ordered as integers, and NaN is the
// largest.
DEVICE float larger_magnitude(float magnitude, float x) {
    const uint32_t a = __float_as_uint(magnitude);
    const uint32_t b = __float_as_uint(x) & 0x7FFFFFFFu;
    return __uint_as_float(a > b ? a : b);
}

// Whether a row of `columns` activations has an element that is not finite. Called only where a sum of the row is not
// finite, as every sum is then: an infinity times a weight is infinite or NaN.
DEVICE bool has_non_finite(const float* x, int64_t columns) {
    for (int64_t k = 0; k < columns; k++) {
        if (!is_finite(x[k])) {
            return true;
        }
    }
    return false;
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

// The largest of the lanes' magnitudes; NaN where one is.
DEVICE float warp_magnitude(float magnitude) {
    for (int distance = 16; distance > 0; distance /= 2) {
        magnitude = larger_magnitude(magnitude, __shfl_xor_sync(ALL_LANES, magnitude, distance));
    }
    return magnitude;
}

}  // namespace demitasse
