#define DM_ISA neon
#include "table.h"

const demitasse::KernelTable* demitasse::table_neon() {
    static const KernelTable table = neon::table();
    return &table;
}
