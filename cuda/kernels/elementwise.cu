// Computes: embed: out[i] = scale table[ids[i]]; gather_rows: out[i] = x[ids[i]]; add: x += y; add_bias: out = x + b in
//           every row, also in 16 bits; to_half: nearest FP16, the largest for what is larger, NaN for what is not finite; soft_cap: x = cap tanh(x / cap); gated_activation: out = g sigmoid(g) up (SiLU), or GELU(g) up by its tanh form;
//           rope: pairs (a, b) of a head become (a c - b s, a s + b c); rms_norm: out = x / sqrt(mean(x^2) + e) weight, and
//           before it, where wanted, x += y, and NaN where the sum of squares is beyond FP32; spoil_rows: out = NaN in rows where
//           x has an element that is not finite. gated_activation and rms_norm also quantise what they write, where wanted.
// Layout:   rows in order, FP32; tables as weights.cuh or gemv_float.cu say; ids and angles in device memory; integers as
//           quantize.cuh says.
// Requires: gated_activation quantises by groups, not by rows.
// Accuracy: FP32; sums in a fixed order; the bits of the same steps by kernels of their own.
// Launch:   one thread an element in blocks of 256, for gated_activation (columns / 256, rows) of them; rms_norm, embed and
//           gather_rows one block a row, of 256 threads; rms_norm of 1,024 where there are more columns than that.
// Moves:    each element once.
// Why:      bound by memory and by the launch: what follows on the same row is done on the way.
#include "demitasse/output.cuh"
#include "demitasse/quantize.cuh"
#include "demitasse/rope.cuh"

namespace demitasse {

enum class Table : int64_t { F32, F16, BF16, INT8, INT4 };

struct EmbedArgs {
    int64_t element;  // Table
    const uint8_t* weights;
    const void* scales;
    const void* mins;  // or null
    int64_t stride;    // floating point: bytes of a row
    int64_t tiles;     // integers: tiles of a row
    int64_t part;      // integers: columns of a part, 16 or 32; 0 for one part a row
    int64_t half_scales;
    int64_t columns;
    const int32_t* ids;
    Real scale;
    float* out;
};

template <int BITS>
DEVICE float integer_element(const EmbedArgs& a, int64_t row, int k) {
    using Tile = WeightTile<BITS>;
    const int64_t tile = row / TILE_OUTPUTS * a.tiles + k / Tile::COLUMNS;
    const int in_tile = k % Tile::COLUMNS;
    const int in_group = in_tile % 32;
    const uint8_t* at =
        a.weights + tile * TILE_BYTES + chunk_offset(static_cast<int>(row % TILE_OUTPUTS), in_group % 16 / 4);
    int q;
    if constexpr (BITS == 8) {
        q = static_cast<int8_t>(at[in_tile / 32 * 8 + in_group / 16 * 4 + k % 4]);
    } else {
        q = static_cast<int8_t>(at[in_tile / 32 * 4 + k % 4] << (4 - in_group / 16 * 4)) >> 4;
        q += a.mins != nullptr ? 8 : 0;
    }
    const int64_t parts = a.part == 0 ? 1 : Tile::COLUMNS / a.part;
    const int64_t scale = a.part == 0 ? row : (tile * TILE_OUTPUTS + row % TILE_OUTPUTS) * parts + in_tile / a.part;
    auto number = [&](const void* from) {
        return a.half_scales != 0 ? half_to_float(static_cast<const uint16_t*>(from)[scale])
                                  : static_cast<const float*>(from)[scale];
    };
    const float value = number(a.scales) * static_cast<float>(q);
    return a.mins == nullptr ? value : value + number(a.mins);
}

DEVICE float table_element(const EmbedArgs& a, int64_t row, int k) {
    switch (static_cast<Table>(a.element)) {
        case Table::F32:
            return reinterpret_cast<const float*>(a.weights + row * a.stride)[k];
        case Table::F16:
            return half_to_float(reinterpret_cast<const uint16_t*>(a.weights + row * a.stride)[k]);
        case Table::BF16:
            return __uint_as_float(
                static_cast<uint32_t>(reinterpret_cast<const uint16_t*>(a.weights + row * a.stride)[k]) << 16);
        case Table::INT8:
            return integer_element<8>(a, row, k);
        default:
            return integer_element<4>(a, row, k);
    }
}

struct GatherRowsArgs {
    const float* x;
    int64_t columns;
    const int32_t* ids;
    float* out;
};

struct AddArgs {
    float* x;
    const float* y;
    int64_t count;
};

struct ToHalfArgs {
    const float* x;
    int64_t count;
    uint16_t* out;
};

struct SpoilRowsArgs {
    const float* x;
    int64_t columns;
    float* out;
    int64_t outputs;
};

struct AddBiasArgs {
    const float* x;
    int64_t count;
    const float* bias;  // or null
    int64_t columns;
    Output out;  // may be x
};

struct SoftCapArgs {
    float* x;
    int64_t count;
    Real cap;
};

struct GatedActivationArgs {
    int64_t gelu;
    const float* gate;
    const float* up;
    int64_t columns;
    float* out;
    QuantizedRows quantized;  // by groups
};

struct RopeArgs {
    float* x;
    int64_t rows;
    int64_t heads;
    int64_t head_dim;
    RopeAngles angles;
};

struct RmsNormArgs {
    const float* x;
    const float* weight;
    int64_t columns;
    Real epsilon;
    float* out;
    float* sum;  // or null: x is this, to which `addend` is added first
    const float* addend;
    QuantizedRows quantized;
};

DEVICE int64_t thread_index() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

DEVICE float sigmoid(float x) { return 1 / (1 + expf(-x)); }

constexpr int NORM_WARPS = 32;  // of a block, at most
constexpr int NORM_HELD = 8;

// A row of rms_norm; threads have columns of their own.
struct NormRow {
    const RmsNormArgs& a;
    int64_t first;  // element of the row
    int columns;

