#define DM_ISA i8mm
#include "table.h"

const demitasse::KernelTable* demitasse::table_i8mm() {
    static const KernelTable table = i8mm::table();
    return &table;
}
