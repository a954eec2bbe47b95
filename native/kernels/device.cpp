// Which instruction sets the machine has, and the functions that Java calls.
#include <new>
#include <system_error>

#include "demitasse/demitasse.h"
#include "demitasse/pool.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace demitasse {
namespace {

constexpr int bit(InstructionSet set) { return 1 << static_cast<int>(set); }

#if defined(__x86_64__)

// The four registers of a leaf of CPUID; all 0 where there is none.
struct Leaf {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;

    Leaf(unsigned leaf, unsigned subleaf) { __get_cpuid_count(leaf, subleaf, &a, &b, &c, &d); }
};

constexpr bool has(unsigned features, unsigned all) { return (features & all) == all; }

// Which registers the operating system saves (XCR0). It is asked in assembler, since the intrinsic needs a flag of the
// compiler; and all of this by CPUID, since not all compilers have __builtin_cpu_supports.
unsigned saved_registers() {
    constexpr unsigned OSXSAVE = 1U << 27;
    if (!has(Leaf(1, 0).c, OSXSAVE)) {
        return 0;
    }
    unsigned low = 0;
    unsigned high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

// Linux saves tiles of a process that has asked for it (Documentation/arch/x86/xstate.rst). Others are not asked.
bool may_use_tiles() {
#if defined(__linux__)
    constexpr long ARCH_REQ_XCOMP_PERM = 0x1023;
    constexpr long XFEATURE_XTILEDATA = 18;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

// Bits as the manuals of Intel and AMD number them (CPUID leaves 1 and 7).
int on_machine() {
    constexpr unsigned VECTORS = 0x6;        // of 256 bits
    constexpr unsigned WIDE_VECTORS = 0xE6;  // of 512 bits, and masks
    constexpr unsigned TILES = 0x60000;      // and how they are set up
    Leaf basic(1, 0);
    Leaf extended(7, 0);
    Leaf further(7, 1);
    unsigned saved = saved_registers();
    int sets = has(basic.c, 1U << 20) ? bit(InstructionSet::SSE42) : 0;
    bool fma_f16c_avx = has(basic.c, 1U << 12 | 1U << 29 | 1U << 28);
    bool avx2 = fma_f16c_avx && has(extended.b, 1U << 5) && has(saved, VECTORS);
    sets |= avx2 ? bit(InstructionSet::AVX2) : 0;
    sets |= avx2 && has(further.a, 1U << 4) ? bit(InstructionSet::AVX2_VNNI) : 0;
    bool f_dq_bw_vl = has(extended.b, 1U << 16 | 1U << 17 | 1U << 30 | 1U << 31);
    bool avx512 = avx2 && f_dq_bw_vl && has(extended.c, 1U << 11) && has(saved, WIDE_VECTORS);
    sets |= avx512 ? bit(InstructionSet::AVX512_VNNI) : 0;
    bool tile_int8 = has(extended.d, 1U << 24 | 1U << 25) && has(saved, TILES);
    sets |= avx512 && tile_int8 && may_use_tiles() ? bit(InstructionSet::AMX) : 0;
#if defined(DEMITASSE_SIMDE_TESTS)  // those kernels are built over AVX2
    sets |= avx2 ? bit(InstructionSet::AVX2_VNNI) | bit(InstructionSet::AVX512_VNNI) | bit(InstructionSet::AMX) : 0;
#endif
    return sets;
}

const KernelTable* table_of(InstructionSet set) {
    switch (set) {
        case InstructionSet::SSE42:
            return table_sse42();
        case InstructionSet::AVX2:
            return table_avx2();
        case InstructionSet::AVX2_VNNI:
            return table_avx2_vnni();
        case InstructionSet::AVX512_VNNI:
            return table_avx512_vnni();
        case InstructionSet::AMX:
            return table_amx();
        default:
            return nullptr;
    }
}

#elif defined(__aarch64__)

#if defined(__APPLE__)
bool has(const char* feature) {
    int value = 0;
    size_t bytes = sizeof value;
    return sysctlbyname(feature, &value, &bytes, nullptr, 0) == 0 && value != 0;
}
#endif

int on_machine() {
    int sets = bit(InstructionSet::NEON);
#if defined(__APPLE__)
    bool dotprod = has("hw.optional.arm.FEAT_DotProd");
    sets |= dotprod ? bit(InstructionSet::DOTPROD) : 0;
    sets |= dotprod && has("hw.optional.arm.FEAT_I8MM") ? bit(InstructionSet::I8MM) : 0;
#elif defined(__linux__)
    sets |= (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0 ? bit(InstructionSet::DOTPROD) : 0;
    sets |= (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0 && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0
                ? bit(InstructionSet::I8MM)
                : 0;
#endif
    return sets;
}

const KernelTable* table_of(InstructionSet set) {
    switch (set) {
        case InstructionSet::NEON:
            return table_neon();
        case InstructionSet::DOTPROD:
            return table_dotprod();
        case InstructionSet::I8MM:
            return table_i8mm();
        default:
            return nullptr;
    }
}

#else
#error "demitasse has kernels for x86-64 and AArch64"
#endif

}  // namespace

int instruction_sets() { return on_machine(); }

int64_t boundary_fingerprint() { return DEMITASSE_BOUNDARY; }

int64_t open_device(int instruction_set, int threads) {
    if (instruction_set < 0 || instruction_set >= static_cast<int>(InstructionSet::COUNT) || threads < 1 ||
        (on_machine() >> instruction_set & 1) == 0) {
        return 0;
    }
    try {
        return reinterpret_cast<int64_t>(new Pool(*table_of(static_cast<InstructionSet>(instruction_set)), threads));
    } catch (const std::bad_alloc&) {
        return 0;
    } catch (const std::system_error&) {
        return 0;
    }
}

void close_device(int64_t device) { delete reinterpret_cast<Pool*>(device); }

int run_commands(int64_t device, int64_t commands, int count) {
    try {
        reinterpret_cast<Pool*>(device)->run(reinterpret_cast<const Command*>(commands), count);
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

}  // namespace demitasse
