// Many rows of activations by integer weights on tensor cores: what gemm_int8.cu and gemm_grouped.cu are made of. The
// first says its contract.
#pragma once

#include "demitasse/weights.cuh"

namespace demitasse {

// A block computes M rows by N outputs, a warp WARP_M by WARP_N of them. BLOCKS of a multiprocessor, at least: that is
// how many registers a thread has.
template <int M_, int N_, int WARP_M_, int WARP_N_, int BLOCKS_>
struct GemmTile {
    static constexpr int M = M_, N = N_, WARP_M = WARP_M_, WARP_N = WARP_N_, BLOCKS = BLOCKS_;
    static constexpr int THREADS = M / WARP_M * (N / WARP_N) * 32;
};

// What lies in a stage of shared memory.
template <Integers KIND, Reach REACH, class T>
struct GemmShape {
    using Tile = WeightTile<KIND>;
    static constexpr int GROUP = columns_of(REACH);
    static constexpr int OUTPUT_SCALES = Tile::scales(REACH);
    static constexpr int ACTIVATIONS = gemm_input_bytes(Tile::BITS, T::M);
    static constexpr int WEIGHTS = gemm_weight_bytes(T::N);
    static constexpr int SCALES = gemm_scale_bytes(Tile::BITS, GROUP, T::N);
    static constexpr int STAGES = GEMM_STAGES;
    static constexpr int STAGE = gemm_shared_bytes(Tile::BITS, GROUP, T::M) / STAGES;
    static_assert(T::N == gemm_outputs(GROUP, T::M) && T::THREADS == gemm_threads(T::M));
};

// What a thread copies of each tile of columns, one tile after the other: chunks of 16 bytes of LINES lines, which lie
// one after the other in shared memory. Lines beyond `limit` become zeros.
template <int LINES, int MOST_BYTES, int THREADS>
struct Copies {
    static constexpr int PASSES = (LINES * MOST_BYTES / 16 + THREADS - 1) / THREADS;
    const unsigned char* from;
    int pass_step;  // bytes from one of the thread's chunks to its next
    int tile_step;  // bytes from a tile of columns to the next
    int count;      // of the thread's chunks, and how many of them there are
    int there;

    // bytes: of a line, at most MOST_BYTES; stride: bytes from line to line.
    DEVICE Copies(const void* first, int limit, int bytes, int64_t stride, int step) : tile_step(step) {
        const int chunks = bytes / 16;
        const int line = static_cast<int>(threadIdx.x) / chunks;
        const int lines = THREADS / chunks;  // of a pass
        from = static_cast<const unsigned char*>(first) + line * stride + static_cast<int>(threadIdx.x) % chunks * 16;
        pass_step = static_cast<int>(lines * stride);
        count = line < LINES ? PASSES : 0;
        there = (limit - line + lines - 1) / lines;
    }

    // The chunks that lie `offset` bytes further.
    DEVICE void copy(unsigned char* to, int64_t offset) const {
#pragma unroll
        for (int i = 0; i < PASSES; i++) {
            if (i < count) {
                copy_async16(to + (i * THREADS + static_cast<int>(threadIdx.x)) * 16, from + offset + i * pass_step,
                             i < there ? 16 : 0);
            }
        }
    }

    DEVICE void next(unsigned char* to) {
        copy(to, 0);
        from += tile_step;
    }
};

// Tiles of columns on their way to shared memory. Minimums lie as scales do, in memory too.
template <Integers KIND, Reach REACH, bool MINIMUM, class T>
struct GemmLoads {
    using Tile = WeightTile<KIND>;
    using Shape = GemmShape<KIND, REACH, T>;
    static constexpr int INPUT_BYTES = Tile::INPUTS * TILE_BYTES;
    static constexpr int GROUP_BYTES = Tile::INPUTS * static_cast<int>(sizeof(GroupPair));
    static constexpr int SCALE_BYTES = TILE_OUTPUTS * Shape::OUTPUT_SCALES * 4;
    static constexpr int TILES = T::N / TILE_OUTPUTS;

    Copies<T::M / TILE_OUTPUTS, INPUT_BYTES, T::THREADS> inputs;
    Copies<TILES, TILE_BYTES, T::THREADS> weights;
    Copies<TILES, SCALE_BYTES, T::THREADS> scales;
    Copies<T::M, GROUP_BYTES, T::THREADS> groups;
    int64_t to_mins;  // bytes from scales to minimums

