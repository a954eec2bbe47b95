// Blocks of rows by panels whose weights stay in registers for all rows: what gemm_int4 and gemm_int8 are made of where
// the instruction set has no dot product of four bytes.
//
// There are 16 registers, or products take several: two registers of outputs by 16 columns stay, an
// activation that is spread over a register serves both, and the sums of the first 16 columns wait in memory.
#pragma once

#include "integer_weights.h"
#include "results.h"

namespace demitasse::DM_ISA {

#if !defined(DM_DOT)

// Registers of outputs whose weights stay in registers for all rows of a block.
constexpr int GEMM_REGISTERS = 2;

// The weights of 16 columns.
template <class W>
struct GemmWeights {
    I32 w[GEMM_REGISTERS][4];

    explicit GemmWeights(const uint8_t* at) {
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            W::template unpack<4>(at + v * LANES * 4, w[v]);
        }
    }

    // Partial sums of a row of activations, added to what is there.
    void add(I32* sums, const int8_t* q) const {
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            sums[v] = W::template add<4>(sums[v], w[v], q);
        }
    }
};

struct GemmFolds {
    Fold fold[GEMM_REGISTERS];

    GemmFolds(const IntegerPanel& p, int64_t part, int first) {
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            fold[v] = Fold(p, part, first + v);
        }
    }
};

// The sums of 16 columns for all rows of a block, [row][register].
template <class W>
inline void gemm_first(const uint8_t* at, const int8_t* q, int64_t rows, int32_t* partial) {
    const GemmWeights<W> weights(at);
    for (int64_t r = 0; r < rows; r++) {
        I32 sums[GEMM_REGISTERS];
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            sums[v] = zero_i();
        }
        weights.add(sums, q + r * GROUP);
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            store_i(partial + (r * GEMM_REGISTERS + v) * LANES, sums[v]);
        }
    }
}

// Adds the sums of 16 columns to the sums per row of all rows of a block, totals [row][16] integers; partial as in
// gemm_part.
template <class W>
inline void gemm_part_per_row(const uint8_t* at, const int8_t* q, const GroupActivation* activations, int64_t rows,
                              int32_t z, const int32_t* partial, int32_t* totals) {
    const GemmWeights<W> weights(at);
    for (int64_t r = 0; r < rows; r++) {
        I32 sums[GEMM_REGISTERS];
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            sums[v] = load_i(partial + (r * GEMM_REGISTERS + v) * LANES);
        }
        weights.add(sums, q + r * GROUP);
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            int32_t* to = totals + r * PANEL + v * LANES;
            store_i(to, add_i(load_i(to), W::sum(sums[v], activations[r].sums16[0] + activations[r].sums16[1], z)));
        }
    }
}

// A block of rows by a panel where both have one scale a row; arguments as for gemm_panel.
template <class W>
void gemm_panel_per_row(const IntegerPanel& p, const int8_t* q, const GroupActivation* activations, int64_t rows,
                        int32_t* partial, float* out) {
    int32_t* totals = reinterpret_cast<int32_t*>(out);
    int32_t inputs[ROW_BLOCK] = {};
    const int32_t z = weight_zero<W>(p);
    for (int64_t i = 0; i < rows * PANEL; i += LANES) {
        store_i(totals + i, zero_i());
    }
    for (int64_t g = 0; g < p.groups; g++) {
        const int8_t* x = q + g * rows * GROUP;
        const GroupActivation* a = activations + g * rows;
        for (int v = 0; v < REGISTERS; v += GEMM_REGISTERS) {
            const uint8_t* first = p.quants + g * W::GROUP_BYTES + v * LANES * 4;
            gemm_first<W>(first, x, rows, partial);
            gemm_part_per_row<W>(first + W::GROUP_BYTES / 2, x + 16, a, rows, z, partial, totals + v * LANES);
        }
        for (int64_t r = 0; r < rows; r++) {
            inputs[r] += a[r].sums16[0] + a[r].sums16[1];
        }
    }
    for (int v = 0; v < REGISTERS; v++) {
        Fold fold(p, 0, v);
        for (int64_t r = 0; r < rows; r++) {
            I32 products = load_i(totals + r * PANEL + v * LANES);
            store(out + r * PANEL + v * LANES,
                  fold(products, static_cast<float>(inputs[r]), activations[r].scale, zero()));
        }
    }
}

