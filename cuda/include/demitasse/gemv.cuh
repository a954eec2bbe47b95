// Few rows of activations by integer weights: what gemv_int4.cu, gemv_int8.cu and gemv_grouped.cu are made of.
//
// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n]; w = s n, or s q + m (weights.cuh).
// Layout:   weights.cuh; output.cuh. Activations INT8 in tiles with their groups (quantize_rows), or FP32 rows in
//           order.
// Requires: integers of activations padded to whole tiles, columns with zeros; a ring of two slots at least.
// Accuracy: a group's products are integers and exact (32 x 128 x 127 at most); FP32 folds in the order of weights.cuh:
//           groups within a segment, then segments. So a row has the same bits in any number of rows, with any number
//           of blocks, and in gemm_int8. Where scales are of whole rows sums are integers to the end. With FP32
//           activations a lane sums its columns in FP32, and a row that is not finite gives NaN.
// Launch:   (at most outputs / Rows::OUTPUTS of each matrix, rows / Rows::ROWS) blocks of GEMV_THREADS; the blocks of a
//           matrix share its outputs as evenly as can be. Static shared memory: a ring for each warp, and two buffers
//           of partial sums.
// Moves:    weights and scales once for each Rows::ROWS rows; 2 operations an element and row.
// Why:      gemv_int4.cu says it, with what was measured.
//
// The words:
//
//   segment   A warp takes one of the at most eight segments of the columns (weights.cuh), for all of the block's
//             outputs, so that small matrices also keep eight warps reading.
//   Stream    A segment's weights on their way to shared memory, one slot after the other (tile_stream.cuh): a
//             TileStream, of a tile of eight outputs with its scales, or a PairStream, of two. It has BYTES, of a slot;
//             start(a, block, tile), which goes to a tile; copy_next(a, slot, policy), with which all lanes start the
//             asynchronous copies of a tile and go to the next; and Slot and load(to, slot), what a lane takes of it.
//   ring      A warp's slots in shared memory, as many as fit RING_BYTES. While one is multiplied the others are being
//             filled, also with those of the next outputs.
//   Rows      A policy: how a warp multiplies a slot by rows of activations (gemv_rows.cuh). It has
//               ROWS, OUTPUTS        results of a block
//               Partial              the type of a segment's sums; INTEGERS: that is int, and scales come at the end
//               EXACT                whether activations are FP32
//               PREFETCHES           whether the first-level cache is to have the segment's activations beforehand
//               Stream<FP16_SCALES>  what it reads
//               Inputs               what a lane holds of the activations that meet a slot
//               Rows(a, levels, row, tile)   for rows from `row` on, and a segment that begins with that tile
//               begin(a, block)      sums are zero again, for the block's outputs
//               load(inputs, i)      of the segment's i-th slot
//               add<Stream>(a, slot, inputs, tile)
//               store_partials(to)   the segment's sums, [row][output]
//   epilogue  What happens to a result once all segments have stored theirs: they are added in order, meet the scales
//             of whole rows and the bias, and are stored as what is wanted.
#pragma once

#include "demitasse/gemv_bulk.cuh"