    DEVICE static int tiles_of(int64_t rows, int first) {
        return (static_cast<int>(rows) - first + TILE_OUTPUTS - 1) / TILE_OUTPUTS;
    }

    DEVICE GemmLoads(const LinearArgs& a, int first_row, int first_output, int tile)
        : inputs(a.q + (first_row / TILE_OUTPUTS * a.tiles + tile) * INPUT_BYTES, tiles_of(a.rows, first_row),
                 INPUT_BYTES, a.tiles * INPUT_BYTES, INPUT_BYTES),
          weights(a.quants + (first_output / TILE_OUTPUTS * a.tiles + tile) * TILE_BYTES,
                  tiles_of(a.outputs, first_output), TILE_BYTES, a.tiles * TILE_BYTES, TILE_BYTES),
          scales(scales_of(a, first_output, tile)),
          groups(a.groups + (first_row * a.tiles + tile) * Tile::INPUTS, static_cast<int>(a.rows) - first_row,
                 GROUP_BYTES, a.tiles * GROUP_BYTES, GROUP_BYTES),
          to_mins(static_cast<const unsigned char*>(a.mins) - static_cast<const unsigned char*>(a.scales)) {}

    DEVICE static decltype(scales) scales_of(const LinearArgs& a, int first_output, int tile) {
        const int bytes = a.fp16_scales != 0 ? SCALE_BYTES / 2 : SCALE_BYTES;
        return {static_cast<const unsigned char*>(a.scales) + (first_output / TILE_OUTPUTS * a.tiles + tile) * bytes,
                tiles_of(a.outputs, first_output), bytes, a.tiles * bytes, bytes};
    }

    // Starts the copies of the next tile of columns.
    DEVICE void next(unsigned char* to) {
        inputs.next(to);
        weights.next(to + Shape::ACTIVATIONS);
        if constexpr (REACH != Reach::PER_ROW) {
            to += Shape::ACTIVATIONS + Shape::WEIGHTS;
            if constexpr (MINIMUM) {
                scales.copy(to + Shape::SCALES, to_mins);
            }
            scales.next(to);
            groups.next(to + 2 * Shape::SCALES);
        }
    }
};

// Where a warp is, and what its lanes take from a stage.
template <Integers KIND, Reach REACH, class T>
struct Gemm {
    using Tile = WeightTile<KIND>;
    using Shape = GemmShape<KIND, REACH, T>;
    static constexpr int FRAGMENTS_M = T::WARP_M / 16;
    static constexpr int FRAGMENTS_N = T::WARP_N / 8;

    const LinearArgs& a;
    int first_row, first_output;  // of the block
    int warp_m, warp_n;           // of the warp, within the block
    bool fp16_scales;
    Levels levels;

    DEVICE Gemm(const LinearArgs& args, const Levels& of_places, int block, int row)
        : a(args),
          first_row(row),
          first_output(block * T::N),
          warp_m(warp() / (T::N / T::WARP_N) * T::WARP_M),
          warp_n(warp() % (T::N / T::WARP_N) * T::WARP_N),
          fp16_scales(args.fp16_scales != 0),
          levels(of_places) {}

    // First operands of two groups: fragment m of rows.
    DEVICE void load_rows(uint32_t (&rows)[2][4], const unsigned char* stage, int m, int input) const {
        const unsigned char* at =
            stage + ((warp_m / 8 + 2 * m) * Tile::INPUTS + input) * TILE_BYTES + chunk_offset(lane() / 4, lane() % 4);
        const Words4 low = load16(at);  // rows 0 to 7, and 8 to 15
        const Words4 high = load16(at + Tile::INPUTS * TILE_BYTES);
        const uint32_t words[2][4] = {{low.x, high.x, low.y, high.y}, {low.z, high.z, low.w, high.w}};
#pragma unroll
        for (int i = 0; i < 8; i++) {
            rows[i / 4][i % 4] = words[i / 4][i % 4];
        }
    }

    // Second operands of two groups: fragment n of outputs.
    DEVICE void load_weights(uint32_t (&words)[2][2], const unsigned char* stage, int n, int input) const {
        uint32_t packed[Tile::BITS / 2];
        load_words(packed, stage + Shape::ACTIVATIONS + (warp_n / 8 + n) * TILE_BYTES +
                               chunk_offset(lane() / 4, lane() % 4) + input * Tile::BITS * 2);
#pragma unroll
        for (int k = 0; k < 2; k++) {
            Tile::unpack(packed, k, levels, words[k][0], words[k][1]);
        }
    }

