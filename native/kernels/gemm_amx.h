// Sixteen rows by a panel as tiles of bytes: what gemm_int4 and gemm_int8 are made of where there is AMX.
//
// A group of a panel of INT8 is a tile as it lies, eight rows of 16 words; other weights are unpacked to that, some
// columns ahead, once for all rows of a block. The unit multiplies 16 rows of 32 columns by it in 16 cycles, a quarter
// of what the dot product of four bytes takes; then the sums go through the first-level cache to be folded, which takes
// longer than they: the two go on side by side, with two tiles of sums that take turns. Measured (Sapphire Rapids, two
// cores, prompts of 512): Gemma 3 270M in Q4_K_M has 1.07 to 1.11 times the tokens a second that gemm_tile.h gives, in
// W8A8, which folds once a row, 1.06 to 1.16; matrices in half the time, as was expected, would give more. Sums are
// exact, and are folded as one row alone folds them, so that they have the same bits. Rows that fill no tile are left
// to gemm_tile.h.
#pragma once

#include "gemm_tile.h"

namespace demitasse::DM_ISA {

#if defined(DM_AMX)

constexpr int64_t STAGED_GROUPS = 32;  // of a panel that are unpacked at once: 16 KiB

// Groups [from, to) of a panel as signed bytes, [group][column / 4][row][4]; those of INT8 as they lie.
template <class W>
const int8_t* signed_groups(const IntegerPanel& p, int64_t from, int64_t to, int8_t* staged) {
    if constexpr (__is_same(W, Int8Weights)) {
        return reinterpret_cast<const int8_t*>(p.quants) + from * W::GROUP_BYTES;
    }
    const int32_t excess = W::OFFSET + weight_zero<W>(p);  // what unpack has added, and the weights' own zero
    const I32 bytes = set1_i(static_cast<int32_t>(static_cast<uint32_t>(-excess & 0xFF) * 0x01010101U));
    int8_t* to_bytes = staged;
    for (int64_t g = from; g < to; g++) {
        I32 w[8];
        W::template unpack<8>(p.quants + g * W::GROUP_BYTES, w);
        for (int i = 0; i < 8; i++, to_bytes += 64) {
            store_i(to_bytes, add_s8(w[i], bytes));
        }
    }
    force_stored(staged);
    return staged;
}

// What the products of a tile are of: 16 rows from `q` and `activations` on, groups of which lie `stride` rows apart.
struct AmxRows {
    const int8_t* q;
    const GroupActivation* activations;
    int64_t stride;
};

// Sums of sixteen rows by a panel, one register a row.
template <Part PART>
struct AmxSums {
    F32 sums[TILE_HEIGHT];

    void fold(const IntegerPanel& p, int64_t part, int half, const GroupActivation* a, const int32_t* products) {
        const Fold fold(p, part, 0);
        if (fold.has_minimum) {
#pragma GCC unroll 16
            for (int r = 0; r < TILE_HEIGHT; r++) {
                const float input = PART == Part::COLUMNS16 ? static_cast<float>(a[r].sums16[half]) : a[r].sum;
                sums[r] = fold(load_i(products + r * PANEL), input, a[r].scale, sums[r]);
            }
        } else {
#pragma GCC unroll 16
            for (int r = 0; r < TILE_HEIGHT; r++) {
                sums[r] = fold(load_i(products + r * PANEL), a[r].scale, sums[r]);
            }
        }
    }

