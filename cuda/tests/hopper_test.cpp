// The emulator's sm_90a parts against planted faults: a cluster of two blocks, in each of which a warp fetches operands
// and four warps multiply them by wgmma. Each fault must be caught, as a fault or a wrong result, in at least one of
// five orders of threads and both landings.
#include "demitasse/hopper.cuh"

#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "demitasse/weights.cuh"

namespace {

using namespace demitasse;

enum Planted {
    RIGHT,
    OPERANDS_NOT_WAITED_FOR,
    STAGE_NOT_WAITED_FOR,
    RELEASED_BEFORE_READ,
    WRONG_PARITY,
    TOO_FEW_BYTES,
    TOO_MANY_BYTES,
    NEIGHBOR_NOT_RELEASED,
    NOT_FENCED,
    SUMS_NOT_WAITED_FOR,
    SUMS_READ_TOO_EARLY,
    NEIGHBOR_ENDS,
    UNINITIALIZED_BARRIER,
    UNFENCED_BARRIER,
    OPERAND_OF_A_THREAD,
    PLANTED_COUNT
};

constexpr const char* NAMES[] = {"nothing",
                                 "operands that are not waited for",
                                 "a stage that is not waited for",
                                 "a stage that is released before it is read",
                                 "a wait for the wrong parity",
                                 "too few bytes announced",
                                 "too many bytes announced",
                                 "a neighbor that is not told",
                                 "sums without a fence",
                                 "products that a thread leaves under way",
                                 "sums that are read before the wait",
                                 "a neighbor that ends too soon",
                                 "a barrier that is not initialized",
                                 "a barrier that is not fenced",
                                 "an operand that a thread has written"};

constexpr int ROUNDS = 5, STAGES = 2;
constexpr int ROWS = 64, OUTPUTS = 128, COLUMNS = 64;
constexpr int A_BYTES = ROWS * COLUMNS, B_BYTES = OUTPUTS * COLUMNS, STAGE = A_BYTES + B_BYTES;

struct Args {
    const unsigned char* a;  // [block][round][row tile]
    const unsigned char* b;  // [round][output tile]
    int* out;                // [block][row][output]
    Planted planted;
};

void fetch(const Args& args, unsigned char* shared, uint64_t* full, uint64_t* empty) {
    const auto rank = static_cast<int>(cluster_rank());
    for (int round = 0; round < ROUNDS; round++) {
        const int s = round % STAGES;
        if (args.planted != STAGE_NOT_WAITED_FOR) {
            mbarrier_wait(&empty[s], static_cast<unsigned>(round / STAGES % 2) ^ 1);
        }
        if (lane() == 0) {
            const int wrong = args.planted == TOO_FEW_BYTES ? -B_BYTES / 2 : args.planted == TOO_MANY_BYTES ? 16 : 0;
            const int written = args.planted == OPERAND_OF_A_THREAD ? 16 : 0;
            const unsigned char* a = args.a + (rank * ROUNDS + round) * A_BYTES;
            std::memcpy(shared + s * STAGE, a, static_cast<size_t>(written));
            mbarrier_expect(&full[s], static_cast<unsigned>(STAGE + wrong - written));
            copy_bulk(shared + s * STAGE + written, a + written, static_cast<unsigned>(A_BYTES - written), &full[s]);
            copy_bulk_multicast(shared + s * STAGE + A_BYTES + rank * (B_BYTES / 2),
                                args.b + round * B_BYTES + rank * (B_BYTES / 2), B_BYTES / 2, &full[s], 3);
        }
        __syncwarp();
    }
}

void release(const Args& args, uint64_t* empty) {
    __syncwarp();
    if (lane() < 2 && (args.planted != NEIGHBOR_NOT_RELEASED || lane() == static_cast<int>(cluster_rank()))) {
        mbarrier_arrive_at(empty, static_cast<unsigned>(lane()));
    }
}

void multiply(const Args& args, unsigned char* shared, uint64_t* full, uint64_t* empty) {
    int sums[64] = {};
    for (int round = 0; round < ROUNDS; round++) {
        const int s = round % STAGES;
        const unsigned char* at = shared + s * STAGE;
        if (args.planted != OPERANDS_NOT_WAITED_FOR) {
            mbarrier_wait(&full[s], static_cast<unsigned>(round / STAGES + (args.planted == WRONG_PARITY)) % 2);
        }
        if (args.planted != NOT_FENCED) {
            wgmma_fence();
        }
        for (int k = 0; k < COLUMNS; k += 32) {
            wgmma_int8(sums, wgmma_operand(at + k, TILE_BYTES), wgmma_operand(at + A_BYTES + k, TILE_BYTES));
        }
        wgmma_commit();
        if (args.planted == RELEASED_BEFORE_READ) {
            release(args, &empty[s]);
        }
        if (round + 1 < ROUNDS || (args.planted != SUMS_NOT_WAITED_FOR && args.planted != SUMS_READ_TOO_EARLY)) {
            wgmma_wait<0>();
        }
        if (args.planted != RELEASED_BEFORE_READ) {
            release(args, &empty[s]);
        }
    }
    for (int i = 0; i < 64; i++) {
        const int row = warp() * 16 + lane() / 4 + i % 4 / 2 * 8;
        args.out[(static_cast<int>(cluster_rank()) * ROWS + row) * OUTPUTS + i / 4 * 8 + lane() % 4 * 2 + i % 2] =
            sums[i];
    }
    if (args.planted == SUMS_READ_TOO_EARLY) {
        wgmma_wait<0>();
    }
}

void kernel(const Args& args) {
    DYNAMIC_SHARED(shared);
    auto* full = reinterpret_cast<uint64_t*>(shared + STAGES * STAGE);
    uint64_t* empty = full + STAGES;
    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            mbarrier_init(&full[s], 1);
            if (args.planted != UNINITIALIZED_BARRIER) {
                mbarrier_init(&empty[s], 8);
            }
        }
        if (args.planted != UNFENCED_BARRIER) {
            mbarrier_init_fence();
        }
    }
    cluster_sync();
    if (warp() < 4) {
        multiply(args, shared, full, empty);
    } else {
        fetch(args, shared, full, empty);
    }
    __syncwarp();
    if (args.planted != NEIGHBOR_ENDS) {
        cluster_sync();
    }
}

