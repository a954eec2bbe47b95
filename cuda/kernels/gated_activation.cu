// Computes: out = g sigmoid(g) up (SiLU), GELU(g) up by its tanh form, sigmoid(g) up, g up, max(g, 0) up, GELU(g) / g
//           up, or m sigmoid(1.702 m) (clamp(up, -7, 7) + 1) with m = min(g, 7). Where wanted it also quantizes what
//           it writes.
// Layout:   gate, up and out rows x columns FP32; integers as quantize.cuh says.
// Requires: it quantizes by groups of 32 columns, not by rows.
// Accuracy: FP32; integers are those of quantize_rows.
// Launch:   (columns / 512, rows) blocks of 128 threads, a thread four columns; without integers all rows may be one.
// Moves:    8 bytes read and 4 written an element, and 1.25 for its integer.
// Why:      bound by memory and by the launch: eight lanes have a group of 32 columns, which they quantize on the way.
#include "demitasse/quantize.cuh"

namespace demitasse {

enum class Gate : int64_t { SILU, GELU, SIGMOID, IDENTITY, CLAMPED_SWISH, RELU, NORMAL_CDF };

struct GatedActivationArgs {
    Gate function;
    const float* gate;
    const float* up;
    int64_t columns;
    float* out;
    QuantizedRows quantized;  // by groups
};

DEVICE float sigmoid(float x) { return 1 / (1 + expf(-x)); }

// By selection: all functions but one want the same exponential.
DEVICE float gate_factor(Gate function, float g) {
    const bool clamped = function == Gate::CLAMPED_SWISH;
    g = clamped && g > 7 ? 7 : g;
    const float gelu = 1.5957691216f * (g * (0.044715f * (g * g) + 1));
    const bool normal = function == Gate::GELU || function == Gate::NORMAL_CDF;
    const float s = sigmoid(normal ? gelu : clamped ? 1.702f * g : g);
    const float other = function == Gate::RELU && g < 0 ? 0 : g;  // NaN stays
    const bool alone = function == Gate::SIGMOID || function == Gate::NORMAL_CDF;
    return function == Gate::IDENTITY || function == Gate::RELU ? other : alone ? s : g * s;
}

// What the gate multiplies; NaN stays.
DEVICE float gated(Gate function, float up) {
    return function != Gate::CLAMPED_SWISH ? up : (up > 7 ? 7 : up < -7 ? -7 : up) + 1;
}

}  // namespace demitasse

KERNEL(demitasse::GATE_THREADS) gated_activation(const demitasse::GatedActivationArgs a) {
    using namespace demitasse;
    static_assert(GATE_COLUMNS == GATE_THREADS * LANE_COLUMNS);
    follow_previous();
    const int64_t first = static_cast<int64_t>(blockIdx.x) * GATE_COLUMNS;  // beyond 32 bits where all rows are one
    const int64_t at = blockIdx.y * a.columns + first;
    const int k = static_cast<int>(threadIdx.x) * LANE_COLUMNS;
    const int columns = a.columns - first < GATE_COLUMNS ? static_cast<int>(a.columns - first) : GATE_COLUMNS;
    float gate[LANE_COLUMNS];
    float value[LANE_COLUMNS];
    load_columns(gate, a.gate + at, k, columns);
    load_columns(value, a.up + at, k, columns);
#pragma unroll
    for (int i = 0; i < LANE_COLUMNS; i++) {
        value[i] = gate_factor(a.function, gate[i]) * gated(a.function, value[i]);
    }
    store_columns(a.out + at, k, columns, value);
    if (a.quantized.q != nullptr) {
        store_quantized(a.quantized, blockIdx.y, static_cast<int>(first) + k, value, 0);
    }
}
EXPORT(gated_activation)