    // The folds of scale i and the next, of the lane's two outputs of fragment n.
    template <bool MINIMUM>
    DEVICE void load_folds(Fold<KIND, MINIMUM> (&folds)[2][2], const unsigned char* stage, int n, int i) const {
        const unsigned char* scales = stage + Shape::ACTIVATIONS + Shape::WEIGHTS;
#pragma unroll
        for (int c = 0; c < 2; c++) {
            float scale[2];
            float low[2] = {};
            const int at = (warp_n + n * 8 + lane() % 4 * 2 + c) * Shape::OUTPUT_SCALES + i;
            load_scale_pair(scale, scales, at, fp16_scales);
            if constexpr (MINIMUM) {
                load_scale_pair(low, scales + Shape::SCALES, at, fp16_scales);
            }
            folds[c][0] = {scale[0], low[0]};
            folds[c][1] = {scale[1], low[1]};
        }
    }

    // Two groups of the lane's row r, 0 or 1, of fragment m.
    template <bool MINIMUM>
    DEVICE void load_row_groups(HeldPair<MINIMUM>& pair, const unsigned char* stage, int m, int r, int input) const {
        const unsigned char* from = stage + Shape::ACTIVATIONS + Shape::WEIGHTS + 2 * Shape::SCALES;
        const int line = (warp_m + m * 16 + r * 8 + lane() / 4) * Tile::INPUTS + input;
        pair.load(from + line * static_cast<int>(sizeof(GroupPair)));
    }
};

// Sums with a fold for each group: those of the segment, and of the segments before it.
template <Integers KIND, Reach REACH, bool MINIMUM, class T>
struct GroupedSums {
    using G = Gemm<KIND, REACH, T>;
    using F = Fold<KIND, MINIMUM>;
    using Pair = HeldPair<MINIMUM>;
    static constexpr int FOLDS = REACH == Reach::PER16 ? 2 : 1;  // of 32 columns
    static constexpr int FACTOR = G::Tile::FACTOR;
    float segment[G::FRAGMENTS_M][G::FRAGMENTS_N][4] = {};
    float total[G::FRAGMENTS_M][G::FRAGMENTS_N][4] = {};

    DEVICE void add_tile(const G& gemm, const unsigned char* stage) {
#pragma unroll 1  // registers hold the operands of two groups
        for (int input = 0; input < G::Tile::INPUTS; input++) {
            uint32_t rows[G::FRAGMENTS_M][2][4];
            Pair pairs[G::FRAGMENTS_M][2];  // [fragment][row]
#pragma unroll
            for (int m = 0; m < G::FRAGMENTS_M; m++) {
                gemm.load_rows(rows[m], stage, m, input);
                gemm.load_row_groups(pairs[m][0], stage, m, 0, input);
                gemm.load_row_groups(pairs[m][1], stage, m, 1, input);
            }
#pragma unroll
            for (int n = 0; n < G::FRAGMENTS_N; n++) {
                uint32_t words[2][2];
                F folds[2][2];  // [output][fold]: of two times 32 columns, or of two times 16
                gemm.load_weights(words, stage, n, input);
#pragma unroll
                for (int k = 0; k < 2; k++) {
                    if (k % (2 / FOLDS) == 0) {
                        gemm.load_folds(folds, stage, n, (2 * input + k) * FOLDS);
                    }
#pragma unroll
                    for (int m = 0; m < G::FRAGMENTS_M; m++) {
                        add_group(segment[m][n], rows[m][k], words[k], folds, pairs[m], k);
                    }
                }
            }
        }
    }

    // Multiplies group k of two, and folds its four sums.
    DEVICE static void add_group(float (&sums)[4], const uint32_t (&rows)[4], const uint32_t (&words)[2],
                                 const F (&folds)[2][2], const Pair (&pairs)[2], int k) {
        int bits[FOLDS][4];
        if constexpr (REACH == Reach::PER16) {
            mma_int8_k16_onto(bits[0], SUM_BASE, rows[0], rows[1], words[0]);
            mma_int8_k16_onto(bits[1], SUM_BASE, rows[2], rows[3], words[1]);
        } else {
            mma_int8_k32_onto(bits[0], SUM_BASE, rows, words[0], words[1]);
        }
#pragma unroll
        for (int f = 0; f < FOLDS; f++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const Pair& pair = pairs[i / 2];
                sums[i] = folds[i % 2][FOLDS == 2 ? f : k](
                    number_of_sum(bits[f][i]), pair.template input<FACTOR>(REACH, k, f), pair.scale(k), sums[i]);
            }
        }
    }

