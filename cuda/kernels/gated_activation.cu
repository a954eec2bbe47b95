// Computes: out = g sigmoid(g) up (SiLU), or GELU(g) up by its tanh form. Where wanted it also quantizes what it
//           writes.
// Layout:   gate, up and out rows x columns FP32; integers as quantize.cuh says.
// Requires: it quantizes by groups of 32 columns, not by rows.
// Accuracy: FP32; integers are those of quantize_rows.
// Launch:   (columns / 256, rows) blocks of 256 threads, a thread an element; without integers all rows may be one.
// Moves:    8 bytes read and 4 written an element, and 1.25 for its integer.
// Why:      bound by memory and by the launch: a warp has a group of 32 columns, which it quantizes on the way.
#include "demitasse/quantize.cuh"

namespace demitasse {

struct GatedActivationArgs {
    int64_t gelu;
    const float* gate;
    const float* up;
    int64_t columns;
    float* out;
    QuantizedRows quantized;  // by groups
};

DEVICE float sigmoid(float x) { return 1 / (1 + expf(-x)); }

}  // namespace demitasse

KERNEL(demitasse::ELEMENT_THREADS) gated_activation(const demitasse::GatedActivationArgs a) {
    using namespace demitasse;
    const int64_t k = demitasse::thread_index();  // beyond 32 bits where all rows are one
    const int64_t at = blockIdx.y * a.columns + k;
    float value = 0;
    if (k < a.columns) {
        const float g = a.gate[at];
        const float argument = a.gelu != 0 ? 1.5957691216f * (g * (0.044715f * (g * g) + 1)) : g;
        value = g * sigmoid(argument) * a.up[at];
        a.out[at] = value;
    }
    if (a.quantized.q != nullptr && k - lane() < a.quantized.padded) {
        store_quantized(a.quantized, blockIdx.y, static_cast<int>(k / 32), value, 0);
    }
}
EXPORT(gated_activation)
