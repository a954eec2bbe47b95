// linear: shares out panels and blocks of rows, and picks the kernel; results go to out with the bias added.
#pragma once

#include "gemm_float.h"
#include "gemm_int4.h"
#include "gemm_int8.h"
#include "gemv_int4.h"
#include "gemv_int8.h"
#include "results.h"

namespace demitasse::DM_ISA {

// One row of quantized activations by a panel.
inline void gemv(const LinearArgs& a, int64_t panel, int64_t row, float* out) {
    const Matrix& m = *a.matrix;
    const int8_t* q = a.activations.q + row * m.padded();
    const GroupActivation* activations = a.activations.groups + row * (m.padded() / GROUP);
    const bool per_row = a.per_row != 0 && sums_per_row(m);
    if (m.element == Element::INT4) {
        gemv_int4(m, panel, q, activations, per_row, out);
    } else {
        gemv_int8(m, panel, q, activations, per_row, out);
    }
}

// Panels [from, to) by a block of rows from `first` on.
inline void linear(const Command& command, int task, Worker& worker) {
    const LinearArgs& a = command.linear;
    const Matrix& m = *a.matrix;
    float* scratch = reinterpret_cast<float*>(worker.scratch);
    const int64_t per_task = panels_per_task(m, a.rows);
    const int64_t panel_tasks = (m.panels() + per_task - 1) / per_task;
    const int64_t first = task / panel_tasks * ROW_BLOCK;
    const int64_t rows = a.rows - first < ROW_BLOCK ? a.rows - first : ROW_BLOCK;
    const int64_t from = task % panel_tasks * per_task;
    const int64_t to = from + per_task < m.panels() ? from + per_task : m.panels();
    if (a.activations.q != nullptr && rows > 1) {
        m.element == Element::INT4 ? gemm_int4(a, from, to, first, rows, scratch)
                                   : gemm_int8(a, from, to, first, rows, scratch);
        return;
    }
    for (int64_t panel = from; panel < to; panel++) {
        if (a.activations.q == nullptr) {
            gemm_float(m, panel, a.x + first * m.columns, rows, scratch);
        } else {
            gemv(a, panel, first, scratch);
        }
        store_results(scratch, PANEL, rows, results_of(a, panel, 1, first));
    }
}

}  // namespace demitasse::DM_ISA
