// The kernels of one instruction set.
#pragma once

#include "demitasse/command.h"

namespace demitasse {

// What a thread has to itself.
struct Worker {
    uint8_t* scratch;
};

using Kernel = void (*)(const Command& command, int task, Worker& worker);

struct KernelTable {
    Kernel run[static_cast<int>(Op::COUNT)];
};

// Tasks of a command, the same for every instruction set, so that results do not depend on it.
struct Plan {
    int tasks;
    int64_t scratch;  // bytes that each worker needs
};

Plan plan(const Command& command);

// Tables of the instruction sets; those of the platform are built in.
const KernelTable* table_sse42();
const KernelTable* table_avx2();
const KernelTable* table_avx2_vnni();
const KernelTable* table_avx512_vnni();
const KernelTable* table_amx();
const KernelTable* table_neon();
const KernelTable* table_dotprod();
const KernelTable* table_i8mm();

constexpr int ADD_BLOCK = 4096;         // elements of a task of add and scale
constexpr int FUNCTION_BLOCK = 1024;    // elements of a task of an operation with exponentials
constexpr int NORM_ELEMENTS = 4096;     // elements of a task of a norm, at least one row
constexpr int GATHER_ELEMENTS = 16384;  // elements of a task that copies rows, at least one row
constexpr int ROTATE_ROWS = 16;         // rows of a task of rotate
constexpr int CONVOLVE_CHANNELS = 256;  // channels of a task of convolve
constexpr int MOST_STATE_DIM = 256;     // elements of a head of delta_rule
constexpr int APPEND_ROWS = 16;         // rows of a task of kv_append
constexpr int QUANTIZE_ROWS = 8;        // rows of a task of quantization
constexpr int GEMV_TASKS = 16;  // tasks that a matrix by a few rows is cut into, within the limits of their bytes
constexpr int64_t GEMV_LEAST_BYTES = 64 << 10;
constexpr int64_t GEMV_MOST_BYTES = 512 << 10;
constexpr int PAGE_QUERIES = 8;     // queries that attention takes a page to at once
constexpr int FLOAT_COLUMNS = 256;  // columns that are dequantized at once

// Rows of a task of gather_rows.
inline int64_t gathered_rows(int64_t columns) { return columns < GATHER_ELEMENTS ? GATHER_ELEMENTS / columns : 1; }

// Panels of a task of linear.
inline int64_t panels_per_task(const Matrix& m, int64_t rows) {
    if (rows > 8) {
        return 6;
    }
    // Each task begins with a read from memory that nothing prefetched, and prefetches bytes beyond its end: long ones
    // lose less by it, many share out better.
    const int64_t panel = PANEL * m.padded() * m.element_bits() / 8 + 1;
    const int64_t share = panel * m.panels() / GEMV_TASKS;
    const int64_t bytes = share < GEMV_LEAST_BYTES  ? GEMV_LEAST_BYTES
                          : share > GEMV_MOST_BYTES ? GEMV_MOST_BYTES
                                                    : share;
    return bytes > panel ? bytes / panel : 1;
}

}  // namespace demitasse
