// The host bodies of instructions.cuh.
#pragma once

#include <algorithm>
#include <cmath>

#include "collectives.h"

namespace demitasse {

struct Words4 {
    uint32_t x, y, z, w;
};

// ---- numbers

// By its bits: matrix products convert each element of their fragments.
inline float fp16_to_float(uint16_t h) {
    const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16;
    const uint32_t exponent = h >> 10 & 31;
    const uint32_t mantissa = h & 0x3FF;
    uint32_t bits = (exponent == 31 ? 0x7F800000 : (exponent + 112) << 23) | mantissa << 13;
    if (exponent == 0) {
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
        std::memcpy(&bits, &magnitude, 4);
    }
    bits |= sign;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

// Nearest, ties to even.
inline uint16_t float_to_fp16(float f) {
    uint16_t sign = std::signbit(f) ? 0x8000 : 0;
    float magnitude = std::fabs(f);
    if (std::isnan(f)) {
        return 0x7FFF;
    }
    if (magnitude >= 65520.0f) {
        return static_cast<uint16_t>(sign | 0x7C00);
    }
    int exponent = magnitude == 0 ? -24 : std::max(std::ilogb(magnitude) - 10, -24);
    auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, -exponent)));  // may carry: that is right
    return static_cast<uint16_t>(sign | ((static_cast<uint32_t>(exponent + 24) << 10) + units));
}

inline uint32_t floats_to_fp16(float low, float high) {
    return float_to_fp16(low) | static_cast<uint32_t>(float_to_fp16(high)) << 16;
}

