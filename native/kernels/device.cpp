// Which instruction sets the machine has, and the functions that Java calls.
#include <new>
#include <system_error>

#include "demitasse/demitasse.h"
#include "demitasse/pool.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace demitasse {
namespace {

constexpr int bit(InstructionSet set) { return 1 << static_cast<int>(set); }

#if defined(__x86_64__)

bool has_avx_vnni() {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
}

// __builtin_cpu_supports also asks the operating system whether it saves the wide registers.
int on_machine() {
    __builtin_cpu_init();
    int sets = 0;
    sets |= __builtin_cpu_supports("sse4.2") ? bit(InstructionSet::SSE42) : 0;
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    sets |= avx2 ? bit(InstructionSet::AVX2) : 0;
    sets |= avx2 && has_avx_vnni() ? bit(InstructionSet::AVX2_VNNI) : 0;
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vnni");
    sets |= avx2 && avx512 ? bit(InstructionSet::AVX512_VNNI) : 0;
#if defined(DEMITASSE_SIMDE_TESTS)  // those kernels are built over AVX2
    sets |= avx2 ? bit(InstructionSet::AVX2_VNNI) | bit(InstructionSet::AVX512_VNNI) : 0;
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
        default:
            return nullptr;
    }
}

#elif defined(__aarch64__)

int on_machine() {
    int sets = bit(InstructionSet::NEON);
#if defined(__linux__)
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
