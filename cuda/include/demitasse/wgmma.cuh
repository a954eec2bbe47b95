// What gemm_int8 and gemm_float share on sm_90a: products by wgmma of operands that lie in tiles of 512 bytes, 8 rows
// of 64 bytes, as weights.cuh has them, whatever an element is. One warp prefetches the operands of three stages; a
// bulk copy of up to four tiles needs no tensor map, since tiles lie in the order and the swizzle that wgmma wants, and
// each block of a cluster fetches half of the weights for both. Two groups of four warps take turns by whole results
// (128 x 128), so that one stores while the other multiplies.
#pragma once

#include "demitasse/hopper.cuh"
#include "demitasse/weights.cuh"

namespace demitasse {

// An element of the operands: INT8, whose sums meet the scales of a weight row and of a row of activations, or FP16.
enum class WgmmaElement { INT8, F16 };

template <WgmmaElement>
struct WgmmaSum {
    using Type = int;
};
template <>
struct WgmmaSum<WgmmaElement::F16> {
    using Type = float;
};

template <WgmmaElement ELEMENT>
struct Wgmma {
    using Sum = typename WgmmaSum<ELEMENT>::Type;
    static constexpr bool SCALES = ELEMENT == WgmmaElement::INT8;
    static constexpr int M = WGMMA_ROWS, N = WGMMA_OUTPUTS;
    static constexpr int TILES = WGMMA_TILES;  // a stage: bulk copies go out one after the other, so they are long
    static constexpr int LINE = TILES * TILE_BYTES;
    static constexpr int ACTIVATIONS = M / TILE_OUTPUTS * LINE;
    static constexpr int STAGE = WGMMA_STAGE_BYTES;
    static constexpr int STAGES = WGMMA_STAGES;
    static constexpr int GROUPS = WGMMA_GROUPS;
    static constexpr int BLOCKS = WGMMA_CLUSTER;
    static constexpr int BARRIERS = STAGES * STAGE;
    static_assert(BARRIERS + (2 * STAGES + GROUPS) * 8 == WGMMA_BYTES);

    const LinearArgs& a;
    unsigned char* shared;
    int rank;
    int steps, row_pairs, units;

    DEVICE Wgmma(const LinearArgs& args, unsigned char* memory)
        : a(args),
          shared(memory),
          rank(static_cast<int>(cluster_rank())),
          steps((static_cast<int>(a.tiles) + TILES - 1) / TILES),
          row_pairs((static_cast<int>(a.rows) + BLOCKS * M - 1) / (BLOCKS * M)),
          units(row_pairs * ((static_cast<int>(a.outputs) + N - 1) / N)) {}

    DEVICE unsigned char* stage(int count) const { return shared + count % STAGES * STAGE; }
    DEVICE static unsigned parity(int count) { return static_cast<unsigned>(count / STAGES % 2); }
    // Where the operands of a stage are complete, and where all have read them.
    DEVICE uint64_t* full(int count) const { return reinterpret_cast<uint64_t*>(shared + BARRIERS) + count % STAGES; }
    DEVICE uint64_t* empty(int count) const { return full(count) + STAGES; }
    // Where a group waits until the other one has started its last product: only then is no stage that it waits for two
    // phases ahead, which a parity cannot tell from none.
    DEVICE uint64_t* turn(int group) const { return full(0) + 2 * STAGES + group; }

    // Units of work go round the clusters; neighbors have the same outputs.
    DEVICE int first_unit() const { return static_cast<int>(blockIdx.x) / BLOCKS; }
    DEVICE int unit_step() const { return static_cast<int>(gridDim.x) / BLOCKS; }
    DEVICE int first_row(int unit) const { return (unit % row_pairs * BLOCKS + rank) * M; }
    DEVICE int first_output(int unit) const { return unit / row_pairs * N; }

    DEVICE void init_barriers() const {
        if (threadIdx.x == 0) {
            for (int s = 0; s < STAGES; s++) {
                mbarrier_init(full(s), 1);
                mbarrier_init(empty(s), BLOCKS * 4);  // the warps of one group, in each block
            }
            for (int group = 0; group < GROUPS; group++) {
                mbarrier_init(turn(group), 4);
            }
            mbarrier_init_fence();
        }
        cluster_sync();
    }

