// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for many rows; w = s (q - zero), or s q + m; weights INT8 or INT4.
// Layout:   weights.cuh; output.cuh; activations INT8 with a scale for 32 columns or for a row (quantize_rows).
// Requires: integers of activations padded to whole tiles, columns with zeros. Dynamic shared memory: GemmShape::BYTES.
// Accuracy: sums of a part are integers and exact (32 x 128 x 127 fits 32 bits; whole rows: up to 131,072 columns); FP32
//           folds in the order of weights.cuh: the bits of gemv.
// Launch:   (outputs / N of all matrices, rows / M) blocks; or (…, …, segments), each of which leaves its sums in
//           `partial` for linear_finish.
// Moves:    weights once for each M rows, activations once for each N outputs; 2 operations an element and row.
// Why:      INT8 tensor cores by mma.m16n8k32. Both operands lie in fragment order, so they go to shared memory as they are
//           and to registers in loads of 16 bytes, which hold two groups. One group of 32 columns is one mma; its four sums
//           a lane then cost two or three FP32 operations each, which bounds grouped weights at about a quarter of the INT8
//           peak. With one scale a row (W8A8) there is one fold at the end. Three stages of asynchronous copies. Not run on
//           a GPU yet.
#include "demitasse/weights.cuh"

namespace demitasse {

// A block computes M rows by N outputs, a warp WARP_M by WARP_N of them.
template <int M_, int N_, int WARP_M_, int WARP_N_>
struct GemmTile {
    static constexpr int M = M_, N = N_, WARP_M = WARP_M_, WARP_N = WARP_N_;
    static constexpr int THREADS = M / WARP_M * (N / WARP_N) * 32;
    static constexpr int BLOCKS =
        THREADS <= 128 ? 2 : 1;  // of a multiprocessor, at least: leaves a thread all registers
};

// A number that the compiler knows.
template <int VALUE>
struct Constant {
    DEVICE constexpr operator int() const { return VALUE; }
};

// What lies in a stage of shared memory.
template <int BITS, Part PART, class T>
struct GemmShape {
    using Tile = WeightTile<BITS>;
    static constexpr int PARTS = Tile::parts(PART);
    static constexpr int ACTIVATIONS = T::M * Tile::COLUMNS;
    static constexpr int WEIGHTS = T::N / TILE_OUTPUTS * TILE_BYTES;
    static constexpr int SCALES = PART == Part::ROW ? 0 : T::N * PARTS * 4;
    static constexpr int GROUPS =
        PART == Part::ROW ? 0 : T::M * Tile::GROUPS * static_cast<int>(sizeof(ActivationGroup));
    static constexpr int STAGE = ACTIVATIONS + WEIGHTS + 2 * SCALES + GROUPS;
    static constexpr int STAGES = 3;
    static constexpr int BYTES = STAGES * STAGE;
};

template <int BITS, Part PART, class T>
struct Gemm {
    using Tile = WeightTile<BITS>;
    using Shape = GemmShape<BITS, PART, T>;
    static constexpr int FRAGMENTS_M = T::WARP_M / 16;
    static constexpr int FRAGMENTS_N = T::WARP_N / 8;

    const LinearArgs& a;
    unsigned char* shared;
    int first_row, first_tile;  // of the block: rows, and tiles of outputs
    int warp_m, warp_n;         // of the warp, within the block

    DEVICE Gemm(const LinearArgs& args, int block, unsigned char* memory)
        : a(args),
          shared(memory),
          first_row(static_cast<int>(blockIdx.y) * T::M),
          first_tile(block * (T::N / TILE_OUTPUTS)),
          warp_m(warp() / (T::N / T::WARP_N) * T::WARP_M),
          warp_n(warp() % (T::N / T::WARP_N) * T::WARP_N) {}

    DEVICE unsigned char* stage(int tile) const { return shared + tile % Shape::STAGES * Shape::STAGE; }

    // Copies `bytes` a line, a multiple of 16, for `lines` lines; lines beyond `limit` are zeros.
    template <class Source>
    DEVICE static void copy_lines(unsigned char* to, int lines, int bytes, int limit, Source source) {
        const int chunks = bytes / 16;
        for (int i = static_cast<int>(threadIdx.x); i < lines * chunks; i += T::THREADS) {
            const int line = i / chunks;
            const int at = i % chunks * 16;
            copy_async16(to + line * bytes + at, source(minimum(line, limit - 1)) + at, line < limit ? 16 : 0);
        }
    }

