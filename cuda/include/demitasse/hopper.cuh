// What only sm_90a has: barriers in shared memory that count bytes, bulk copies that arrive at them (TMA), clusters of
// blocks, and matrix products of four warps whose operands lie in shared memory (wgmma). The device bodies, as PTX (ISA
// 8.0); emulator/hopper.h has their twins.
#pragma once

#include "demitasse/kernel.cuh"

#if defined(__CUDACC__)

// A kernel whose blocks run in clusters of `blocks` neighbors along x.
#define KERNEL_CLUSTER(threads, blocks) \
    extern "C" __global__ void __cluster_dims__(blocks, 1, 1) __launch_bounds__(threads, 1)
#define EXPORT_CLUSTER(name, blocks)

namespace demitasse {

DEVICE unsigned cluster_rank() {
    unsigned rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}
// All threads of all blocks of the cluster meet.
DEVICE void cluster_sync() {
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// ---- barriers: a phase ends when `count` arrivals and all bytes that were announced are there

DEVICE void mbarrier_init(uint64_t* barrier, unsigned count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" : : "r"(shared_address(barrier)), "r"(count) : "memory");
}
// Makes barriers known to the cluster and to copies; cluster_sync follows.
DEVICE void mbarrier_init_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
// Arrives, and announces bytes.
DEVICE void mbarrier_expect(uint64_t* barrier, unsigned bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
                 :
                 : "r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
}
DEVICE void mbarrier_arrive(uint64_t* barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" : : "r"(shared_address(barrier)) : "memory");
}
// Arrives at the same barrier of a block of the cluster. Only for what asynchronous copies and wgmma read and wrote: to
// order other reads and writes between blocks it would have to say .release.cluster, which costs a fence of the whole
// GPU.
DEVICE void mbarrier_arrive_at(uint64_t* barrier, unsigned rank) {
    asm volatile(
        "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
        "mbarrier.arrive.shared::cluster.b64 _, [remote];\n}"
        :
        : "r"(shared_address(barrier)), "r"(rank)
        : "memory");
}
// Waits until the phase of that parity has ended.
DEVICE void mbarrier_wait(uint64_t* barrier, unsigned parity) {
    asm volatile(
        "{\n.reg .pred done;\nagain:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra again;\n}"
        :
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
}

// ---- copies from global to shared memory, multiples of 16 bytes, which a barrier counts

DEVICE void copy_bulk(void* to, const void* from, unsigned bytes, uint64_t* barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
                 :
                 : "r"(shared_address(to)), "l"(from), "r"(bytes), "r"(shared_address(barrier))
                 : "memory");
}
// The same of what is read once: the first to leave the second-level cache.
DEVICE void copy_bulk_once(void* to, const void* from, unsigned bytes, uint64_t* barrier) {
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;"
        :
        : "r"(shared_address(to)), "l"(from), "r"(bytes), "r"(shared_address(barrier)), "l"(once_policy())
        : "memory");
}
// The same to the blocks of a mask, each at the same place and with its own barrier.
DEVICE void copy_bulk_multicast(void* to, const void* from, unsigned bytes, uint64_t* barrier, uint16_t blocks) {
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, [%3], %4;"
        :
        : "r"(shared_address(to)), "l"(from), "r"(bytes), "r"(shared_address(barrier)), "h"(blocks)
        : "memory");
}

// ---- wgmma

// An operand of rows of 64 bytes with the 64-byte swizzle, eight of them in 512 bytes; groups of eight are `stride`
// apart.
DEVICE uint64_t wgmma_operand(const void* p, int stride) {
    return static_cast<uint64_t>((shared_address(p) & 0x3FFFF) >> 4) | uint64_t{1} << 16 |
           static_cast<uint64_t>(stride >> 4) << 32 | uint64_t{2} << 62;
}
// Before the first product, and after registers of sums were touched.
DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int PENDING>
DEVICE void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" : : "n"(PENDING) : "memory");
}

#define EIGHT_SUMS(type, i)                                                                                     \
    type(d[i]), type(d[i + 1]), type(d[i + 2]), type(d[i + 3]), type(d[i + 4]), type(d[i + 5]), type(d[i + 6]), \
        type(d[i + 7])
#define ALL_SUMS(type)                                                                                          \
    EIGHT_SUMS(type, 0), EIGHT_SUMS(type, 8), EIGHT_SUMS(type, 16), EIGHT_SUMS(type, 24), EIGHT_SUMS(type, 32), \
        EIGHT_SUMS(type, 40), EIGHT_SUMS(type, 48), EIGHT_SUMS(type, 56)
#define NAMES_OF_SUMS                                                                                                 \
    "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, " \
    "%24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, "  \
    "%46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}"
// d (64 x 128, 16 rows a warp) += a (64 x 32) b (128 x 32, transposed), signed bytes, 32-bit sums; a lane has of each 8
// columns what `mma` gives it.
DEVICE void wgmma_int8(int (&d)[64], uint64_t a, uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 " NAMES_OF_SUMS ", %64, %65, 1;"
                 : ALL_SUMS("+r")
                 : "l"(a), "l"(b));
}
// The same of a (64 x 16) and b (128 x 16, transposed), FP16, FP32 sums.
DEVICE void wgmma_f16(float (&d)[64], uint64_t a, uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 " NAMES_OF_SUMS ", %64, %65, 1, 1, 1, 0, 0;"
                 : ALL_SUMS("+f")
                 : "l"(a), "l"(b));
}
// No use of the sums is moved across this: the compiler does not know that wgmma writes them until it is waited for.
DEVICE void wgmma_pin(int (&d)[64]) { asm volatile("" : ALL_SUMS("+r") : : "memory"); }
DEVICE void wgmma_pin(float (&d)[64]) { asm volatile("" : ALL_SUMS("+f") : : "memory"); }
#undef NAMES_OF_SUMS
#undef ALL_SUMS
#undef EIGHT_SUMS

}  // namespace demitasse

#else

#include "hopper.h"

#endif