struct Operands {
    std::vector<unsigned char> a, b;
    std::vector<int> expected;

    Operands() : a(2 * ROUNDS * A_BYTES), b(ROUNDS * B_BYTES), expected(2 * ROWS * OUTPUTS) {
        std::mt19937 random(20261125);
        for (auto* bytes : {&a, &b}) {
            for (unsigned char& x : *bytes) {
                x = static_cast<unsigned char>(random());
            }
        }
        for (int row = 0; row < 2 * ROWS; row++) {
            for (int n = 0; n < OUTPUTS; n++) {
                int sum = 0;
                for (int k = 0; k < ROUNDS * COLUMNS; k++) {
                    const int first_tile = (row / ROWS * ROUNDS + k / COLUMNS) * (ROWS / 8) + row % ROWS / 8;
                    sum += byte(a, first_tile, row, k) * byte(b, k / COLUMNS * (OUTPUTS / 8) + n / 8, n, k);
                }
                expected[static_cast<size_t>(row * OUTPUTS + n)] = sum;
            }
        }
    }

    // Byte k of a row of a tile, in whatever order both operands have.
    static int byte(const std::vector<unsigned char>& bytes, int tile, int row, int k) {
        return static_cast<int8_t>(
            bytes[static_cast<size_t>(tile * TILE_BYTES + chunk_offset(row % 8, k % 64 / 16) + k % 16)]);
    }

