#define DM_ISA avx2_vnni
#include "table.h"

const demitasse::KernelTable* demitasse::table_avx2_vnni() {
    static const KernelTable table = avx2_vnni::table();
    return &table;
}
