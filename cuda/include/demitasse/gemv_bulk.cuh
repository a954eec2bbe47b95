// The work of a warp of gemv where there are bulk copies (sm_90): a stage of its ring is filled by at most six of them,
// which one lane each starts, not by all lanes for every tile. Half of the instructions are gone with that, and what is
// left of a stage, four tiles of sixteen outputs, is independent work.
#pragma once

#include "demitasse/gemv_rows.cuh"
#include "demitasse/hopper.cuh"

namespace demitasse {

// Bytes of a warp's ring, and tiles of a stage. Variants with others (cuda/variants) are made to be timed alone.
#ifdef VARIANT_RING
constexpr int BULK_RING = VARIANT_RING, BULK_TILES = VARIANT_TILES;
#else
constexpr int BULK_RING = gemv_ring_bytes(90) - BULK_BARRIERS, BULK_TILES = 4;
#endif

// A stage: some tiles of two rows of tiles. Of each row first the tiles, then their scales, then their minimums.
template <class Single_>
struct BulkStage {
    using Single = Single_;
    static constexpr bool HAS_SCALES = Single::SCALES > 0;
    static constexpr bool HAS_MINIMUM = HAS_SCALES && Single::HAS_MINIMUM;
    static constexpr int RING = BULK_RING;
    static constexpr int KINDS = 1 + HAS_SCALES + HAS_MINIMUM;  // of copies of a row
    static constexpr int SLOT = 2 * Single::BYTES;              // of one tile; there are two slots at least
    static constexpr int TILES = 2 * BULK_TILES * SLOT <= RING ? BULK_TILES : 4 * SLOT <= RING ? 2 : 1;
    static constexpr int SCALES = TILES * Single::SCALES;
    static constexpr int PART = TILES * Single::BYTES;  // of a row
    static constexpr int BYTES = 2 * PART;
    static constexpr int SLOTS = RING / BYTES;
    static_assert(SLOTS >= 2, "one slot is read while another is filled");
    static_assert(SLOTS * 8 <= BULK_BARRIERS);

    // Tile i of a stage, of either row.
    struct Place {
        const unsigned char* stage;
        int i;
        DEVICE void load(typename Single::Slot& to, int row) const {
            const unsigned char* part = stage + row * PART;
            Single::load(to, part + i * TILE_BYTES, part + TILES * TILE_BYTES + i * Single::SCALES, SCALES);
        }
    };
};

// Fills a warp's stages, one after the other: lane 2 k + r starts the copies of kind k (tiles, scales, minimums) of
// row r.
template <class Stage>
struct BulkStream {
    const uint8_t* from;  // what the lane copies of the first tile of the matrix
    int unit;             // bytes of a tile
    int to;               // where in a stage
    int row = lane() % 2;
    unsigned char* ring;
    uint64_t* full;
    int slot = 0;

    DEVICE BulkStream(const LinearArgs& a, unsigned char* of_warp)
        : ring(of_warp), full(reinterpret_cast<uint64_t*>(of_warp + Stage::RING)) {
        const int kind = lane() / 2;
        from = kind == 0 ? a.quants : static_cast<const uint8_t*>(kind == 1 ? a.scales : a.mins);
        unit = kind == 0 ? TILE_BYTES : Stage::Single::SCALES;
        to = row * Stage::PART + (kind == 0 ? 0 : Stage::TILES * TILE_BYTES + (kind - 1) * Stage::SCALES);
        if (lane() == 0) {
            for (int i = 0; i < Stage::SLOTS; i++) {
                mbarrier_init(full + i, 1);
            }
            mbarrier_init_fence();
        }
        __syncwarp();
    }

    // Starts the copies of `count` tiles from `tile` on, of the two rows of tiles of a block of outputs; where there is
    // no second row the first is read again, and its results are left out.
    DEVICE void fill(const LinearArgs& a, int block, int tile, int count) {
        if (lane() == 0) {
            mbarrier_expect(full + slot, static_cast<unsigned>(2 * count * Stage::Single::BYTES));
        }
        __syncwarp();
        if (lane() < 2 * Stage::KINDS) {
            const bool second = row == 1 && (2 * block + 1) * TILE_OUTPUTS < a.outputs;
            const int64_t at = (2 * block + (second ? 1 : 0)) * a.tiles + tile;
            copy_bulk_once(ring + slot * Stage::BYTES + to, from + at * unit, static_cast<unsigned>(count * unit),
                           full + slot);
        }
        slot = slot + 1 == Stage::SLOTS ? 0 : slot + 1;
    }
};

// A segment of the columns of `blocks` times Rows::OUTPUTS outputs. Calls `finish` with a block when its sums are
// complete.
template <Integers KIND, class Rows, class Single, class Finish>
DEVICE void multiply_bulk(const LinearArgs& a, const Levels& levels, int first_block, int blocks, int first_row,
                          unsigned char* ring, const Finish& finish) {
    using Stage = BulkStage<Single>;
    const int segment = warp();
    const bool works = segment < a.segments();
    const int first = works ? a.segment_begin(segment) : 0;
    const int count = works ? a.segment_begin(segment + 1) - first : 0;
    BulkStream<Stage> stream(a, ring);
    int next_block = 0;  // where the stream is
    int next_tile = 0;
    auto fill_next = [&] {
        if (next_block < blocks && count > 0) {
            const int tiles = minimum(Stage::TILES, count - next_tile);
            stream.fill(a, first_block + next_block, first + next_tile, tiles);
            next_tile += tiles;
            if (next_tile == count) {
                next_tile = 0;
                next_block++;
            }
        }
    };
#pragma unroll 1
    for (int i = 0; i < Stage::SLOTS; i++) {
        fill_next();
    }
    await_previous();  // weights do not depend on it, activations do
    Rows rows(a, levels, first_row, first);
    // Those of more rows do not fit the registers and are loaded where they are used.
    constexpr bool HOLDS = Rows::ROWS <= gemv_rows(4);
    typename Rows::Inputs inputs[HOLDS ? Stage::TILES : 1];
    int slot = 0;
    unsigned parity = 0;
#pragma unroll 1
    for (int b = 0; b < blocks; b++) {
        rows.begin(a, first_block + b);
#pragma unroll 1
        for (int tile = 0; tile < count; tile += Stage::TILES) {
            if (HOLDS && (b == 0 || count > Stage::TILES)) {  // else they are there
#pragma unroll
                for (int i = 0; i < Stage::TILES; i++) {
                    if (tile + i < count) {
                        rows.load(inputs[i], tile + i);
                    }
                }
            }
            mbarrier_wait(stream.full + slot, parity);
#pragma unroll
            for (int i = 0; i < Stage::TILES; i++) {
                if (tile + i < count) {
                    const typename Stage::Place place{ring + slot * Stage::BYTES, i};
                    if (!HOLDS) {
                        rows.load(inputs[0], tile + i);
                    }
                    rows.template add<Single>(a, place, inputs[HOLDS ? i : 0], first + tile + i);
                }
            }
            __syncwarp();  // all lanes have read the stage
            fill_next();
            if (++slot == Stage::SLOTS) {
                slot = 0;
                parity ^= 1;
            }
        }
        finish(b, rows);
    }
}

}  // namespace demitasse