    // Asks for everything of one tile of columns.
    DEVICE void load(int tile) const {
        unsigned char* to = stage(tile);
        const int64_t padded = a.tiles * Tile::COLUMNS;
        const int rows = static_cast<int>(a.rows) - first_row;
        const int outputs = round_up(static_cast<int>(a.outputs), TILE_OUTPUTS) / TILE_OUTPUTS - first_tile;
        constexpr int INPUT_BYTES = Tile::INPUTS * TILE_BYTES;
        copy_lines(to, T::M / TILE_OUTPUTS, INPUT_BYTES, round_up(rows, TILE_OUTPUTS) / TILE_OUTPUTS,
                   [&](int m) { return a.q + ((first_row / TILE_OUTPUTS + m) * a.tiles + tile) * INPUT_BYTES; });
        to += Shape::ACTIVATIONS;
        copy_lines(to, T::N / TILE_OUTPUTS, TILE_BYTES, outputs,
                   [&](int n) { return a.quants + ((first_tile + n) * a.tiles + tile) * TILE_BYTES; });
        to += Shape::WEIGHTS;
        if constexpr (PART != Part::ROW) {
            constexpr int COUNT = TILE_OUTPUTS * Shape::PARTS;
            if constexpr (PART == Part::HALF) {  // registers would not do for two loops
                load_scales(to, tile, outputs, COUNT * (a.half_scales != 0 ? 2 : 4));
            } else if (a.half_scales != 0) {
                load_scales(to, tile, outputs, Constant<COUNT * 2>{});
            } else {
                load_scales(to, tile, outputs, Constant<COUNT * 4>{});
            }
            to += 2 * Shape::SCALES;
            constexpr int LINE = Tile::GROUPS * static_cast<int>(sizeof(ActivationGroup));
            copy_lines(to, T::M, LINE, rows, [&](int row) {
                return reinterpret_cast<const unsigned char*>(a.groups + (first_row + row) * (padded / 32) +
                                                              tile * Tile::GROUPS);
            });
        }
    }

    // Scales and minimums of one tile of columns, `bytes` for eight outputs: a number, or better a constant.
    template <class Bytes>
    DEVICE void load_scales(unsigned char* to, int tile, int outputs, Bytes bytes) const {
        auto copy = [&](unsigned char* target, const void* from) {
            copy_lines(target, T::N / TILE_OUTPUTS, bytes, outputs, [&](int n) {
                return static_cast<const unsigned char*>(from) + ((first_tile + n) * a.tiles + tile) * bytes;
            });
        };
        copy(to, a.scales);
        if (a.mins != nullptr) {
            copy(to + Shape::SCALES, a.mins);
        }
    }

    // The lane's chunk of a tile in shared memory, in the order of fragments.
    DEVICE static Words4 load_chunk(const unsigned char* tile) {
        return load16(tile + chunk_offset(lane() / 4, lane() % 4));
    }

    // f(m, n, group, rows, first, second) for all fragments of a tile of columns: rows of activations, and the words of weights.
    template <class F>
    DEVICE void each_product(const unsigned char* stage, F f) const {
        Words4 weights[FRAGMENTS_N];
#pragma unroll
        for (int n = 0; n < FRAGMENTS_N; n++) {
            weights[n] = load_chunk(stage + Shape::ACTIVATIONS + (warp_n / 8 + n) * TILE_BYTES);
        }
#pragma unroll 1  // more than two groups at once, and registers are spilled
        for (int input = 0; input < Tile::INPUTS; input++) {
#pragma unroll
            for (int m = 0; m < FRAGMENTS_M; m++) {
                const unsigned char* rows = stage + ((warp_m / 8 + 2 * m) * Tile::INPUTS + input) * TILE_BYTES;
                const Words4 low = load_chunk(rows);  // rows 0 to 7, and 8 to 15
                const Words4 high = load_chunk(rows + Tile::INPUTS * TILE_BYTES);
                const uint32_t fragments[2][4] = {{low.x, high.x, low.y, high.y}, {low.z, high.z, low.w, high.w}};
#pragma unroll
                for (int k = 0; k < 2; k++) {
#pragma unroll
                    for (int n = 0; n < FRAGMENTS_N; n++) {
                        uint32_t first;
                        uint32_t second;
                        Tile::unpack(weights[n], 2 * input + k, first, second);
                        f(m, n, 2 * input + k, fragments[k], first, second);
                    }
                }
            }
        }
    }
};

// Sums with a fold for each part: those of the segment, and of the segments before it.
template <int BITS, Part PART, class T>
struct GroupedSums {
    using G = Gemm<BITS, PART, T>;
    using Shape = typename G::Shape;
    float segment[G::FRAGMENTS_M][G::FRAGMENTS_N][4] = {};
    float total[G::FRAGMENTS_M][G::FRAGMENTS_N][4] = {};