// Adds a part to the results of all rows of a block, out [row][16], which lie in the first-level cache.
//   part16    which 16 of the 32 columns the part is, or -1 for all of them
//   partial   the sums of what the registers do not hold, where PARTIAL
template <class W, bool PARTIAL>
inline void gemm_part(const uint8_t* at, const GemmFolds& folds, const int8_t* q, const GroupActivation* activations,
                      int64_t rows, int part16, int32_t z, const int32_t* partial, float* out) {
    const GemmWeights<W> weights(at);
    for (int64_t r = 0; r < rows; r++) {
        const GroupActivation& a = activations[r];
        const int32_t sum = part16 < 0 ? a.sums16[0] + a.sums16[1] : a.sums16[part16];
        const float input = part16 < 0 ? a.sum : static_cast<float>(sum);
        I32 sums[GEMM_REGISTERS];
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            sums[v] = PARTIAL ? load_i(partial + (r * GEMM_REGISTERS + v) * LANES) : zero_i();
        }
        weights.add(sums, q + r * GROUP);
        for (int v = 0; v < GEMM_REGISTERS; v++) {
            float* to = out + r * PANEL + v * LANES;
            store(to, folds.fold[v](W::sum(sums[v], sum, z), input, a.scale, load(to)));
        }
    }
}

// A block of rows by a panel; out: rows x 16; partial: room for rows x 16 integers.
template <class W, bool PER16>
void gemm_panel(const IntegerPanel& p, const int8_t* q, const GroupActivation* activations, int64_t rows,
                int32_t* partial, float* out) {
    const int32_t z = weight_zero<W>(p);
    for (int64_t i = 0; i < rows * PANEL; i += LANES) {
        store(out + i, zero());
    }
    for (int64_t g = 0; g < p.groups; g++) {
        const int8_t* x = q + g * rows * GROUP;
        const GroupActivation* a = activations + g * rows;
        for (int v = 0; v < REGISTERS; v += GEMM_REGISTERS) {
            const uint8_t* first = p.quants + g * W::GROUP_BYTES + v * LANES * 4;
            const uint8_t* second = first + W::GROUP_BYTES / 2;
            float* to = out + v * LANES;
            if constexpr (PER16) {
                gemm_part<W, false>(first, GemmFolds(p, 2 * g, v), x, a, rows, 0, z, nullptr, to);
                gemm_part<W, false>(second, GemmFolds(p, 2 * g + 1, v), x + 16, a, rows, 1, z, nullptr, to);
            } else {
                gemm_first<W>(first, x, rows, partial);
                gemm_part<W, true>(second, GemmFolds(p, g, v), x + 16, a, rows, -1, z, partial, to);
            }
        }
    }
}

template <class W>
void gemm_panels(const LinearArgs& a, int64_t from, int64_t to, int64_t first, int64_t rows, float* scratch) {
    const Matrix& m = *a.matrix;
    const int8_t* q = a.activations.q + first * m.padded();
    const GroupActivation* activations = a.activations.groups + first * (m.padded() / GROUP);
    int32_t* partial = reinterpret_cast<int32_t*>(scratch + ROW_BLOCK * PANEL);
    for (int64_t panel = from; panel < to; panel++) {
        IntegerPanel p(m, panel, W::GROUP_BYTES);
        if (a.per_row != 0 && sums_per_row(m)) {
            gemm_panel_per_row<W>(p, q, activations, rows, partial, scratch);
        } else if (m.group == 16) {
            gemm_panel<W, true>(p, q, activations, rows, partial, scratch);
        } else {
            gemm_panel<W, false>(p, q, activations, rows, partial, scratch);
        }
        store_results(scratch, PANEL, rows, results_of(a, panel, 1, first));
    }
}

#endif

}  // namespace demitasse::DM_ISA
