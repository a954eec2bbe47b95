// Weights on their way from memory to the warps of gemv.
#pragma once

#include "demitasse/weights.cuh"

namespace demitasse {

// What a lane takes of a tile: a chunk of 16 bytes of output lane() / 4, and all scales and minimums of that output.
template <Integers KIND, Reach REACH, bool FP16_SCALES, bool MINIMUM>
struct TileSlot {
    using Tile = WeightTile<KIND>;
    static constexpr int WORDS = REACH == Reach::PER_ROW ? 1 : Tile::scales(REACH) / (FP16_SCALES ? 2 : 1);
    uint32_t weights[4];
    uint32_t scales[WORDS];
    uint32_t mins[MINIMUM ? WORDS : 1];

    DEVICE static float number(const uint32_t* words, int i) {
        return FP16_SCALES ? fp16_to_float(static_cast<uint16_t>(words[i / 2] >> 16 * (i % 2)))
                           : __uint_as_float(words[i]);
    }
    // The fold of scale i of the output.
    DEVICE Fold<KIND, MINIMUM> fold(int i) const { return {number(scales, i), MINIMUM ? number(mins, i) : 0}; }
};

// Tiles of a segment on their way from memory to a warp's ring of slots in shared memory: 512 bytes, their scales,
// their minimums. Registers would not do: a compiler waits for all loads under way where it wants one, asynchronous
// copies are waited for in their order.
template <Integers KIND, Reach REACH, bool FP16_SCALES, bool MINIMUM>
struct TileStream {
    using Single = TileStream;
    using Slot = TileSlot<KIND, REACH, FP16_SCALES, MINIMUM>;
    static constexpr bool HAS_MINIMUM = MINIMUM;
    static constexpr int SCALES = REACH == Reach::PER_ROW ? 0 : TILE_OUTPUTS * Slot::WORDS * 4;  // bytes
    static constexpr int BYTES = TILE_BYTES + SCALES * (MINIMUM ? 2 : 1);
    const uint8_t* weights;  // the lane's chunk of the next tile
    const uint8_t* scales = nullptr;

    // Goes to a tile of a row of tiles.
    DEVICE void start(const LinearArgs& a, int block, int tile) {
        const int64_t at = block * a.tiles + tile;
        weights = a.quants + at * TILE_BYTES + lane() * 16;
        if constexpr (REACH != Reach::PER_ROW) {
            scales = static_cast<const uint8_t*>(a.scales) + at * SCALES + lane() * 16;
        }
    }

    // The tile that lies `ahead` tiles further.
    DEVICE void copy(const LinearArgs& a, unsigned char* slot, int ahead, uint64_t policy) const {
        copy_async_once16(slot + lane() * 16, weights + static_cast<int64_t>(ahead) * TILE_BYTES, policy);
        if constexpr (REACH != Reach::PER_ROW) {
            if (lane() * 16 < SCALES) {
                const uint8_t* from = scales + static_cast<int64_t>(ahead) * SCALES;
                copy_async_once16(slot + TILE_BYTES + lane() * 16, from, policy);
                if constexpr (MINIMUM) {
                    // registers are few: the distance is worked out each time
                    from += static_cast<const uint8_t*>(a.mins) - static_cast<const uint8_t*>(a.scales);
                    copy_async_once16(slot + TILE_BYTES + SCALES + lane() * 16, from, policy);
                }
            }
        }
    }
    DEVICE void copy_next(const LinearArgs& a, unsigned char* slot, uint64_t policy) {
        copy(a, slot, 0, policy);
        advance();
    }
    DEVICE void advance() {
        weights += TILE_BYTES;
        scales += REACH == Reach::PER_ROW ? 0 : SCALES;
    }

    // What the lane takes of a tile whose scales, and minimums behind them by `to_mins`, are where they say.
    DEVICE static void load(Slot& to, const unsigned char* tile, const unsigned char* tile_scales, int to_mins) {
        load_words(to.weights, tile + chunk_offset(lane() / 4, lane() % 4));
        if constexpr (REACH != Reach::PER_ROW) {
            const unsigned char* own = tile_scales + lane() / 4 * Slot::WORDS * 4;
            load_words(to.scales, own);
            if constexpr (MINIMUM) {
                load_words(to.mins, own + to_mins);
            }
        }
    }
    DEVICE static void load(Slot& to, const unsigned char* slot) { load(to, slot, slot + TILE_BYTES, SCALES); }

    // A slot.
    struct Place {
        const unsigned char* slot;
    };
};

// The same of two tiles, one below the other.
template <class Single_>
struct PairStream {
    using Single = Single_;
    static constexpr int BYTES = 2 * Single::BYTES;
    Single first;
    int to_second;  // tiles

    // block: of two tiles; where there is no second one, the first is read again, and its results are left out.
    DEVICE void start(const LinearArgs& a, int block, int tile) {
        first.start(a, 2 * block, tile);
        to_second = (2 * block + 1) * TILE_OUTPUTS < a.outputs ? static_cast<int>(a.tiles) : 0;
    }

    DEVICE void copy_next(const LinearArgs& a, unsigned char* slot, uint64_t policy) {
        first.copy(a, slot, 0, policy);
        first.copy(a, slot + Single::BYTES, to_second, policy);
        first.advance();
    }

    // A slot: tile t of the two.
    struct Place {
        const unsigned char* slot;
        DEVICE void load(typename Single::Slot& to, int t) const { Single::load(to, slot + t * Single::BYTES); }
    };
};

}  // namespace demitasse
