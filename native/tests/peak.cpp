// What this machine can do at most, so that a figure can be given in per cent of it: INT8 and FP32 operations a second
// of one core and of all, and bytes read a second from memory. x86-64.
#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

namespace {

constexpr int REPEATS = 20'000'000;

// Twelve independent chains hide every latency; a multiply-add counts as two operations.
#define CHAINS(OP)                                                                                              \
    for (int i = 0; i < REPEATS; i++) {                                                                         \
        asm volatile(OP(0) OP(1) OP(2) OP(3) OP(4) OP(5) OP(6) OP(7) OP(8) OP(9) OP(10) OP(11)                  \
                     :                                                                                          \
                     :                                                                                          \
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
                       "xmm11");                                                                                \
    }
#define MADDUBS(n) "vpmaddubsw %%ymm12, %%ymm13, %%ymm" #n "\n"
#define DPBUSD(n) "vpdpbusd %%zmm12, %%zmm13, %%zmm" #n "\n"
#define FMA(n) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #n "\n"
#define FMA512(n) "vfmadd231ps %%zmm12, %%zmm13, %%zmm" #n "\n"

__attribute__((target("avx2"))) void maddubs() { CHAINS(MADDUBS) }
__attribute__((target("avx512f,avx512vnni"))) void dpbusd() { CHAINS(DPBUSD) }
__attribute__((target("avx2,fma"))) void fma() { CHAINS(FMA) }
__attribute__((target("avx512f"))) void fma512() { CHAINS(FMA512) }

double seconds(int threads, void (*work)()) {
    double best = 1e9;
    for (int repeat = 0; repeat < 3; repeat++) {
        auto start = std::chrono::steady_clock::now();
        std::vector<std::thread> others;
        for (int i = 1; i < threads; i++) {
            others.emplace_back(work);
        }
        work();
        for (std::thread& other : others) {
            other.join();
        }
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

uint64_t* memory;
constexpr size_t WORDS = (512u << 20) / 8;
std::atomic<size_t> next_part;

__attribute__((target("avx2"))) void read_memory() {
    constexpr size_t PART = 1 << 17;
    __m256i sum = _mm256_setzero_si256();
    for (size_t at; (at = next_part.fetch_add(PART)) < WORDS;) {
        for (size_t i = at; i < at + PART; i += 8) {
            __builtin_prefetch(memory + i + 512);
            sum = _mm256_xor_si256(sum, _mm256_load_si256(reinterpret_cast<__m256i*>(memory + i)));
            sum = _mm256_xor_si256(sum, _mm256_load_si256(reinterpret_cast<__m256i*>(memory + i + 4)));
        }
    }
    asm volatile("" : : "x"(sum));
}

}  // namespace

int main() {
    int cores = static_cast<int>(std::thread::hardware_concurrency());
    bool vnni = __builtin_cpu_supports("avx512vnni") != 0;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        std::printf("{\"error\":\"this machine has no AVX2\"}\n");
        return 1;
    }
    memory =
        static_cast<uint64_t*>(mmap(nullptr, WORDS * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory == MAP_FAILED) {
        std::printf("{\"error\":\"no memory\"}\n");
        return 1;
    }
    madvise(memory, WORDS * 8, MADV_HUGEPAGE);
    std::memset(memory, 1, WORDS * 8);
    for (int threads : {1, cores}) {
        double int8 = 2.0 * (vnni ? 64 : 32) * 12 * REPEATS * threads / seconds(threads, vnni ? dpbusd : maddubs);
        double fp32 = 2.0 * (vnni ? 16 : 8) * 12 * REPEATS * threads / seconds(threads, vnni ? fma512 : fma);
        double best = 0;
        for (int repeat = 0; repeat < 5; repeat++) {
            next_part = 0;
            auto start = std::chrono::steady_clock::now();
            std::vector<std::thread> others;
            for (int i = 1; i < threads; i++) {
                others.emplace_back(read_memory);
            }
            read_memory();
            for (std::thread& other : others) {
                other.join();
            }
            double time = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
            best = std::max(best, WORDS * 8 / time);
        }
        std::printf("{\"threads\":%d,\"int8Gops\":%.0f,\"by\":\"%s\",\"fp32Gflops\":%.0f,\"readGBs\":%.1f}\n", threads,
                    int8 / 1e9, vnni ? "vpdpbusd" : "vpmaddubsw", fp32 / 1e9, best / 1e9);
        if (cores == 1) {
            break;
        }
    }
}
