// Rows of a batch whose sequences have states: a sequence's state is the one with the number of its first page.
#pragma once

#include "demitasse/pages.cuh"

namespace demitasse {

struct StateRows {
    BatchRows rows;
    int64_t count;

    // Whether a row is the first of its sequence in the batch; rows of one sequence share a table.
    DEVICE bool begins(int64_t row) const { return row == 0 || rows.tables[row] != rows.tables[row - 1]; }
    // The row after the last one of the sequence that `row` is of.
    DEVICE int64_t end(int64_t row) const {
        int64_t next = row + 1;
        while (next < count && rows.tables[next] == rows.tables[row]) {
            next++;
        }
        return next;
    }
    DEVICE int64_t slot(int64_t row) const { return rows.pages[rows.tables[row]]; }
};

// A lane's part of a column of a head's state of elements x columns, at most DIM elements: elements part, part + PARTS
// and on.
template <int DIM>
struct StateColumn {
    static constexpr int COLUMNS = delta_columns(DIM);  // of a warp
    static constexpr int PARTS = 32 / COLUMNS;
    static constexpr int COUNT = DIM / PARTS;
    const int elements;
    const int columns;
    const int column;
    const int part;
    float s[COUNT];

    DEVICE StateColumn(int elements, int columns, int first)
        : elements(elements), columns(columns), column(first + lane() % COLUMNS), part(lane() / COLUMNS) {}
    DEVICE bool has(int n) const { return part + n * PARTS < elements && column < columns; }
    DEVICE int64_t place(int n) const { return static_cast<int64_t>(part + n * PARTS) * columns + column; }

    DEVICE void load(const float* state, bool fresh) {
#pragma unroll
        for (int n = 0; n < COUNT; n++) {
            s[n] = has(n) && !fresh ? state[place(n)] : 0;
        }
    }
    DEVICE void store(float* state) const {
#pragma unroll
        for (int n = 0; n < COUNT; n++) {
            if (has(n)) {
                state[place(n)] = s[n];
            }
        }
    }

    // The sum of the lanes of a column.
    static DEVICE float column_sum(float value) {
        for (int distance = COLUMNS; distance < 32; distance *= 2) {
            value += __shfl_xor_sync(ALL_LANES, value, distance);
        }
        return value;
    }

    // Keeps the compiler from loading more of a row than `every` elements before it computes, for which
    // there are no registers.
    static DEVICE void fence(int n, int every) {
        if (n > 0 && n % every == 0) {
            __syncwarp();
        }
    }
};

}  // namespace demitasse
