// The emulator against itself: its instructions compute what the PTX ISA says, and planted faults are caught. A fault
// that shows as a wrong result must show in at least one of five seeds and both landing modes of asynchronous copies.
#include <cstdio>
#include <vector>

#include "demitasse/kernel.cuh"
#include "guard.h"

namespace {

using namespace demitasse;

int checks = 0;
int failures = 0;

void check(bool holds, const char* what) {
    checks++;
    if (!holds) {
        failures++;
        std::printf("FAILED: %s\n", what);
    }
}

struct Args {
    const unsigned char* in;
    unsigned char* out;
    int64_t variant;  // 0: right
};

// Two stages of asynchronous copies; each thread reads what another one has copied. Planted: 1: no wait, 2: no barrier
// after the wait, 3: no barrier before a stage is filled again, 4: the last copies are not waited for.
constexpr int ROUNDS = 6;
constexpr int THREADS = 64;

void copy_rounds(const Args& a) {
    SHARED(unsigned char, stages, 2 * THREADS * 16);
    const int t = static_cast<int>(threadIdx.x);
    auto load = [&](int round) {
        copy_async16(stages + (round % 2 * THREADS + t) * 16, a.in + (round * THREADS + t) * 16, 16);
        copy_async_commit();
    };
    load(0);
    for (int round = 0; round < ROUNDS; round++) {
        if (round + 1 < ROUNDS) {
            load(round + 1);
        }
        if (a.variant == 4 && round + 1 == ROUNDS) {
            return;
        }
        if (a.variant != 1) {
            round + 1 < ROUNDS ? copy_async_wait<1>() : copy_async_wait<0>();
        }
        if (a.variant != 2) {
            __syncthreads();
        }
        const int other = (t * 7 + 37) % THREADS;  // of the other warp, for most
        a.out[round * THREADS + t] = stages[(round % 2 * THREADS + other) * 16];
        if (a.variant != 3) {
            __syncthreads();
        }
    }
    copy_async_wait<0>();
}

std::string run(const std::function<void()>& body, unsigned threads = THREADS) {
    return emulator::launch({1, 1, 1}, {threads, 1, 1}, 1024, body);
}

bool copies_are_right(int variant, std::string& fault) {
    std::vector<unsigned char> in(ROUNDS * THREADS * 16);
    std::vector<unsigned char> out(ROUNDS * THREADS);
    for (size_t i = 0; i < in.size(); i++) {
        in[i] = static_cast<unsigned char>(i / 16 * 13 + 1);
    }
    const Args a{in.data(), out.data(), variant};
    fault = run([&] { copy_rounds(a); });
    for (int i = 0; i < ROUNDS * THREADS; i++) {
        const int t = (i % THREADS * 7 + 37) % THREADS;
        if (out[static_cast<size_t>(i)] != in[static_cast<size_t>((i / THREADS * THREADS + t) * 16)]) {
            return false;
        }
    }
    return true;
}

void asynchronous_copies() {
    bool caught[5] = {};
    for (bool early : {false, true}) {
        for (unsigned seed = 0; seed < 5; seed++) {
            emulator::settings = {seed, early};
            for (int variant = 0; variant < 5; variant++) {
                std::string fault;
                const bool right = copies_are_right(variant, fault);
                if (variant == 0) {
                    check(right && fault.empty(), "copies with all waits and barriers are right");
                }
                caught[variant] |= !right || !fault.empty();
            }
        }
    }
    emulator::settings = {};
    check(caught[1], "a missing wait is caught");
    check(caught[2], "a missing barrier after the wait is caught");
    check(caught[3], "a missing barrier before a stage is used again is caught");
    check(caught[4], "copies that a thread leaves under way are caught");
}

void faults() {
    check(run([] {
              if (threadIdx.x % 2 == 0) {
                  __shfl_xor_sync(ALL_LANES, 1, 1);
              } else {
                  __ballot_sync(ALL_LANES, true);
              }
          }).find("came to") != std::string::npos,
          "lanes that come to different collectives are caught");
    check(run([] {
              if (threadIdx.x % 32 < 16) {
                  __shfl_xor_sync(ALL_LANES, 1, 1);
              }
          }).find("deadlock") != std::string::npos,
          "a collective that half a warp never comes to is a deadlock");
    check(run([] { __shfl_xor_sync(1u, 1, 1); }).find("not in") != std::string::npos,
          "a lane outside its own mask is caught");
    check(run([] {
              if (threadIdx.x < 32) {
                  __syncthreads();
                  __syncthreads();
              } else {
                  __syncthreads();
                  __syncwarp(0x3u);
              }
          }).find("mask") != std::string::npos,
          "a warp barrier with too small a mask is caught");
    {
        std::vector<unsigned char> memory(64);
        check(run([&] {
                  DYNAMIC_SHARED(shared);
                  copy_async16(shared + 8, memory.data(), 16);
              }).find("multiple of 16") != std::string::npos,
              "a copy to an odd address is caught");
        check(run([&] {
                  DYNAMIC_SHARED(shared);
                  uint32_t r[4];
                  load_matrices(r, shared + 4);
              }).find("multiple of 16") != std::string::npos,
              "ldmatrix from an odd address is caught");
        check(run([&] {
                  DYNAMIC_SHARED(shared);
                  uint32_t r[4];
                  load_matrices(r, shared + lane() % 8 * 64);
              }).find("share banks") != std::string::npos,
              "rows of ldmatrix in the same banks are caught");
    }
    int value = 0;
    check(run([&] {
              SHARED(int, shared, 4);
              value = shared[0];
          }).empty() &&
              value != 0,
          "shared memory does not begin as zeros");
}

void fp16() {
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const auto number = static_cast<uint16_t>(bits);
        const float value = fp16_to_float(number);
        if (std::isnan(value) ? (number & 0x7C00) != 0x7C00 : float_to_fp16(value) != number) {
            check(false, "every FP16 number survives the way to FP32 and back");
            return;
        }
    }
    check(true, "FP16 numbers");
    check(float_to_fp16(1.0f + 1.0f / 2048) == 0x3C00 && float_to_fp16(1.0f + 3.0f / 2048) == 0x3C02,
          "ties go to even");
    check(float_to_fp16(65519.9f) == 0x7BFF && float_to_fp16(65520.0f) == 0x7C00, "what is too large is infinite");
    check(float_to_bf16(1.0f + 1.0f / 256) == 0x3F80 && float_to_bf16(1.0f + 3.0f / 256) == 0x3F82,
          "BF16's ties go to the even number");
    check(float_to_bf16(-3.4e38f) == 0xFF80 && std::isnan(fp16_to_float(float_to_fp16(NAN))) &&
              float_to_bf16(NAN) == 0x7FFF,
          "what is too large for BF16 is infinite, and NaN stays one");
}