    // x, or x + addend; 0 beyond the columns.
    DEVICE float load(int k) const {
        if (k >= columns) {
            return 0;
        }
        return a.sum == nullptr ? a.x[first + k] : a.x[first + k] + a.addend[first + k];
    }
    DEVICE float weight(int k) const { return k < columns ? a.weight[k] : 0; }
    DEVICE void store_sum(int k, float value) const {
        if (a.sum != nullptr && k < columns) {
            a.sum[first + k] = value;
        }
    }
    // What was loaded, after store_sum of it.
    DEVICE float again(int k) const { return k < columns ? a.x[first + k] : 0; }
    // Stores a normalised element, and a warp's 32 of them as integers up to column `end`.
    DEVICE void finish(int k, int end, float value, float largest) const {
        if (k < columns) {
            a.out[first + k] = value;
        }
        if (a.quantized.q != nullptr && k - lane() < end) {
            store_quantized(a.quantized, blockIdx.x, k / 32, value, largest);
        }
    }
};

}  // namespace demitasse

KERNEL(256) embed(const demitasse::EmbedArgs a) {
    const int64_t row = a.ids[blockIdx.x];
    for (int k = static_cast<int>(threadIdx.x); k < a.columns; k += static_cast<int>(blockDim.x)) {
        a.out[blockIdx.x * a.columns + k] = a.scale * demitasse::table_element(a, row, k);
    }
}
EXPORT(embed)

KERNEL(256) gather_rows(const demitasse::GatherRowsArgs a) {
    const int64_t row = a.ids[blockIdx.x];
    for (int64_t k = threadIdx.x; k < a.columns; k += blockDim.x) {
        a.out[blockIdx.x * a.columns + k] = a.x[row * a.columns + k];
    }
}
EXPORT(gather_rows)

KERNEL(256) add(const demitasse::AddArgs a) {
    const int64_t i = demitasse::thread_index();
    if (i < a.count) {
        a.x[i] += a.y[i];
    }
}
EXPORT(add)

KERNEL(256) to_half(const demitasse::ToHalfArgs a) {
    const int64_t i = demitasse::thread_index();
    if (i < a.count) {
        const float x = a.x[i];
        a.out[i] = demitasse::is_finite(x) ? demitasse::float_to_half(fminf(fmaxf(x, -65504), 65504)) : 0x7FFF;
    }
}
EXPORT(to_half)

