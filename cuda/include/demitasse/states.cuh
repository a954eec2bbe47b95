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

}  // namespace demitasse