inline uint16_t float_to_bf16(float f) {
    uint32_t bits;
    std::memcpy(&bits, &f, 4);
    return std::isnan(f) ? 0x7FFF : static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

inline uint32_t floats_to_bf16(float low, float high) {
    return float_to_bf16(low) | static_cast<uint32_t>(float_to_bf16(high)) << 16;
}

inline uint32_t byte_perm(uint32_t a, uint32_t b, unsigned digits) {
    const uint64_t bytes = a | static_cast<uint64_t>(b) << 32;
    uint32_t result = 0;
    for (unsigned i = 0; i < 4; i++) {
        result |= static_cast<uint32_t>(bytes >> 8 * (digits >> 4 * i & 7) & 0xFF) << 8 * i;
    }
    return result;
}

inline uint32_t finite_fp16(uint32_t pair) {
    for (uint32_t element : {0xFFFFu, 0xFFFF0000u}) {
        if ((pair & 0x7FFF7FFFu & element) == (0x7C007C00u & element)) {
            pair -= 0x00010001u & element;  // the next smaller magnitude
        }
    }
    return pair;
}

inline uint32_t subtract_fp16(uint32_t a, uint32_t b) {
    auto element = [](uint32_t word, int i) { return fp16_to_float(static_cast<uint16_t>(word >> 16 * i)); };
    return floats_to_fp16(element(a, 0) - element(b, 0), element(a, 1) - element(b, 1));
}

inline int sum_of_int16(uint32_t pair) { return static_cast<int16_t>(pair) + static_cast<int16_t>(pair >> 16); }

// ---- memory

inline void add_atomically(uint64_t* to, uint64_t value) { *to += value; }  // threads of a block never run at once
inline void add_atomically(uint32_t* to, uint32_t value) { *to += value; }
inline void fence_device() {}
inline float load_fresh(const float* p) { return *p; }
inline void load_fresh(float (&x)[4], const float* p) { std::memcpy(x, p, sizeof x); }
inline uint32_t count_atomically(uint32_t* to) { return (*to)++; }

inline void require_aligned(const void* p, const char* what) {
    if (reinterpret_cast<uintptr_t>(p) % 16 != 0) {
        emulator::fault(std::string(what) + " at an address that is no multiple of 16");
    }
}

inline Words4 load16(const void* p) {
    require_aligned(p, "a load of 16 bytes");
    Words4 v;
    std::memcpy(&v, p, 16);
    return v;
}
inline Words4 load_once(const void* p) { return load16(p); }
template <int COUNT>
void load_words(uint32_t (&words)[COUNT], const void* p) {
    if (reinterpret_cast<uintptr_t>(p) % (COUNT < 4 ? 4 * COUNT : 16) != 0) {
        emulator::fault("a load of words at an address that is no multiple of their size");
    }
    std::memcpy(words, p, 4 * COUNT);
}
inline void store_floats(float* p, float first, float second) {
    if (reinterpret_cast<uintptr_t>(p) % 8 != 0) {
        emulator::fault("a store of 8 bytes at an address that is no multiple of 8");
    }
    p[0] = first;
    p[1] = second;
}
inline void store16(void* p, Words4 v) {
    require_aligned(p, "a store of 16 bytes");
    std::memcpy(p, &v, 16);
}

// Lands when it is waited for (a missing wait or barrier then reads old bytes) or, with copies_early, at once (a
// missing barrier before shared memory is used again then loses bytes).
inline void copy_async16(void* to, const void* from, int bytes) {
    require_aligned(to, "an asynchronous copy");
    require_aligned(from, "an asynchronous copy");
    emulator::copied_bytes += static_cast<size_t>(bytes);
    emulator::reach(from, static_cast<size_t>(bytes));
    emulator::Copy copy{to, from, 16, bytes == 0};
    if (emulator::settings.copies_early) {
        copy.land();
    } else {
        emulator::fiber->open_copies.push_back(copy);
    }
}

inline uint64_t once_policy() { return 0; }
inline void copy_async_once16(void* to, const void* from, uint64_t) { copy_async16(to, from, 16); }
inline void prefetch(const void*) {}

inline void copy_async_commit() {
    emulator::fiber->copy_groups.push_back(std::move(emulator::fiber->open_copies));
    emulator::fiber->open_copies.clear();
}

template <int PENDING>
void copy_async_wait() {
    auto& groups = emulator::fiber->copy_groups;
    while (groups.size() > PENDING) {
        for (const emulator::Copy& copy : groups.front()) {
            copy.land();
        }
        groups.erase(groups.begin());
    }
}

// ---- tensor cores

// One warp's matrix product d (16 x 8) += a (16 x K) b (K x 8) of elements E, by the fragment layouts of the PTX ISA:
// lane l has, of each 8 rows of a, row l / 4, and of b column l / 4; a register holds neighboring elements.
template <class E, class Sum, int K, int A_REGISTERS, class Convert>
void multiply_fragments(Sum (&d)[4], const uint32_t* a, const uint32_t* b, const char* operation, Convert convert) {
    constexpr int PER_WORD = 4 / static_cast<int>(sizeof(E));
    constexpr int SLICES = A_REGISTERS / 2;  // of 4 PER_WORD elements of K
    struct In {
        const uint32_t* a;
        const uint32_t* b;
        const Sum* d;
    };
    struct Out {
        Sum d[4];
    };
    Out out = emulator::meet<In, Out>(0xFFFFFFFFu, operation, In{a, b, d}, [convert](auto in, auto result) {
        Sum rows[16][K];
        Sum columns[8][K];
        E elements[PER_WORD];
        for (int l = 0; l < 32; l++) {
            for (int s = 0; s < SLICES; s++) {
                const int k = s * 4 * PER_WORD + l % 4 * PER_WORD;
                for (int r = 0; r < 2; r++) {
                    std::memcpy(elements, &in[l]->a[2 * s + r], 4);
                    for (int i = 0; i < PER_WORD; i++) {
                        rows[l / 4 + 8 * r][k + i] = convert(elements[i]);
                    }
                }
                std::memcpy(elements, &in[l]->b[s], 4);
                for (int i = 0; i < PER_WORD; i++) {
                    columns[l / 4][k + i] = convert(elements[i]);
                }
            }
        }
        for (int l = 0; l < 32; l++) {
            for (int i = 0; i < 4; i++) {
                Sum sum = in[l]->d[i];
                for (int k = 0; k < K; k++) {
                    sum += rows[l / 4 + i / 2 * 8][k] * columns[l % 4 * 2 + i % 2][k];
                }
                result[l]->d[i] = sum;
            }
        }
    });
    std::memcpy(d, out.d, sizeof d);
}

inline void mma_int8_k32(int (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    const uint32_t b[] = {b0, b1};
    multiply_fragments<int8_t, int, 32, 4>(d, a, b, "mma.m16n8k32.s8", [](int8_t x) { return static_cast<int>(x); });
}

inline void mma_int8_k32_onto(int (&d)[4], int base, const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    std::fill_n(d, 4, base);
    mma_int8_k32(d, a, b0, b1);
}

inline void mma_int8_k16_onto(int (&d)[4], int base, uint32_t a0, uint32_t a1, uint32_t b0) {
    std::fill_n(d, 4, base);
    const uint32_t a[] = {a0, a1};
    multiply_fragments<int8_t, int, 16, 2>(d, a, &b0, "mma.m16n8k16.s8", [](int8_t x) { return static_cast<int>(x); });
}

inline void mma_f16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    const uint32_t b[] = {b0, b1};
    multiply_fragments<uint16_t, float, 16, 4>(d, a, b, "mma.m16n8k16.f16",
                                               [](uint16_t x) { return fp16_to_float(x); });
}

// Eight rows of a matrix are read at once where their 16 bytes lie in different banks; right results do not show it.
inline void require_all_banks(const void* const* const* rows) {
    for (int m = 0; m < 4; m++) {
        uintptr_t row_of[8] = {};
        for (int i = 0; i < 8; i++) {
            const auto row = reinterpret_cast<uintptr_t>(*rows[m * 8 + i]);
            uintptr_t& other = row_of[row / 16 % 8];
            if (other != 0 && other != row) {
                emulator::fault("rows of ldmatrix share banks");
            }
            other = row;
        }
    }
}

template <bool TRANSPOSED>
void load_fragments(uint32_t (&r)[4], const void* row) {
    require_aligned(row, "a row of ldmatrix");
    struct Out {
        uint32_t r[4];
    };
    Out out = emulator::meet<const void*, Out>(0xFFFFFFFFu, "ldmatrix", row, [](auto in, auto result) {
        require_all_banks(in);
        for (int l = 0; l < 32; l++) {
            for (int m = 0; m < 4; m++) {
                uint16_t pair[2];
                for (int i = 0; i < 2; i++) {
                    const int line = TRANSPOSED ? l % 4 * 2 + i : l / 4;
                    const int column = TRANSPOSED ? l / 4 : l % 4 * 2 + i;
                    std::memcpy(&pair[i], static_cast<const char*>(*in[m * 8 + line]) + column * 2, 2);
                }
                std::memcpy(&result[l]->r[m], pair, 4);
            }
        }
    });
    std::memcpy(r, out.r, sizeof r);
}

inline void load_matrices(uint32_t (&r)[4], const void* row) { load_fragments<false>(r, row); }
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) { load_fragments<true>(r, row); }

}  // namespace demitasse
