#define DM_ISA sse42
#include "table.h"

const demitasse::KernelTable* demitasse::table_sse42() {
    static const KernelTable table = sse42::table();
    return &table;
}