    DEVICE void end_segment(bool first) {
#pragma unroll
        for (int m = 0; m < G::FRAGMENTS_M; m++) {
#pragma unroll
            for (int n = 0; n < G::FRAGMENTS_N; n++) {
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const float sum = segment[m][n][i] * (1.0f / FACTOR);
                    total[m][n][i] = first ? sum : total[m][n][i] + sum;
                    segment[m][n][i] = 0;
                }
            }
        }
    }

    DEVICE int input(const G&, int) const { return 0; }
    DEVICE float result(const G&, int m, int n, int i, int, int, int) const { return total[m][n][i]; }
    DEVICE float partial(int m, int n, int i) const { return total[m][n][i]; }
};

// Integer sums of whole rows, where they share a scale.
template <Integers KIND, class T>
struct RowSums {
    using G = Gemm<KIND, Reach::PER_ROW, T>;
    int sums[G::FRAGMENTS_M][G::FRAGMENTS_N][4] = {};

    DEVICE void add_tile(const G& gemm, const unsigned char* stage) {
#pragma unroll 1
        for (int input = 0; input < G::Tile::INPUTS; input++) {
            uint32_t words[G::FRAGMENTS_N][2][2];
#pragma unroll
            for (int n = 0; n < G::FRAGMENTS_N; n++) {
                gemm.load_weights(words[n], stage, n, input);
            }
#pragma unroll
            for (int m = 0; m < G::FRAGMENTS_M; m++) {
                uint32_t rows[2][4];
                gemm.load_rows(rows, stage, m, input);
#pragma unroll
                for (int k = 0; k < 2; k++) {
#pragma unroll
                    for (int n = 0; n < G::FRAGMENTS_N; n++) {
                        mma_int8_k32(sums[m][n], rows[k], words[n][k][0], words[n][k][1]);
                    }
                }
            }
        }
    }

    DEVICE void end_segment(bool) {}

    DEVICE int input(const G& gemm, int row) const { return gemm.a.template row_input<KIND>(row); }

    DEVICE float result(const G& gemm, int m, int n, int i, int input, int row, int output) const {
        return gemm.a.template fold_row<KIND>(sums[m][n][i], input, gemm.a.template groups_of<KIND>(row)->scales[0],
                                              output);
    }
    // An integer's bits.
    DEVICE float partial(int m, int n, int i) const { return __uint_as_float(static_cast<uint32_t>(sums[m][n][i])); }
};

// M rows from `first_row` on by the outputs of block `block`.
template <Integers KIND, Reach REACH, bool MINIMUM, class T, class Sums>
DEVICE void gemm(const LinearArgs& a, const Levels& levels, int block, int first_row, unsigned char* shared) {
    using Shape = GemmShape<KIND, REACH, T>;
    const Gemm<KIND, REACH, T> gemm(a, levels, block, first_row);
    const bool split = gridDim.z > 1;
    const int first_segment = split ? static_cast<int>(blockIdx.z) : 0;
    const int last_segment = split ? first_segment + 1 : a.segments();
    const int begin = a.segment_begin(first_segment);
    const int end = a.segment_begin(last_segment);
    GemmLoads<KIND, REACH, MINIMUM, T> loads(a, gemm.first_row, gemm.first_output, begin);
    Sums sums;
#pragma unroll
    for (int ahead = 0; ahead < Shape::STAGES - 1; ahead++) {
        if (begin + ahead < end) {
            loads.next(shared + ahead * Shape::STAGE);
        }
        copy_async_commit();
    }
    int tile = begin;
    unsigned char* stage = shared;
    unsigned char* free = shared + (Shape::STAGES - 1) * Shape::STAGE;
    auto following = [&](unsigned char* s) {
        return s == shared + (Shape::STAGES - 1) * Shape::STAGE ? shared : s + Shape::STAGE;
    };
    for (int segment = first_segment; segment < last_segment; segment++) {
        for (const int segment_end = a.segment_begin(segment + 1); tile < segment_end; tile++) {
            copy_async_wait<Shape::STAGES - 2>();
            __syncthreads();  // the tile is there for all, and nobody reads the stage that is filled next
            if (tile + Shape::STAGES - 1 < end) {
                loads.next(free);
            }
            copy_async_commit();
            sums.add_tile(gemm, stage);
            stage = following(stage);
            free = following(free);
        }
        sums.end_segment(segment == first_segment);
    }
    copy_async_wait<0>();
    const Output out = split ? Output{a.partial, OutputType::F32} : a.out;
    const int64_t first = split ? static_cast<int64_t>(blockIdx.z) * a.rows * a.outputs : 0;
#pragma unroll
    for (int m = 0; m < T::WARP_M / 16; m++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int row = gemm.first_row + gemm.warp_m + m * 16 + lane() / 4 + r * 8;
            const int input = row < a.rows && !split ? sums.input(gemm, row) : 0;
#pragma unroll
            for (int n = 0; n < T::WARP_N / 8; n++) {
                const int output = gemm.first_output + gemm.warp_n + n * 8 + lane() % 4 * 2;
                const int count = row < a.rows ? minimum(2, static_cast<int>(a.outputs) - output) : 0;
                float pair[2] = {};
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    if (i < count && split) {
                        pair[i] = sums.partial(m, n, 2 * r + i);
                    } else if (i < count) {
                        pair[i] = a.with_bias(sums.result(gemm, m, n, 2 * r + i, input, row, output + i), output + i);
                    }
                }
                out.store_pair(first + row * a.outputs + output, pair, count);
            }
        }
    }
}

