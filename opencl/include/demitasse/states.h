// Rows of a batch whose sequences have states: a sequence's state is the one with the number of its first page.
typedef struct StateRows {
    long positions;  // [row], in the step's data, as all of these
    long tables;     // [row]: where the row's page table begins in `pages`
    long pages;
    long count;
} StateRows;

// How many rows the sequence has that begins with a row; 0 where none does. Rows of one sequence share a table.
long sequence_rows(StateRows rows, global const uchar* data, long row) {
    global const int* tables = READ(int, data, rows.tables);
    if (row > 0 && tables[row] == tables[row - 1]) {
        return 0;
    }
    long end = row + 1;
    while (end < rows.count && tables[end] == tables[row]) {
        end++;
    }
    return end - row;
}

long state_slot(StateRows rows, global const uchar* data, long row) {
    return READ(int, data, rows.pages)[READ(int, data, rows.tables)[row]];
}

bool is_fresh(StateRows rows, global const uchar* data, long row) {
    return READ(int, data, rows.positions)[row] == 0;
}
