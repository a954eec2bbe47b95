// linear: shares out panels and blocks of rows, and picks the kernel; results go to out with the bias added.
#pragma once

#include "gemm_float.h"
#include "gemm_int4.h"
#include "gemm_int8.h"
#include "gemv_int4.h"
#include "gemv_int8.h"

namespace demitasse::DM_ISA {

// [row][16] results of a panel by rows [first, first + rows).
inline const float* multiply(const LinearArgs& a, int64_t panel, int64_t first, int64_t rows, float* scratch) {
    const Matrix& m = *a.matrix;
    if (a.activations.q == nullptr) {
        return gemm_float(m, panel, a.x + first * m.columns, rows, scratch);
    }
    int64_t groups = m.padded() / GROUP;
    const int8_t* q = a.activations.q + first * m.padded();
    const GroupActivation* activations = a.activations.groups + first * groups;
    const bool int4 = m.element == Element::INT4;
    const bool whole = a.whole_rows != 0 && whole_row_sums(m);
    if (rows == 1) {
        int4 ? gemv_int4(m, panel, q, activations, whole, scratch)
             : gemv_int8(m, panel, q, activations, whole, scratch);
    } else {
        int32_t* partial = reinterpret_cast<int32_t*>(scratch + ROW_BLOCK * PANEL);
        int4 ? gemm_int4(m, panel, q, activations, whole, rows, partial, scratch)
             : gemm_int8(m, panel, q, activations, whole, rows, partial, scratch);
    }
    return scratch;
}

inline void linear(const Command& command, int task, Worker& worker) {
    const LinearArgs& a = command.linear;
    const Matrix& m = *a.matrix;
    int64_t per_task = panels_per_task(m, a.rows);
    int64_t panel_tasks = (m.panels() + per_task - 1) / per_task;
    int64_t first = task / panel_tasks * ROW_BLOCK;
    int64_t rows = a.rows - first < ROW_BLOCK ? a.rows - first : ROW_BLOCK;
    int64_t from = task % panel_tasks * per_task;
    int64_t to = from + per_task < m.panels() ? from + per_task : m.panels();
    for (int64_t panel = from; panel < to; panel++) {
        const float* results = multiply(a, panel, first, rows, reinterpret_cast<float*>(worker.scratch));
        int64_t n = panel * PANEL;
        int width = static_cast<int>(m.rows - n < PANEL ? m.rows - n : PANEL);
        for (int64_t r = 0; r < rows; r++) {
            float* out = a.out + (first + r) * m.rows + n;
            const float* row = results + r * PANEL;
            if (width == PANEL && a.bias == nullptr) {
                for (int v = 0; v < REGISTERS; v++) {
                    store(out + v * LANES, load(row + v * LANES));
                }
            } else {
                for (int i = 0; i < width; i++) {
                    out[i] = a.bias == nullptr ? row[i] : row[i] + a.bias[n + i];
                }
            }
        }
    }
}

}  // namespace demitasse::DM_ISA