void tensor_cores() {
    int8_t a[16][32];
    int8_t b[8][32];  // column after column
    unsigned state = 1;
    auto byte = [&] {
        state = state * 1664525u + 1013904223u;
        return static_cast<int8_t>(state >> 24);
    };
    for (auto& row : a) {
        for (int8_t& x : row) {
            x = byte();
        }
    }
    for (auto& column : b) {
        for (int8_t& x : column) {
            x = byte();
        }
    }
    int sums[16][8];
    int first_sums[16][8];
    const std::string fault = run(
        [&] {
            SHARED(int8_t, rows, 16 * 48);
            for (int k = 0; k < 32; k++) {
                if (lane() < 16) {
                    rows[lane() * 48 + k] = a[lane()][k];
                }
            }
            __syncwarp();
            uint32_t fragment[4];
            load_matrices(fragment, rows + lane() % 16 * 48 + lane() / 16 * 16);
            uint32_t words[2];
            std::memcpy(&words[0], &b[lane() / 4][lane() % 4 * 4], 4);
            std::memcpy(&words[1], &b[lane() / 4][16 + lane() % 4 * 4], 4);
            int d[4] = {};
            mma_int8_k32(d, fragment, words[0], words[1]);
            int low[4] = {};
            mma_int8_k16_onto(low, 0, fragment[0], fragment[1], words[0]);
            for (int i = 0; i < 4; i++) {
                sums[lane() / 4 + i / 2 * 8][lane() % 4 * 2 + i % 2] = d[i];
                first_sums[lane() / 4 + i / 2 * 8][lane() % 4 * 2 + i % 2] = low[i];
            }
        },
        32);
    bool right = fault.empty();
    for (int r = 0; r < 16; r++) {
        for (int n = 0; n < 8; n++) {
            int sum = 0;
            int first_sum = 0;
            for (int k = 0; k < 32; k++) {
                sum += a[r][k] * b[n][k];
                first_sum += k < 16 ? a[r][k] * b[n][k] : 0;
            }
            right &= sums[r][n] == sum && first_sums[r][n] == first_sum;
        }
    }
    check(right, "mma of bytes and ldmatrix");
}

