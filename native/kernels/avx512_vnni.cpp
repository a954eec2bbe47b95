#define DM_ISA avx512_vnni
#include "table.h"

const demitasse::KernelTable* demitasse::table_avx512_vnni() {
    static const KernelTable table = avx512_vnni::table();
    return &table;
}
