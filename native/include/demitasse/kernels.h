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
const KernelTable* table_neon();
const KernelTable* table_dotprod();
const KernelTable* table_i8mm();

constexpr int ADD_BLOCK = 4096;       // elements of a task of add
constexpr int FUNCTION_BLOCK = 1024;  // elements of a task of an operation with exponentials
constexpr int NORM_ELEMENTS = 4096;   // elements of a task of rms_norm, at least one row
constexpr int APPEND_ROWS = 16;       // rows of a task of kv_append
constexpr int QUANTIZE_ROWS = 8;      // rows of a task of quantisation
constexpr int GEMV_BYTES = 64 << 10;  // bytes of weights of a task of a few rows
constexpr int PAGE_QUERIES = 8;       // queries that attention takes a page to at once
constexpr int FLOAT_COLUMNS = 256;    // columns that are dequantised at once

// Panels of a task of linear.
inline int64_t panels_per_task(const Matrix& m, int64_t rows) {
    if (rows > 8) {
        return 6;
    }
    int64_t bits = m.element == Element::INT4   ? 4
                   : m.element == Element::INT8 ? 8
                   : m.element == Element::F32  ? 32
                                                : 16;
    int64_t bytes = PANEL * m.padded() * bits / 8;
    return bytes >= GEMV_BYTES ? 1 : GEMV_BYTES / (bytes + 1);
}

}  // namespace demitasse