// The same: whether the matrix has minimums.
template <Integers KIND, Reach REACH, class T>
DEVICE void gemm(const LinearArgs& a, const Levels& levels, int block, int first_row, unsigned char* shared) {
    if constexpr (REACH == Reach::PER_ROW) {
        gemm<KIND, REACH, false, T, RowSums<KIND, T>>(a, levels, block, first_row, shared);
    } else if (KIND == Integers::LEVELS || a.mins == nullptr) {
        gemm<KIND, REACH, false, T, GroupedSums<KIND, REACH, false, T>>(a, levels, block, first_row, shared);
    } else if constexpr (KIND != Integers::LEVELS) {
        gemm<KIND, REACH, true, T, GroupedSums<KIND, REACH, true, T>>(a, levels, block, first_row, shared);
    }
}

// A block: the matrix that it is for.
template <Integers KIND, Reach REACH, class T>
DEVICE void gemm(const LinearBatch& batch) {
    follow_previous();
    DYNAMIC_SHARED(shared);
    int block = static_cast<int>(blockIdx.x);
    const LinearArgs& a = batch.of(block);
    gemm<KIND, REACH, T>(a, Levels(batch.levels), block, static_cast<int>(blockIdx.y) * T::M, shared);
}

// The same of the rows of a tile, by the matrix of their group.
template <Integers KIND, Reach REACH, class T>
DEVICE void gemm_grouped(const LinearBatch& batch) {
    follow_previous();
    DYNAMIC_SHARED(shared);
    const GroupTile tile = batch.tiles[blockIdx.y];
    if (tile.begin == tile.end) {
        return;
    }
    int block = static_cast<int>(blockIdx.x);
    const LinearArgs a = batch.of(block).of(tile);
    gemm<KIND, REACH, T>(a, Levels(batch.levels), block, tile.begin, shared);
}

using Rows16 = GemmTile<16, 64, 16, 16, 4>;
using Rows32 = GemmTile<32, 64, 32, 16, 3>;
using PerRow32 = GemmTile<32, 64, 32, 16, 4>;
using Rows64 = GemmTile<64, 64, 32, 16, 1>;
using PerRow64 = GemmTile<64, 64, 32, 16, 2>;
using Rows128 = GemmTile<128, 64, 32, 32, 1>;
using PerRow128 = GemmTile<128, 128, 64, 32, 2>;

}  // namespace demitasse

#define GEMM_OF(function, name, KIND, REACH, TILE)                                                       \
    KERNEL_BLOCKS(demitasse::TILE::THREADS, demitasse::TILE::BLOCKS)                                     \
    name(const GRID_CONSTANT demitasse::LinearBatch batch) {                                             \
        demitasse::function<demitasse::Integers::KIND, demitasse::Reach::REACH, demitasse::TILE>(batch); \
    }                                                                                                    \
    EXPORT(name)
#define GEMM(name, KIND, REACH, TILE) GEMM_OF(gemm, name, KIND, REACH, TILE)
#define GEMM_GROUPED(name, KIND, REACH, TILE) GEMM_OF(gemm_grouped, name, KIND, REACH, TILE)
