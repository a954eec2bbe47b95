// Register tiles of rows and panels, whose integer sums stay in registers: what gemm_int4 and gemm_int8 are made of
// where the instruction set has a dot product of four bytes.
//
// A tile is TILE_PANELS panels by TILE_ROWS rows. Per four columns it reads one register of weights for each register
// of outputs and spreads one word of activations for each row; every register of weights serves all rows and every
// spread word all panels, so that multiply-adds outnumber loads. The part's sums are folded into FP32 sums in the
// first-level cache as one row alone folds them (integer_weights.h), and have the same bits.
#pragma once

#include "integer_weights.h"
#include "results.h"

namespace demitasse::DM_ISA {

#if defined(DM_DOT)

// What a part of a tile is: 32 columns, 16 columns, or the whole row (weights and activations have one scale a row).
enum class Part { COLUMNS32, COLUMNS16, ROW };

// Where the sums of a tile come from: rows of one block from `q` on, panels from `panels` on.
struct TileInput {
    const IntegerPanel* panels;
    const int8_t* q;
    const GroupActivation* activations;
    int64_t stride;  // rows of the block: a group's rows lie together
};

template <class W, int P, int R>
struct RegisterTile {
    static constexpr int V = P * REGISTERS;
    I32 sums[R][V];

    // Sets the sums of a row to what the part's correction is.
    void start(int r, I32 correction) {
#pragma GCC unroll 12
        for (int v = 0; v < V; v++) {
            sums[r][v] = correction;
        }
    }

    // Adds eight columns: those of pair `pair` of the group's four.
    void add(const IntegerPanel* panels, int64_t group, int pair, const int8_t* q) {
        I32 w[2][V];
#pragma GCC unroll 12
        for (int v = 0; v < V; v++) {
            I32 both[2];
            W::unpack_pair(panels[v / REGISTERS].quants + group * W::GROUP_BYTES + v % REGISTERS * LANES * 4, pair,
                           both);
            w[0][v] = both[0];
            w[1][v] = both[1];
        }
#if defined(DM_MMLA)
        if constexpr (R % 2 == 0) {
            add_pairs(w, q + pair * 8);
            return;
        }
#endif
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                const I32 a = set1_i(word(q + r * GROUP + pair * 8 + i * 4));
#pragma GCC unroll 12
                for (int v = 0; v < V; v++) {
                    sums[r][v] = dot(sums[r][v], w[i][v], a);
                }
            }
        }
    }

#if defined(DM_MMLA)
    // Eight columns of two outputs by two rows of activations an instruction. Between pair_rows and part_rows the sums
    // of rows r and r + 1 are those of the lower and upper lanes of a register's outputs, [output][row].
    void add_pairs(const I32 (*w)[V], const int8_t* q) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r += 2) {
            const I32 a = load_pair(q + r * GROUP, q + (r + 1) * GROUP);
#pragma GCC unroll 12
            for (int v = 0; v < V; v++) {
                sums[r][v] = mmla(sums[r][v], low_lanes(w[0][v], w[1][v]), a);
                sums[r + 1][v] = mmla(sums[r + 1][v], high_lanes(w[0][v], w[1][v]), a);
            }
        }
    }
#endif

    // Before the first and after the last eight columns: from and to the order [row][output].
    void pair_rows() {
#if defined(DM_MMLA)
        for (int r = 0; R % 2 == 0 && r < R; r += 2) {
            for (int v = 0; v < V; v++) {
                sums[r][v] = low_lanes(sums[r][v], sums[r + 1][v]);  // a row's correction, the same in all lanes
                sums[r + 1][v] = sums[r][v];
            }
        }
#endif
    }
    void part_rows() {
#if defined(DM_MMLA)
        for (int r = 0; R % 2 == 0 && r < R; r += 2) {
            for (int v = 0; v < V; v++) {
                const I32 first = sums[r][v];
                sums[r][v] = even_lanes(first, sums[r + 1][v]);
                sums[r + 1][v] = odd_lanes(first, sums[r + 1][v]);
            }
        }
#endif
    }

    // Folds a part's sums into the rows' FP32 sums, [row][panel][16]; input(r): the sum of a row's activations.
    template <class Input>
    void fold(const IntegerPanel* panels, int64_t part, Input input, const GroupActivation* activations,
              float* out) const {
#pragma GCC unroll 12
        for (int v = 0; v < V; v++) {
            const Fold fold(panels[v / REGISTERS], part, v % REGISTERS);
            float* to = out + v * LANES;
            if (fold.has_minimum) {
#pragma GCC unroll 8
                for (int r = 0; r < R; r++, to += P * PANEL) {
                    store(to, fold(sums[r][v], input(r), activations[r].scale, load(to)));
                }
            } else {
#pragma GCC unroll 8
                for (int r = 0; r < R; r++, to += P * PANEL) {
                    store(to, fold(sums[r][v], activations[r].scale, load(to)));
                }
            }
        }
    }
};

// What a part's products sum too much, negative: by the weights' offset for the instruction, and by their zero z.
template <class W>
inline I32 correction(int32_t z, int32_t sum) {
    return set1_i(-(W::OFFSET + z) * sum);
}

// The same of 32 columns, from what is at hand: -128 sum, z being 0 or 8.
template <class W>
inline I32 group_correction(int32_t z, const GroupActivation& a) {
    static_assert(W::OFFSET == 0 || (W::OFFSET == 128 && W::ZERO == 0));
    return W::OFFSET != 0 ? set1_i(a.correction) : z != 0 ? shift_right<4>(set1_i(a.correction)) : zero_i();
}