// Kernel 1 writes, kernel 2 may begin before it has ended. Planted: 1: it reads before it waits what kernel 1 writes,
// 2: it asks a copy for that, 3: it writes before it waits.
struct OverlapArgs {
    const unsigned char* weights;
    unsigned char* x;
    unsigned char* out;
    int64_t planted;
};

void write_x(const OverlapArgs& a) {
    follow_previous();
    a.x[threadIdx.x] = static_cast<unsigned char>(threadIdx.x);
}

void read_x(const OverlapArgs& a) {
    SHARED(unsigned char, copied, THREADS * 16);
    launch_dependents();
    const int t = static_cast<int>(threadIdx.x);
    const unsigned char weight = a.weights[t];
    const unsigned char early = a.planted == 1 ? a.x[t] : 0;
    copy_async16(copied + t * 16, a.planted == 2 ? a.x : a.weights, 16);
    copy_async_commit();
    if (a.planted == 3) {
        a.out[t] = weight;
    }
    await_previous();
    copy_async_wait<0>();
    await_previous();  // as what two functions of one kernel do
    a.out[t] = static_cast<unsigned char>(weight + a.x[t] + early + copied[t * 16]);
}

void overlaps() {
    emulator::Guard guard(64 << 12);
    for (int64_t planted = 0; planted <= 3; planted++) {
        auto* weights = static_cast<unsigned char*>(guard.allocate(4097));
        auto* x = static_cast<unsigned char*>(guard.allocate(THREADS));
        auto* out = static_cast<unsigned char*>(guard.allocate(THREADS));
        const OverlapArgs args{weights, x, out, planted};
        for (bool overlapping : {true, false}) {
            guard.kernel_begins(false);
            std::string fault = emulator::launch({3, 1, 1}, {THREADS, 1, 1}, 0, [&] { write_x(args); });
            fault += guard.kernel_ends();
            check(fault.empty(), "a kernel that waits first is let go");
            guard.kernel_begins(overlapping);
            fault = emulator::launch({3, 1, 1}, {THREADS, 1, 1}, 0, [&] { read_x(args); });
            fault += guard.kernel_ends();
            const bool wrong = planted == 3 || (overlapping && planted != 0);
            check(fault.empty() != wrong, "what is reached too early is found, and nothing else");
        }
        guard.release(weights);
        guard.release(x);
        guard.release(out);
    }
}

}  // namespace

int main() {
    asynchronous_copies();
    faults();
    fp16();
    tensor_cores();
    overlaps();
    std::printf("%d checks, %d failed\n", checks, failures);
    return failures == 0 ? 0 : 1;
}
