// The table of one instruction set's kernels, in the order of Op.
#pragma once

#include "add.h"
#include "attention.h"
#include "convolve.h"
#include "delta_rule.h"
#include "embed.h"
#include "gated_activation.h"
#include "gather_rows.h"
#include "kv_append.h"
#include "layer_norm.h"
#include "linear.h"
#include "pack.h"
#include "quantize_rows.h"
#include "rms_norm.h"
#include "rope.h"
#include "rotate.h"
#include "scale.h"
#include "selective_scan.h"
#include "soft_cap.h"

namespace demitasse::DM_ISA {

inline constexpr Kernel KERNELS[] = {
    embed,     gather_rows, rms_norm,        layer_norm, quantize_rows, quantize_panels, linear,           rope, rotate,
    kv_append, attention,   attention_merge, convolve,   delta_rule,    selective_scan,  gated_activation, add,  scale,
    soft_cap,  pack,
};

static_assert(sizeof KERNELS / sizeof KERNELS[0] == static_cast<int>(Op::COUNT), "one kernel an operation");

inline KernelTable table() {
    KernelTable t{};
    for (int i = 0; i < static_cast<int>(Op::COUNT); i++) {
        t.run[i] = KERNELS[i];
    }
    return t;
}

}  // namespace demitasse::DM_ISA