    // Tiles of eight rows that there are, from `first` on.
    DEVICE static int lines(int64_t rows, int first) {
        return maximum(0, minimum(16, (static_cast<int>(rows) - first + TILE_OUTPUTS - 1) / TILE_OUTPUTS));
    }

    // One warp starts all copies.
    DEVICE void fetch() const {
        int count = 0;
        for (int unit = first_unit(); unit < units; unit += unit_step()) {
            const int row_lines = lines(a.rows, first_row(unit));
            const int output_lines = lines(a.outputs, first_output(unit));
            for (int step = 0; step < steps; step++, count++) {
                const int bytes = minimum(TILES, static_cast<int>(a.tiles) - step * TILES) * TILE_BYTES;
                mbarrier_wait(empty(count), parity(count) ^ 1);
                if (lane() == 0) {
                    mbarrier_expect(full(count), static_cast<unsigned>(bytes * (row_lines + output_lines)));
                }
                __syncwarp();
                const int line = lane() < 16 ? lane() : lane() - 16 + rank * 8;
                if (lane() < row_lines && lane() < 16) {
                    copy_bulk(stage(count) + line * LINE, tile(a.q, first_row(unit), line, step),
                              static_cast<unsigned>(bytes), full(count));
                } else if (lane() >= 16 && lane() < 24 && line < output_lines) {
                    copy_bulk_multicast(stage(count) + ACTIVATIONS + line * LINE,
                                        tile(a.quants, first_output(unit), line, step), static_cast<unsigned>(bytes),
                                        full(count), (1 << BLOCKS) - 1);
                }
            }
        }
    }

    DEVICE const uint8_t* tile(const uint8_t* from, int first, int line, int step) const {
        return from + ((first / TILE_OUTPUTS + line) * a.tiles + step * TILES) * TILE_BYTES;
    }

    // Four warps, of which this is group `group`.
    DEVICE void multiply(int group) const {
        int count = 0;
        for (int unit = first_unit(), i = 0; unit < units; unit += unit_step(), i++) {
            if (i % GROUPS != group) {
                count += steps;
                continue;
            }
            Sum sums[2][64] = {};
            wgmma_pin(sums[0]);
            wgmma_pin(sums[1]);
            mbarrier_wait(turn(group), static_cast<unsigned>(i / GROUPS + (group == 0)) % 2);  // the first at once
            const int whole_steps = static_cast<int>(a.tiles) / TILES;
            for (int step = 0; step < whole_steps; step++, count++) {
                start<TILES>(sums, count);
                wgmma_wait<1>();
                if (step > 0) {
                    release(count - 1);
                }
            }
            if (whole_steps < steps) {
                wgmma_wait<0>();
                if (whole_steps > 0) {
                    release(count - 1);
                }
                start_rest(sums, count++);
            }
            if (lane() == 0) {
                mbarrier_arrive(turn((group + 1) % GROUPS));
            }
            __syncwarp();
            wgmma_wait<0>();
            wgmma_pin(sums[0]);
            wgmma_pin(sums[1]);
            release(count - 1);
            store(sums, unit);
        }
    }

    // Starts the products of a stage.
    template <int COUNT>
    DEVICE void start(Sum (&sums)[2][64], int count) const {
        mbarrier_wait(full(count), parity(count));
        const unsigned char* at = stage(count);
        wgmma_fence();
#pragma unroll
        for (int t = 0; t < COUNT; t++) {
#pragma unroll
            for (int k = 0; k < TILE_ROW_BYTES; k += 32) {
                const uint64_t weights = wgmma_operand(at + ACTIVATIONS + t * TILE_BYTES + k, LINE);
#pragma unroll
                for (int m = 0; m < 2; m++) {
                    const uint64_t rows = wgmma_operand(at + m * 8 * LINE + t * TILE_BYTES + k, LINE);
                    if constexpr (ELEMENT == WgmmaElement::INT8) {
                        wgmma_int8(sums[m], rows, weights);
                    } else {
                        wgmma_f16(sums[m], rows, weights);
                    }
                }
            }
        }
        wgmma_commit();
    }