    DEVICE void add_tile(const G& gemm, const unsigned char* stage) {
        gemm.each_product(stage, [&](int m, int n, int g, const uint32_t(&rows)[4], uint32_t first, uint32_t second) {
            int products[4] = {};
            if constexpr (PART == Part::HALF) {
                int high[4] = {};
                mma_int8_k16(products, rows[0], rows[1], first);
                mma_int8_k16(high, rows[2], rows[3], second);
                fold(gemm, stage, m, n, g, 0, products);
                fold(gemm, stage, m, n, g, 1, high);
            } else {
                mma_int8_k32(products, rows, first, second);
                fold(gemm, stage, m, n, g, -1, products);
            }
        });
    }

    // half: which half of group g, or -1 for all of it.
    DEVICE void fold(const G& gemm, const unsigned char* stage, int m, int n, int g, int half,
                     const int (&products)[4]) {
        const LinearArgs& a = gemm.a;
        const unsigned char* scales = stage + Shape::ACTIVATIONS + Shape::WEIGHTS;
        const auto* groups = reinterpret_cast<const ActivationGroup*>(scales + 2 * Shape::SCALES);
        const int column = gemm.warp_n + n * 8 + lane() % 4 * 2;
        const int row = gemm.warp_m + m * 16 + lane() / 4;
        const bool has_minimum = a.mins != nullptr;
        auto fold_of = [&](int c) {
            const int at = (column + c) * Shape::PARTS + (half < 0 ? g : 2 * g + half);
            return Fold{a.scale(scales, at), has_minimum ? a.scale(scales + Shape::SCALES, at) : 0, has_minimum};
        };
        auto group_of = [&](int r) { return groups[(row + r * 8) * G::Tile::GROUPS + g]; };
        auto add = [&](int i, const Fold& fold, const ActivationGroup& group) {
            const int input = half < 0 ? group.sum() : group.half[half];
            segment[m][n][i] = fold(products[i], input, static_cast<int>(a.zero), group.scale, segment[m][n][i]);
        };
        if constexpr (PART == Part::GROUP) {
            const Fold folds[2] = {fold_of(0), fold_of(1)};
            const ActivationGroup both[2] = {group_of(0), group_of(1)};
#pragma unroll
            for (int i = 0; i < 4; i++) {
                add(i, folds[i % 2], both[i / 2]);
            }
        } else {  // parts are so small that registers would not hold more than one of each
#pragma unroll
            for (int i = 0; i < 4; i++) {
                add(i, fold_of(i % 2), group_of(i / 2));
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
                    total[m][n][i] = first ? segment[m][n][i] : total[m][n][i] + segment[m][n][i];
                    segment[m][n][i] = 0;
                }
            }
        }
    }

    DEVICE int input(const G&, int) const { return 0; }
    DEVICE float result(const G&, int m, int n, int i, int, int, int) const { return total[m][n][i]; }
};

// Integer sums of whole rows.
template <int BITS, class T>
struct WholeSums {
    using G = Gemm<BITS, Part::ROW, T>;
    int sums[G::FRAGMENTS_M][G::FRAGMENTS_N][4] = {};

    DEVICE void add_tile(const G& gemm, const unsigned char* stage) {
        gemm.each_product(stage, [&](int m, int n, int, const uint32_t(&rows)[4], uint32_t first, uint32_t second) {
            mma_int8_k32(sums[m][n], rows, first, second);
        });
    }

    DEVICE void end_segment(bool) {}

    DEVICE static const ActivationGroup* groups_of(const G& gemm, int row) {
        return gemm.a.groups + static_cast<int64_t>(row) * gemm.a.tiles * G::Tile::GROUPS;
    }

    DEVICE int input(const G& gemm, int row) const {
        return gemm.a.row_input(groups_of(gemm, row), static_cast<int>(gemm.a.tiles) * G::Tile::GROUPS);
    }

    DEVICE float result(const G& gemm, int m, int n, int i, int input, int row, int output) const {
        return gemm.a.fold_row(sums[m][n][i], input, groups_of(gemm, row)->scale, output);
    }
};