// One tile over all columns, one fold a part; out: [row][panel][16].
template <class W, Part PART, int P, int R>
void gemm_tile(const TileInput& in, float* out) {
    constexpr int PAIRS = PART == Part::COLUMNS16 ? 2 : 4;
    constexpr int PARTS = PART == Part::COLUMNS16 ? 2 : 1;
    const IntegerPanel* panels = in.panels;
    const int32_t z = weight_zero<W>(panels[0]);
    static_assert(W::ZERO == 0 || W::ZERO == 8);
    for (int64_t i = 0; i < R * P * PANEL; i += LANES) {
        store(out + i, zero());
    }
    for (int64_t g = 0; g < panels[0].groups; g++) {
        const GroupActivation* a = in.activations + g * in.stride;
#pragma GCC unroll 2
        for (int part = 0; part < PARTS; part++) {
            RegisterTile<W, P, R> tile;
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                tile.start(
                    r, PART == Part::COLUMNS16 ? correction<W>(z, a[r].sums16[part]) : group_correction<W>(z, a[r]));
            }
            tile.pair_rows();
#pragma GCC unroll 4
            for (int pair = 0; pair < PAIRS; pair++) {
                tile.add(panels, g, part * PAIRS + pair, in.q + g * in.stride * GROUP);
            }
            tile.part_rows();
            auto input = [&](int r) {
                return PART == Part::COLUMNS16 ? static_cast<float>(a[r].sums16[part]) : a[r].sum;
            };
            tile.fold(panels, PARTS * g + part, input, a, out);
            asm volatile("" ::: "memory");  // else the compiler keeps all of `out` in registers, and lacks them
        }
    }
}

// The same where weights and activations have one scale a row: one fold at the end.
template <class W, int P, int R>
void gemm_tile_per_row(const TileInput& in, float* out) {
    const IntegerPanel* panels = in.panels;
    const int32_t z = weight_zero<W>(panels[0]);
    int32_t inputs[R] = {};
    for (int64_t g = 0; g < panels[0].groups; g++) {
        for (int r = 0; r < R; r++) {
            const GroupActivation& a = in.activations[g * in.stride + r];
            inputs[r] += a.sums16[0] + a.sums16[1];
        }
    }
    RegisterTile<W, P, R> tile;
    for (int r = 0; r < R; r++) {
        tile.start(r, correction<W>(z, inputs[r]));
    }
    tile.pair_rows();
    for (int64_t g = 0; g < panels[0].groups; g++) {
        for (int pair = 0; pair < 4; pair++) {
            tile.add(panels, g, pair, in.q + g * in.stride * GROUP);
        }
    }
    tile.part_rows();
    for (int64_t i = 0; i < R * P * PANEL; i += LANES) {
        store(out + i, zero());
    }
    tile.fold(
        panels, 0, [&](int r) { return static_cast<float>(inputs[r]); }, in.activations, out);
}

// All rows by P panels, in tiles of R rows and then of R / 2.
template <class W, Part PART, int P, int R>
void gemm_rows(TileInput in, int64_t rows, Results out) {
    alignas(64) float tile[R * P * PANEL];
    for (; rows >= R; rows -= R) {
        if constexpr (PART == Part::ROW) {
            gemm_tile_per_row<W, P, R>(in, tile);
        } else {
            gemm_tile<W, PART, P, R>(in, tile);
        }
        store_results(tile, P * PANEL, R, out);
        in.q += R * GROUP;
        in.activations += R;
        out = out.from(R);
    }
    if constexpr (R > 1) {
        if (rows > 0) {
            gemm_rows<W, PART, P, R / 2>(in, rows, out);
        }
    }
}

#if defined(DM_AMX)
template <class W, Part PART>
int64_t gemm_amx(const LinearArgs& a, int64_t from, int64_t to, int64_t first, int64_t rows, float* scratch);
#endif

// Panels [from, to) by the rows [first, first + rows) of a block, but for the first `done`.
template <class W, Part PART>
void gemm_panels(const LinearArgs& a, int64_t from, int64_t to, int64_t first, int64_t rows, int64_t done) {
    const Matrix& m = *a.matrix;
    const int8_t* q = a.activations.q + first * m.padded() + done * GROUP;
    const GroupActivation* activations = a.activations.groups + first * (m.padded() / GROUP) + done;
    auto panels = [&]<int P>(int64_t panel) {
        IntegerPanel p[P];
        for (int i = 0; i < P; i++) {
            p[i] = IntegerPanel(m, panel + i, W::GROUP_BYTES);
        }
        gemm_rows<W, PART, P, TILE_ROWS>({p, q, activations, rows}, rows - done,
                                         results_of(a, panel, P, first).from(done));
    };
    for (; from + TILE_PANELS <= to; from += TILE_PANELS) {
        panels.template operator()<TILE_PANELS>(from);
    }
    for (; from < to; from++) {
        panels.template operator()<1>(from);
    }
}

template <class W>
void gemm_panels(const LinearArgs& a, int64_t from, int64_t to, int64_t first, int64_t rows,
                 [[maybe_unused]] float* scratch) {
    auto run = [&]<Part PART>() {
        int64_t done = 0;
#if defined(DM_AMX)
        done = gemm_amx<W, PART>(a, from, to, first, rows, scratch);
#endif
        if (done < rows) {
            gemm_panels<W, PART>(a, from, to, first, rows, done);
        }
    };
    if (a.per_row != 0 && sums_per_row(*a.matrix)) {
        run.template operator()<Part::ROW>();
    } else if (a.matrix->group == 16) {
        run.template operator()<Part::COLUMNS16>();
    } else {
        run.template operator()<Part::COLUMNS32>();
    }
}

#endif

}  // namespace demitasse::DM_ISA