namespace demitasse {

// Brings a segment's activations to the first-level cache: `count` tiles of weights from `tile` on, up to ROWS rows.
template <Integers KIND, int ROWS>
DEVICE void prefetch_inputs(const LinearArgs& a, int first_row, int tile, int count) {
    using Tile = WeightTile<KIND>;
    const int rows = minimum(ROWS, static_cast<int>(a.rows) - first_row);
    for (int i = lane(); i < count * Tile::INPUTS; i += 32) {
        for (int row = first_row; row < first_row + rows; row++) {
            const int64_t at = row / TILE_OUTPUTS * a.tiles * Tile::INPUTS + tile * Tile::INPUTS + i;
            prefetch(a.q + at * TILE_BYTES + row % TILE_OUTPUTS * 64);
            prefetch(a.groups_of<KIND>(row) + tile * Tile::INPUTS + i);
        }
    }
}

// A thread's result: the sums of the segments, in their order. thread: [row][output].
template <Integers KIND, class Rows>
DEVICE void epilogue(const LinearArgs& a, const typename Rows::Partial* partials, int block, int first_row,
                     unsigned thread) {
    const int row = first_row + static_cast<int>(thread / Rows::OUTPUTS);
    const int output = block * Rows::OUTPUTS + static_cast<int>(thread % Rows::OUTPUTS);
    if (thread >= Rows::ROWS * Rows::OUTPUTS || row >= a.rows || output >= a.outputs) {
        return;
    }
    typename Rows::Partial sum = partials[thread];
    for (int s = 1; s < a.segments(); s++) {
        sum += partials[s * Rows::ROWS * Rows::OUTPUTS + thread];
    }
    float result;
    if constexpr (Rows::INTEGERS) {
        result = a.fold_row<KIND>(sum, a.row_input<KIND>(row), a.groups_of<KIND>(row)->scales[0], output);
    } else {
        result = sum;
    }
    if constexpr (Rows::EXACT) {
        if (!is_finite(result) && has_non_finite(a.x + row * a.columns, a.columns)) {
            result = not_a_number();
        }
    }
    a.out.store(row * a.outputs + output, a.with_bias(result, output));
}

constexpr int RING_BYTES = EXACT_GEMV_SHARED_BYTES / SEGMENTS;  // of lanes' copies
static_assert(RING_BYTES == gemv_ring_bytes(80));
constexpr bool BULK = gemv_bulk(CAPABILITY) != 0;

template <class Stream>
constexpr DEVICE int ring_slots() {
    static_assert(RING_BYTES >= 2 * Stream::BYTES, "one slot is read while another is filled");
    return RING_BYTES / Stream::BYTES;
}

// The work of a warp where asynchronous copies are those of lanes: its segment of the columns of `blocks` times
// Rows::OUTPUTS outputs. Calls `finish` with a block when its sums are complete.
template <Integers KIND, class Rows, class Stream, class Finish>
DEVICE void multiply(const LinearArgs& a, const Levels& levels, int first_block, int blocks, int first_row,
                     unsigned char* ring, const Finish& finish) {
    constexpr int SLOTS = ring_slots<Stream>();
    const int segment = warp();
    const bool works = segment < a.segments();
    const int first = works ? a.segment_begin(segment) : 0;
    const int count = works ? a.segment_begin(segment + 1) - first : 0;
    unsigned char* const ring_end = ring + SLOTS * Stream::BYTES;
    const uint64_t policy = once_policy();
    Stream stream;
    stream.start(a, first_block, first);
    int next_block = 0;  // where the stream is
    int next_tile = 0;
    unsigned char* next_slot = ring;
    auto prefetch_tile = [&] {
        if (next_block < blocks && count > 0) {
            stream.copy_next(a, next_slot, policy);
            next_slot = next_slot + Stream::BYTES == ring_end ? ring : next_slot + Stream::BYTES;
            if (++next_tile == count) {
                next_tile = 0;
                if (++next_block < blocks) {
                    stream.start(a, first_block + next_block, first);
                }
            }
        }
        copy_async_commit();
    };
#pragma unroll 1
    for (int i = 0; i < SLOTS - 1; i++) {
        prefetch_tile();
    }
    await_previous();  // weights do not depend on it, activations do
    Rows rows(a, levels, first_row, first);
    if constexpr (Rows::PREFETCHES) {
        prefetch_inputs<KIND, Rows::ROWS>(a, first_row, first, count);
    }
    const unsigned char* slot = ring;
#pragma unroll 1
    for (int b = 0; b < blocks; b++) {
        rows.begin(a, first_block + b);
#pragma unroll 1
        for (int i = 0; i < count; i++) {
            copy_async_wait<SLOTS - 2>();
            __syncwarp();  // all lanes' copies are there, and all have read the slot that is filled next
            prefetch_tile();
            typename Rows::Inputs inputs;
            rows.load(inputs, i);
            rows.template add<typename Stream::Single>(a, typename Stream::Place{slot}, inputs, first + i);
            slot = slot + Stream::BYTES == ring_end ? ring : slot + Stream::BYTES;
        }
        finish(b, rows);
    }
    copy_async_wait<0>();
}

// The work of a block: its warps' segments, and their sums.
template <Integers KIND, template <Integers, Reach, bool> class RowsOf, Reach REACH, bool FP16_SCALES, bool MINIMUM>
DEVICE void multiply_segments(const LinearArgs& a, const Levels& levels, int first_block, int blocks, int first_row,
                              typename RowsOf<KIND, REACH, MINIMUM>::Partial* partials, unsigned char* ring) {
    using Rows = RowsOf<KIND, REACH, MINIMUM>;
    using Stream = typename Rows::template Stream<FP16_SCALES>;
    constexpr int RESULTS = Rows::ROWS * Rows::OUTPUTS;
    // Two buffers, so that one barrier is enough: who writes to a buffer again has met those who read it.
    auto finish = [&](int b, const Rows& rows) {
        typename Rows::Partial* buffer = partials + b % 2 * SEGMENTS * RESULTS;
        if (warp() < a.segments()) {
            rows.store_partials(buffer + warp() * RESULTS);
        }
        __syncthreads();
        epilogue<KIND, Rows>(a, buffer, first_block + b, first_row,
                             (threadIdx.x + 32 * static_cast<unsigned>(b)) % GEMV_THREADS);
    };
    if constexpr (BULK && !Rows::EXACT) {
        multiply_bulk<KIND, Rows, typename Stream::Single>(a, levels, first_block, blocks, first_row, ring, finish);
    } else {
        multiply<KIND, Rows, Stream>(a, levels, first_block, blocks, first_row, ring, finish);
    }
}

// Rows from `first_row` on by the outputs of block `block` of `count`: what the scales of their matrix are.
template <Integers KIND, template <Integers, Reach, bool> class RowsOf, Reach REACH>
DEVICE void gemv(const LinearArgs& a, const Levels& levels, int block, int count, int first_row,
                 typename RowsOf<KIND, REACH, false>::Partial* partials, unsigned char* rings) {
    using Rows = RowsOf<KIND, REACH, false>;
    unsigned char* ring = rings + warp() * (BULK && !Rows::EXACT ? BULK_RING + BULK_BARRIERS : RING_BYTES);
    const int all_blocks = (static_cast<int>(a.outputs) + Rows::OUTPUTS - 1) / Rows::OUTPUTS;
    const int first_block = block * all_blocks / count;
    const int blocks = (block + 1) * all_blocks / count - first_block;
    if constexpr (REACH == Reach::PER_ROW) {
        multiply_segments<KIND, RowsOf, REACH, true, false>(a, levels, first_block, blocks, first_row, partials, ring);
    } else if constexpr (KIND == Integers::LEVELS) {  // which have no minimums
        if (a.fp16_scales != 0) {
            multiply_segments<KIND, RowsOf, REACH, true, false>(a, levels, first_block, blocks, first_row, partials,
                                                                ring);
        } else {
            multiply_segments<KIND, RowsOf, REACH, false, false>(a, levels, first_block, blocks, first_row, partials,
                                                                 ring);
        }
    } else if (a.fp16_scales != 0 && a.mins == nullptr) {
        multiply_segments<KIND, RowsOf, REACH, true, false>(a, levels, first_block, blocks, first_row, partials, ring);
    } else if (a.fp16_scales != 0) {
        multiply_segments<KIND, RowsOf, REACH, true, true>(a, levels, first_block, blocks, first_row, partials, ring);
    } else if (a.mins == nullptr) {
        multiply_segments<KIND, RowsOf, REACH, false, false>(a, levels, first_block, blocks, first_row, partials, ring);
    } else {
        multiply_segments<KIND, RowsOf, REACH, false, true>(a, levels, first_block, blocks, first_row, partials, ring);
    }
}

// A block: the matrix that it is for.
template <Integers KIND, template <Integers, Reach, bool> class RowsOf, Reach REACH>
DEVICE void gemv(const LinearBatch& batch) {
    using Rows = RowsOf<KIND, REACH, false>;
    launch_dependents();
    SHARED(typename Rows::Partial, partials, 2 * SEGMENTS * Rows::ROWS * Rows::OUTPUTS);
    DYNAMIC_SHARED(rings);
    int block = static_cast<int>(blockIdx.x);
    int count;
    const LinearArgs& a = batch.of(block, count);
    gemv<KIND, RowsOf, REACH>(a, Levels(batch.levels), block, count, static_cast<int>(blockIdx.y) * Rows::ROWS,
                              partials, rings);
}

// The same of the rows of a tile, by the matrix of their group: kernels before this one say which that is, so that its
// weights cannot be on their way earlier.
template <Integers KIND, template <Integers, Reach, bool> class RowsOf, Reach REACH>
DEVICE void gemv_grouped(const LinearBatch& batch) {
    using Rows = RowsOf<KIND, REACH, false>;
    follow_previous();
    SHARED(typename Rows::Partial, partials, 2 * SEGMENTS * Rows::ROWS * Rows::OUTPUTS);
    DYNAMIC_SHARED(rings);
    const GroupTile tile = batch.tiles[blockIdx.y];
    const int first_row = tile.begin + static_cast<int>(blockIdx.z) * Rows::ROWS;
    if (first_row >= tile.end) {
        return;
    }
    int block = static_cast<int>(blockIdx.x);
    int count;
    const LinearArgs a = batch.of(block, count).of(tile);
    gemv<KIND, RowsOf, REACH>(a, Levels(batch.levels), block, count, first_row, partials, rings);
}

}  // namespace demitasse

// BLOCKS of a multiprocessor, at least; two where rings are large.
#define GEMV_OF(function, name, KIND, REACH, Rows, BLOCKS)                                           \
    KERNEL_BLOCKS(demitasse::GEMV_THREADS, demitasse::BULK ? demitasse::minimum(2, BLOCKS) : BLOCKS) \
    name(const GRID_CONSTANT demitasse::LinearBatch batch) {                                         \
        using namespace demitasse;                                                                   \
        function<Integers::KIND, Rows, Reach::REACH>(batch);                                         \
    }                                                                                                \
    EXPORT(name)
#define GEMV(name, KIND, REACH, Rows, BLOCKS) GEMV_OF(gemv, name, KIND, REACH, Rows, BLOCKS)
#define GEMV_GROUPED(name, KIND, REACH, Rows, BLOCKS) GEMV_OF(gemv_grouped, name, KIND, REACH, Rows, BLOCKS)