    // Groups [from, to), whose weights are `weights`.
    void add(const IntegerPanel& p, const AmxRows& rows, int64_t from, int64_t to, const int8_t* weights) {
        constexpr int PARTS = PART == Part::COLUMNS16 ? 2 : 1;
        constexpr int BYTES = GROUP / PARTS;
        alignas(64) int32_t products[2][TILE_HEIGHT * PANEL];
        auto multiply = [&]<int T>(int64_t part) {
            const int64_t g = part / PARTS;
            tile_zero<T>();
            tile_load<2>(rows.q + g * rows.stride * GROUP + part % PARTS * BYTES, GROUP);
            tile_load<3>(weights + (part - from * PARTS) * BYTES * PANEL, 64);
            tile_dot<T>();
            tile_store<T>(products[T]);
        };
        auto fold_part = [&](int64_t part, int tile) {
            const GroupActivation* a = rows.activations + part / PARTS * rows.stride;
            fold(p, part, static_cast<int>(part % PARTS), a, products[tile]);
        };
        const int64_t end = to * PARTS;
        multiply.template operator()<0>(from * PARTS);
        for (int64_t part = from * PARTS; part < end; part += 2) {
            if (part + 1 < end) {
                multiply.template operator()<1>(part + 1);
            }
            fold_part(part, 0);
            if (part + 2 < end) {
                multiply.template operator()<0>(part + 2);
            }
            if (part + 1 < end) {
                fold_part(part + 1, 1);
            }
        }
    }
};

// `tiles` times sixteen rows of a block by a panel; sums: [row][16].
template <class W, Part PART>
void gemm_amx_panel(const IntegerPanel& p, AmxRows rows, int64_t tiles, float* sums) {
    alignas(64) int8_t staged[STAGED_GROUPS * GROUP * PANEL];
    for (int64_t from = 0; from < p.groups; from += STAGED_GROUPS) {
        const int64_t to = from + STAGED_GROUPS < p.groups ? from + STAGED_GROUPS : p.groups;
        const int8_t* weights = signed_groups<W>(p, from, to, staged);
        for (int64_t t = 0; t < tiles; t++) {
            float* at = sums + t * TILE_HEIGHT * PANEL;
            AmxSums<PART> tile;
            for (int r = 0; r < TILE_HEIGHT; r++) {
                tile.sums[r] = from == 0 ? zero() : load(at + r * PANEL);
            }
            const AmxRows of{rows.q + t * TILE_HEIGHT * GROUP, rows.activations + t * TILE_HEIGHT, rows.stride};
            tile.add(p, of, from, to, weights);
            for (int r = 0; r < TILE_HEIGHT; r++) {
                store(at + r * PANEL, tile.sums[r]);
            }
        }
    }
}

// The same where weights and activations have one scale a row: one fold at the end.
template <class W>
void gemm_amx_per_row(const IntegerPanel& p, AmxRows rows, int64_t tiles, float* sums) {
    alignas(64) int8_t staged[STAGED_GROUPS * GROUP * PANEL];
    alignas(64) int32_t products[TILE_HEIGHT * PANEL];
    int32_t* totals = reinterpret_cast<int32_t*>(sums);
    for (int64_t from = 0; from < p.groups; from += STAGED_GROUPS) {
        const int64_t to = from + STAGED_GROUPS < p.groups ? from + STAGED_GROUPS : p.groups;
        const int8_t* weights = signed_groups<W>(p, from, to, staged);
        for (int64_t t = 0; t < tiles; t++) {
            tile_zero<0>();
            for (int64_t g = from; g < to; g++) {
                tile_load<2>(rows.q + (g * rows.stride + t * TILE_HEIGHT) * GROUP, GROUP);
                tile_load<3>(weights + (g - from) * GROUP * PANEL, 64);
                tile_dot<0>();
            }
            tile_store<0>(products);
            int32_t* at = totals + t * TILE_HEIGHT * PANEL;
            for (int r = 0; r < TILE_HEIGHT; r++) {
                const I32 before = from == 0 ? zero_i() : load_i(at + r * PANEL);
                store_i(at + r * PANEL, add_i(before, load_i(products + r * PANEL)));
            }
        }
    }
    const Fold fold(p, 0, 0);
    for (int64_t r = 0; r < tiles * TILE_HEIGHT; r++) {
        int32_t input = 0;
        for (int64_t g = 0; g < p.groups; g++) {
            const GroupActivation& a = rows.activations[g * rows.stride + r];
            input += a.sums16[0] + a.sums16[1];
        }
        const I32 total = load_i(totals + r * PANEL);
        const float scale = rows.activations[r].scale;
        store(sums + r * PANEL,
              fold.has_minimum ? fold(total, static_cast<float>(input), scale, zero()) : fold(total, scale, zero()));
    }
}

// Panels [from, to) by the first rows of a block, sixteen at a time; returns how many rows that were.
template <class W, Part PART>
int64_t gemm_amx(const LinearArgs& a, int64_t from, int64_t to, int64_t first, int64_t rows, float* scratch) {
    const Matrix& m = *a.matrix;
    const int64_t tiles = rows / TILE_HEIGHT;
    if (tiles == 0) {
        return 0;
    }
    const AmxRows of{a.activations.q + first * m.padded(), a.activations.groups + first * (m.padded() / GROUP), rows};
    const TileSetup setup(PART == Part::COLUMNS16 ? 16 : GROUP);
    for (int64_t panel = from; panel < to; panel++) {
        const IntegerPanel p(m, panel, W::GROUP_BYTES);
        if constexpr (PART == Part::ROW) {
            gemm_amx_per_row<W>(p, of, tiles, scratch);
        } else {
            gemm_amx_panel<W, PART>(p, of, tiles, scratch);
        }
        store_results(scratch, PANEL, tiles * TILE_HEIGHT, results_of(a, panel, 1, first));
    }
    return tiles * TILE_HEIGHT;
}

#endif

}  // namespace demitasse::DM_ISA
