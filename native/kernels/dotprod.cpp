#define DM_ISA dotprod
#include "table.h"

const demitasse::KernelTable* demitasse::table_dotprod() {
    static const KernelTable table = dotprod::table();
    return &table;
}
