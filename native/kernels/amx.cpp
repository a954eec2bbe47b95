// Of AMX there are only products of matrices; the rest is that of AVX-512.
#define DM_ISA amx
#define DM_WITH_AMX
#include "linear.h"

const demitasse::KernelTable* demitasse::table_amx() {
    static const KernelTable table = [] {
        KernelTable t = *table_avx512_vnni();
        t.run[static_cast<int>(Op::LINEAR)] = amx::linear;
        return t;
    }();
    return &table;
}