    bool right(Planted planted, std::string& fault) const {
        std::vector<int> out(expected.size());
        const Args args{a.data(), b.data(), out.data(), planted};
        fault = emulator::launch(
            {2, 1, 1}, {160, 1, 1}, STAGES * STAGE + 2 * STAGES * 8, [&] { kernel(args); }, 2);
        return fault.empty() && out == expected;
    }
};

// One product of FP16 by four warps, of small integers, whose sums are exact.
void fp16_kernel(const unsigned char* operands, float* out) {
    DYNAMIC_SHARED(shared);
    auto* full = reinterpret_cast<uint64_t*>(shared + STAGE);
    if (threadIdx.x == 0) {
        mbarrier_init(full, 1);
        mbarrier_init_fence();
    }
    cluster_sync();
    if (threadIdx.x == 0) {
        mbarrier_expect(full, STAGE);
        copy_bulk(shared, operands, STAGE, full);
    }
    __syncwarp();
    mbarrier_wait(full, 0);
    float sums[64] = {};
    wgmma_fence();
    for (int k = 0; k < TILE_ROW_BYTES; k += 32) {
        wgmma_f16(sums, wgmma_operand(shared + k, TILE_BYTES), wgmma_operand(shared + A_BYTES + k, TILE_BYTES));
    }
    wgmma_commit();
    wgmma_wait<0>();
    for (int i = 0; i < 64; i++) {
        const int row = warp() * 16 + lane() / 4 + i % 4 / 2 * 8;
        out[row * OUTPUTS + i / 4 * 8 + lane() % 4 * 2 + i % 2] = sums[i];
    }
}

// Rows of 32 columns lie as those of 64 bytes do.
bool multiplies_fp16() {
    std::mt19937 random(20261125);
    std::vector<unsigned char> operands(STAGE);
    std::vector<int> values;
    for (int row = 0; row < ROWS + OUTPUTS; row++) {
        for (int k = 0; k < 32; k++) {
            values.push_back(static_cast<int>(random() % 17) - 8);
            const uint16_t bits = float_to_fp16(static_cast<float>(values.back()));
            std::memcpy(&operands[static_cast<size_t>(row / 8 * TILE_BYTES + chunk_offset(row % 8, k / 8) + k % 8 * 2)],
                        &bits, sizeof bits);
        }
    }
    std::vector<float> out(ROWS * OUTPUTS);
    bool right =
        emulator::launch({1, 1, 1}, {128, 1, 1}, STAGE + 8, [&] { fp16_kernel(operands.data(), out.data()); }).empty();
    for (int row = 0; row < ROWS; row++) {
        for (int n = 0; n < OUTPUTS; n++) {
            int sum = 0;
            for (int k = 0; k < 32; k++) {
                sum += values[static_cast<size_t>(row * 32 + k)] * values[static_cast<size_t>((ROWS + n) * 32 + k)];
            }
            right = right && out[static_cast<size_t>(row * OUTPUTS + n)] == static_cast<float>(sum);
        }
    }
    return right;
}

}  // namespace

int main() {
    int failures = 0;
    const Operands operands;
    bool caught[PLANTED_COUNT] = {};
    for (bool early : {false, true}) {
        for (unsigned seed = 0; seed < 5; seed++) {
            emulator::settings = {seed, early};
            if (!multiplies_fp16()) {
                std::printf("FAILED: a product of FP16\n");
                failures++;
            }
            for (int planted = 0; planted < PLANTED_COUNT; planted++) {
                std::string fault;
                const bool right = operands.right(static_cast<Planted>(planted), fault);
                if (planted == RIGHT && !right) {
                    std::printf("FAILED: without a fault: %s\n", fault.c_str());
                }
                caught[planted] |= !right;
            }
        }
    }
    for (int planted = 0; planted < PLANTED_COUNT; planted++) {
        if (caught[planted] != (planted != RIGHT)) {
            std::printf("FAILED: %s\n", NAMES[planted]);
            failures++;
        }
    }
    std::printf("%d checks, %d failed\n", static_cast<int>(PLANTED_COUNT) + 10, failures);
    return failures == 0 ? 0 : 1;
}
