// The device bodies of the operations that CUDA C++ has no function for, as PTX (ISA 8.x). Each has its twin with the
// same name for the host in emulator/.
#pragma once

namespace demitasse {

struct Words4 {
    uint32_t x, y, z, w;
};

DEVICE uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

// ---- numbers

DEVICE float fp16_to_float(uint16_t h) {
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}
DEVICE uint16_t float_to_fp16(float f) {
    uint16_t h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}
// Two numbers in a word, the first in its low 16 bits.
DEVICE uint32_t floats_to_fp16(float low, float high) {
    uint32_t h;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(h) : "f"(high), "f"(low));
    return h;
}
DEVICE uint32_t floats_to_bf16(float low, float high) {
    uint32_t b;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(b) : "f"(high), "f"(low));
    return b;
}

// Bytes of two words, numbered 0 to 3 and 4 to 7: the i-th of the result is the one that hexadecimal digit i names.
DEVICE uint32_t byte_perm(uint32_t a, uint32_t b, unsigned digits) { return __byte_perm(a, b, digits); }
// Two FP16 numbers, the largest where they are infinite; NaN stays.
DEVICE uint32_t finite_fp16(uint32_t pair) {
    asm("min.NaN.f16x2 %0, %0, %1;\nmax.NaN.f16x2 %0, %0, %2;" : "+r"(pair) : "r"(0x7BFF7BFFu), "r"(0xFBFFFBFFu));
    return pair;
}
// Two FP16 differences.
DEVICE uint32_t subtract_fp16(uint32_t a, uint32_t b) {
    uint32_t d;
    asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
    return d;
}
// The sum of a word's two 16-bit integers.
DEVICE int sum_of_int16(uint32_t pair) { return __dp2a_lo(static_cast<int>(pair), 0x0101, 0); }

// ---- memory

DEVICE void add_atomically(uint64_t* to, uint64_t value) {
    atomicAdd(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(value));
}
DEVICE void add_atomically(uint32_t* to, uint32_t value) { atomicAdd(to, value); }

// Who sees what the thread writes after this sees what it wrote before, in all blocks.
DEVICE void fence_device() { __threadfence(); }
// What other blocks of the same launch may have written: past the first-level cache.
DEVICE float load_fresh(const float* p) { return __ldcg(p); }
DEVICE void load_fresh(float (&x)[4], const float* p) {
    const float4 v = __ldcg(reinterpret_cast<const float4*>(p));
    x[0] = v.x;
    x[1] = v.y;
    x[2] = v.z;
    x[3] = v.w;
}
// Adds one; what was there before.
DEVICE uint32_t count_atomically(uint32_t* to) { return atomicAdd(to, 1u); }

// 16 bytes that are read once: not kept in the first-level cache, and the first to leave the second.
DEVICE Words4 load_once(const void* p) {
    Words4 v;
    uint64_t policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    asm volatile("ld.global.nc.L1::no_allocate.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p), "l"(policy));
    return v;
}
DEVICE Words4 load16(const void* p) {
    const uint4 v = *static_cast<const uint4*>(p);
    return {v.x, v.y, v.z, v.w};
}
// COUNT words, aligned to their size: 1, 2, 4, or 8, which are two loads.
template <int COUNT>
DEVICE void load_words(uint32_t (&words)[COUNT], const void* p) {
    if constexpr (COUNT == 1) {
        words[0] = *static_cast<const uint32_t*>(p);
    } else if constexpr (COUNT == 2) {
        const uint2 v = *static_cast<const uint2*>(p);
        words[0] = v.x;
        words[1] = v.y;
    } else {
        for (int i = 0; i < COUNT; i += 4) {
            const Words4 v = load16(static_cast<const uint32_t*>(p) + i);
            words[i] = v.x;
            words[i + 1] = v.y;
            words[i + 2] = v.z;
            words[i + 3] = v.w;
        }
    }
}
DEVICE void store_floats(float* p, float first, float second) {
    *reinterpret_cast<float2*>(p) = make_float2(first, second);
}
DEVICE void store16(void* p, Words4 v) { *static_cast<uint4*>(p) = make_uint4(v.x, v.y, v.z, v.w); }

// 16 bytes from global to shared memory, asynchronously; zeros where `bytes` is 0.
DEVICE void copy_async16(void* to, const void* from, int bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(shared_address(to)), "l"(from), "r"(bytes)
                 : "memory");
}
// The same of what is read once: the first to leave the second-level cache, by the policy that says so.
DEVICE uint64_t once_policy() {
    uint64_t policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}
DEVICE void copy_async_once16(void* to, const void* from, uint64_t policy) {
    asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;"
                 :
                 : "r"(shared_address(to)), "l"(from), "l"(policy)
                 : "memory");
}
// A line of memory to the first-level cache.
DEVICE void prefetch(const void* p) { asm volatile("prefetch.global.L1 [%0];" : : "l"(p)); }
DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int PENDING>
DEVICE void copy_async_wait() {
    asm volatile("cp.async.wait_group %0;" : : "n"(PENDING) : "memory");
}

// ---- tensor cores (fragments: PTX ISA, "Warp Level Matrix Multiply-Accumulate Instructions")

// d (16 x 8) += a (16 x 32, rows) b (32 x 8, columns), signed bytes, 32-bit sums.
DEVICE void mma_int8_k32(int (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
        "%3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// The same with sums that begin at `base`: registers that stay as they are, where zeros would be moved for each
// product.
DEVICE void mma_int8_k32_onto(int (&d)[4], int base, const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %10, %10, "
        "%10};"
        : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(base));
}
// The same with a (16 x 16) and b (16 x 8).
DEVICE void mma_int8_k16_onto(int (&d)[4], int base, uint32_t a0, uint32_t a1, uint32_t b0) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%7, %7, %7, %7};"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(a0), "r"(a1), "r"(b0), "r"(base));
}
// d (16 x 8) += a (16 x 16, rows) b (16 x 8, columns), FP16, FP32 sums.
DEVICE void mma_f16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
        "%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four 8 x 8 matrices of 16-bit elements (or 8 x 16 of bytes); lanes 8 i to 8 i + 7 give the rows of matrix i.
DEVICE void load_matrices(uint32_t (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}
DEVICE void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}

}  // namespace demitasse