    // The same of the last stage, where that is not whole.
    DEVICE void start_rest(Sum (&sums)[2][64], int count) const {
        const int rest = static_cast<int>(a.tiles) % TILES;
        if (rest == 1) {
            start<1>(sums, count);
        } else if (rest == 2) {
            start<2>(sums, count);
        } else {
            start<3>(sums, count);
        }
    }

    // A warp has read a stage, which both blocks of the cluster fill.
    DEVICE void release(int count) const {
        __syncwarp();
        if (lane() < BLOCKS) {
            mbarrier_arrive_at(empty(count), static_cast<unsigned>(lane()));
        }
    }

    DEVICE void store(const Sum (&sums)[2][64], int unit) const {
        if (a.out.type == OutputType::F32) {
            store_as<OutputType::F32>(sums, unit);
        } else if (a.out.type == OutputType::F16) {
            store_as<OutputType::F16>(sums, unit);
        } else {
            store_as<OutputType::BF16>(sums, unit);
        }
    }

    // What varies little is decided before, so that the code for 128 sums fits the instruction cache: it did not, and
    // was what this kernel waited for.
    template <OutputType TYPE>
    DEVICE void store_as(const Sum (&sums)[2][64], int unit) const {
        constexpr int BYTES = TYPE == OutputType::F32 ? 4 : 2;
        const int last_row = static_cast<int>(a.rows) - 1;
        const int last_output = static_cast<int>(a.outputs) - 1;
        const int output = first_output(unit) + lane() % 4 * 2;  // the lane's first
        unsigned char* to[4];
        float activations[4];
        bool there[4];
#pragma unroll
        for (int r = 0; r < 4; r++) {
            const int row = first_row(unit) + r / 2 * 64 + warp() % 4 * 16 + r % 2 * 8 + lane() / 4;
            there[r] = row <= last_row;
            to[r] = static_cast<unsigned char*>(a.out.to) + (row * a.outputs + output) * BYTES;
            if constexpr (SCALES) {
                activations[r] = a.groups_of<Integers::INT8>(minimum(row, last_row))->scales[0];
            }
        }
#pragma unroll
        for (int n = 0; n < N / 8; n++) {
            if (output + n * 8 > last_output) {
                break;
            }
            float scales[2];
            if constexpr (SCALES) {
                load_scale_pair(scales, a.scales, output + n * 8,
                                a.fp16_scales != 0);  // there are some for whole tiles
            }
            float biases[2] = {-0.0f, -0.0f};  // what changes no number
            if (a.bias != nullptr) {
                biases[0] = a.bias[output + n * 8];
                biases[1] = a.bias[output + n * 8 + 1];
            }
#pragma unroll
            for (int r = 0; r < 4; r++) {
                float pair[2];
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    float result = static_cast<float>(sums[r / 2][n * 4 + r % 2 * 2 + i]);
                    if constexpr (SCALES) {
                        result = Fold<Integers::INT8, false>{scales[i], 0}(result, 0, activations[r], 0);
                    }
                    pair[i] = result + biases[i];
                }
                if (!there[r]) {
                    continue;
                }
                if constexpr (TYPE == OutputType::F32) {
                    store_floats(reinterpret_cast<float*>(to[r]) + n * 8, pair[0], pair[1]);
                } else {
                    const Output narrow{nullptr, TYPE};
                    reinterpret_cast<uint32_t*>(to[r])[n * 4] = narrow.narrow(pair[0], pair[1]);
                }
            }
        }
    }
};

// The body of a kernel.
template <WgmmaElement ELEMENT>
DEVICE void multiply_by_wgmma(const LinearArgs& a, unsigned char* shared) {
    const Wgmma<ELEMENT> gemm(a, shared);
    launch_dependents();
    gemm.init_barriers();
    await_previous();
    if (warp() < WGMMA_GROUPS * 4) {
        gemm.multiply(warp() / 4);
    } else {
        gemm.fetch();
    }
    __syncwarp();
    cluster_sync();  // a block stays until its neighbor has no more to send to it
}

}  // namespace demitasse
