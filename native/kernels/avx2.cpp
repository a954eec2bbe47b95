#define DM_ISA avx2
#include "table.h"

const demitasse::KernelTable* demitasse::table_avx2() {
    static const KernelTable table = avx2::table();
    return &table;
}