KERNEL(256) spoil_rows(const demitasse::SpoilRowsArgs a) {
    using namespace demitasse;
    SHARED(int, spoilt, 1);
    if (threadIdx.x == 0) {
        spoilt[0] = 0;
    }
    __syncthreads();
    const int64_t row = blockIdx.x;
    for (int64_t k = threadIdx.x; k < a.columns; k += blockDim.x) {
        if (!is_finite(a.x[row * a.columns + k])) {
            spoilt[0] = 1;
        }
    }
    __syncthreads();
    for (int64_t n = threadIdx.x; spoilt[0] != 0 && n < a.outputs; n += blockDim.x) {
        a.out[row * a.outputs + n] = not_a_number();
    }
}
EXPORT(spoil_rows)

KERNEL(256) add_bias(const demitasse::AddBiasArgs a) {
    const int64_t i = demitasse::thread_index();
    if (i < a.count) {
        a.out.store(i, a.bias == nullptr ? a.x[i] : a.x[i] + a.bias[i % a.columns]);
    }
}
EXPORT(add_bias)

KERNEL(256) soft_cap(const demitasse::SoftCapArgs a) {
    const int64_t i = demitasse::thread_index();
    if (i < a.count) {
        a.x[i] = a.cap * tanhf(a.x[i] / a.cap);
    }
}
EXPORT(soft_cap)

KERNEL(256) gated_activation(const demitasse::GatedActivationArgs a) {
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

KERNEL(256) rope(const demitasse::RopeArgs a) {
    const int64_t pairs = a.angles.rope_dim / 2;
    const int64_t i = demitasse::thread_index();
    if (i < a.rows * a.heads * pairs) {
        const int64_t head = i / pairs;  // of all rows
        a.angles.turn(a.x + head * a.head_dim, head / a.heads, i % pairs);
    }
}
EXPORT(rope)

KERNEL_BLOCKS(1024, 1) rms_norm(const demitasse::RmsNormArgs a) {
    using namespace demitasse;
    SHARED(float, sums, NORM_WARPS);
    SHARED(float, maxima, NORM_WARPS);
    const int columns = static_cast<int>(a.columns);
    const int thread = static_cast<int>(threadIdx.x);
    const NormRow x{a, static_cast<int64_t>(blockIdx.x) * columns, columns};
    const int threads = static_cast<int>(blockDim.x);
    const int rest = NORM_HELD * threads;
    float held[NORM_HELD];  // the thread's first elements, all asked for before any is used
    float weights[NORM_HELD];
#pragma unroll
    for (int i = 0; i < NORM_HELD; i++) {
        held[i] = x.load(thread + i * threads);
        weights[i] = x.weight(thread + i * threads);
    }
    float sum = 0;
#pragma unroll
    for (int i = 0; i < NORM_HELD; i++) {
        x.store_sum(thread + i * threads, held[i]);
        sum = fmaf(held[i], held[i], sum);
    }
    for (int k = thread + rest; k < columns; k += threads) {
        const float value = x.load(k);
        x.store_sum(k, value);
        sum = fmaf(value, value, sum);
    }
    sum = warp_sum(sum);
    if (lane() == 0) {
        sums[warp()] = sum;
    }
    __syncthreads();
    sum = warp_sum(lane() < threads / 32 ? sums[lane()] : 0);
    const float factor = is_finite(sum) ? 1 / sqrtf(sum / static_cast<float>(a.columns) + a.epsilon) : not_a_number();
    float largest = 0;
#pragma unroll
    for (int i = 0; i < NORM_HELD; i++) {
        held[i] = held[i] * factor * weights[i];
        largest = larger_magnitude(largest, held[i]);
    }
    if (a.quantized.whole_rows != 0) {
        for (int k = thread + rest; k < columns; k += threads) {
            largest = larger_magnitude(largest, x.again(k) * factor * x.weight(k));
        }
        largest = block_magnitude(largest, maxima);
    }
    const int end = a.quantized.q != nullptr ? static_cast<int>(a.quantized.padded) : columns;
#pragma unroll
    for (int i = 0; i < NORM_HELD; i++) {
        x.finish(thread + i * threads, end, held[i], largest);
    }
    for (int k = thread + rest; k - lane() < end; k += threads) {
        x.finish(k, end, x.again(k) * factor * x.weight(k), largest);
    }
}
EXPORT(rms_norm)
