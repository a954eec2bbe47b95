// Computes: out = g sigmoid(g) up (SiLU), GELU(g) up by its tanh form, sigmoid(g) up, g up, max(g, 0) up, GELU(g) / g
//           up, or m sigmoid(1.702 m) (clamp(up, -7, 7) + 1) with m = min(g, 7). Where wanted it also quantizes what
//           it writes.
// Layout:   gate, up and out rows x columns FP32; integers as quantize.h says.
// Requires: it quantizes by groups of 32 columns, not by rows.
// Accuracy: FP32; integers are those of quantize_rows.
// Launch:   (columns / 512, rows) work-groups of 128 items, an item four columns; without integers all rows may be one.
// Moves:    8 bytes read and 4 written an element, and 1.25 for its integer.
// Why:      bound by memory and by the launch: eight items have a group of 32 columns, which they quantize on the way.
#include "quantize.h"

enum Gate { GATE_SILU, GATE_GELU, GATE_SIGMOID, GATE_IDENTITY, GATE_CLAMPED_SWISH, GATE_RELU, GATE_NORMAL_CDF };

typedef struct GatedActivationArgs {
    long function;  // a Gate
    long gate;
    long up;
    long columns;
    long out;
    QuantizedRows quantized;  // by groups
} GatedActivationArgs;

// QUANTIZES 1: it also writes integers.
KERNEL(GATE_ITEMS) gated_activation(global const uchar* gate, global const uchar* up, global uchar* out,
                                    global uchar* integers, const GatedActivationArgs a) {
#if QUANTIZES
    local float shared[GATE_ITEMS];
#endif
    const long first = (long)get_group_id(0) * GATE_COLUMNS;  // beyond 32 bits where all rows are one
    const long row = (long)get_group_id(1);
    const long at = row * a.columns + first;
    const int k = item() * 4;
    const int columns = a.columns - first < GATE_COLUMNS ? (int)(a.columns - first) : GATE_COLUMNS;
    const bool clamped = a.function == GATE_CLAMPED_SWISH;
    float4 g = load_columns(READ(float, gate, a.gate) + at, k, columns);
    float4 u = load_columns(READ(float, up, a.up) + at, k, columns);
    if (clamped) {  // by comparisons, which leave NaN as it is
        g = g > 7 ? (float4)(7) : g;
        u = (u > 7 ? (float4)(7) : u < -7 ? (float4)(-7) : u) + 1;
    }
    const bool normal = a.function == GATE_GELU || a.function == GATE_NORMAL_CDF;
    const float4 argument = normal ? 1.5957691216f * (g * (0.044715f * (g * g) + 1)) : clamped ? 1.702f * g : g;
    const float4 sigmoid = 1 / (1 + exp(-argument));
    const float4 positive = g < 0 ? (float4)(0) : g;  // NaN stays
    const bool alone = a.function == GATE_SIGMOID || a.function == GATE_NORMAL_CDF;
    const float4 factor = a.function == GATE_IDENTITY ? g
                          : a.function == GATE_RELU   ? positive
                          : alone                     ? sigmoid
                                                      : g * sigmoid;
    const float4 value = factor * u;
    store_columns(WRITE(float, out, a.out) + at, k, columns, value);
#if QUANTIZES
    store_quantized(integers, a.quantized, row, (int)first + k, value, 0, shared);
#endif
}