template <int BITS, Part PART, class T, class Sums>
DEVICE void gemm(const LinearBatch& batch) {
    DYNAMIC_SHARED(shared);
    using Shape = GemmShape<BITS, PART, T>;
    int block = static_cast<int>(blockIdx.x);
    const LinearArgs& a = batch.of(block);
    const Gemm<BITS, PART, T> gemm(a, block, shared);
    const bool split = gridDim.z > 1;
    const int first_segment = split ? static_cast<int>(blockIdx.z) : 0;
    const int last_segment = split ? first_segment + 1 : a.segments();
    const int begin = a.segment_begin(first_segment);
    const int end = a.segment_begin(last_segment);
    Sums sums;
    for (int tile = begin; tile < begin + Shape::STAGES - 1; tile++) {
        if (tile < end) {
            gemm.load(tile);
        }
        copy_async_commit();
    }
    int tile = begin;
    for (int segment = first_segment; segment < last_segment; segment++) {
        for (; tile < a.segment_begin(segment + 1); tile++) {
            copy_async_wait<Shape::STAGES - 2>();
            __syncthreads();  // the tile is there for all, and nobody reads the stage that is filled next
            if (tile + Shape::STAGES - 1 < end) {
                gemm.load(tile + Shape::STAGES - 1);
            }
            copy_async_commit();
            sums.add_tile(gemm, gemm.stage(tile));
        }
        sums.end_segment(segment == first_segment);
    }
    copy_async_wait<0>();
    const Output out = split ? Output{a.partial, OutputType::F32} : a.out;
    const int64_t first = split ? static_cast<int64_t>(blockIdx.z) * a.rows * a.outputs : 0;
#pragma unroll
    for (int m = 0; m < T::WARP_M / 16; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = gemm.first_row + gemm.warp_m + m * 16 + lane() / 4 + half * 8;
            const int input = row < a.rows ? sums.input(gemm, row) : 0;
#pragma unroll
            for (int n = 0; n < T::WARP_N / 8; n++) {
                const int output = gemm.first_tile * TILE_OUTPUTS + gemm.warp_n + n * 8 + lane() % 4 * 2;
                const int count = row < a.rows ? minimum(2, static_cast<int>(a.outputs) - output) : 0;
                float pair[2] = {};
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    if (i < count) {
                        const float sum = sums.result(gemm, m, n, 2 * half + i, input, row, output + i);
                        pair[i] = split ? sum : a.with_bias(sum, output + i);
                    }
                }
                out.store_pair(first + row * a.outputs + output, pair, count);
            }
        }
    }
}

using Rows16 = GemmTile<16, 64, 16, 16>;
using Rows64 = GemmTile<64, 64, 32, 16>;
using Rows128 = GemmTile<128, 64, 32, 32>;
using HalfRows128 = GemmTile<128, 64, 32, 16>;  // two folds a group: with larger parts of a warp registers are spilled
using WholeRows128 = GemmTile<128, 128, 64, 32>;

}  // namespace demitasse

using demitasse::LinearBatch;
using demitasse::Part;

#define GEMM_GROUPS(name, BITS, PART, TILE)                                                                        \
    KERNEL_BLOCKS(demitasse::TILE::THREADS, demitasse::TILE::BLOCKS) name(const GRID_CONSTANT LinearBatch batch) { \
        demitasse::gemm<BITS, PART, demitasse::TILE, demitasse::GroupedSums<BITS, PART, demitasse::TILE>>(batch);  \
    }                                                                                                              \
    EXPORT(name)
#define GEMM_WHOLE(name, BITS, TILE)                                                                               \
    KERNEL_BLOCKS(demitasse::TILE::THREADS, demitasse::TILE::BLOCKS) name(const GRID_CONSTANT LinearBatch batch) { \
        demitasse::gemm<BITS, Part::ROW, demitasse::TILE, demitasse::WholeSums<BITS, demitasse::TILE>>(batch);     \
    }                                                                                                              \
    EXPORT(name)
#define GEMM(BITS, element)                                                \
    GEMM_GROUPS(gemm_##element##_group_m16, BITS, Part::GROUP, Rows16)     \
    GEMM_GROUPS(gemm_##element##_group_m64, BITS, Part::GROUP, Rows64)     \
    GEMM_GROUPS(gemm_##element##_group_m128, BITS, Part::GROUP, Rows128)   \
    GEMM_GROUPS(gemm_##element##_half_m16, BITS, Part::HALF, Rows16)       \
    GEMM_GROUPS(gemm_##element##_half_m64, BITS, Part::HALF, Rows64)       \
    GEMM_GROUPS(gemm_##element##_half_m128, BITS, Part::HALF, HalfRows128) \
    GEMM_WHOLE(gemm_##element##_row_m16, BITS, Rows16)                     \
    GEMM_WHOLE(gemm_##element##_row_m64, BITS, Rows64)                     \
    GEMM_WHOLE(gemm_##element##_row_m128, BITS, WholeRows128)

GEMM(8, int8)
GEMM(4, int4)
