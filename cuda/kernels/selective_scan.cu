// Computes: the selective state space of Mamba 2 (Dao and Gu, "Transformers are SSMs", 2024), row after row of a
//           sequence: S = exp(rate t) S + B (t x)^T; out = C^T S + skip x, with t = ln(1 + exp(step + bias)).
// Layout:   x rows x (values [head][element], B [group][i], C alike); steps rows x heads; state slots x heads x
//           [i][column], i an element of B and C, column one of values (states.cuh); all FP32.
// Requires: state_dim at most 256, or what the kernel's name says; a sequence's rows follow each other and what its
//           state has seen; at position 0 the state counts as zeros.
// Accuracy: FP32; four sums over i, or eight, added by shuffles.
// Launch:   (rows, heads x head_dim / 32, or / 16 beyond 128 elements) blocks of 128 threads for the sequence that
//           begins with the block's row; a warp has eight columns, whose i are dealt to four lanes each (four and eight
//           beyond 128 elements); other blocks have nothing to do.
// Moves:    8 bytes an element of the state, once a launch; 4 operations an element and row.
// Why:      with one row a sequence it is bound by reading and writing the state, which all blocks do at once; with
//           many the state stays in registers, and columns do not depend on each other, so that no row waits for a
//           block. Not run on a GPU yet.
#include "demitasse/states.cuh"

namespace demitasse {

struct SelectiveScanArgs {
    const float* x;
    const float* steps;
    const float* bias;
    const float* rate;
    const float* skip;
    int64_t groups;
    int64_t heads;
    int64_t head_dim;
    int64_t state_dim;
    float* state;
    StateRows rows;
    float* out;
};

// A lane's part of a column.
template <int DIM>
struct ScanColumn : StateColumn<DIM> {
    using StateColumn<DIM>::PARTS;
    using StateColumn<DIM>::COUNT;
    using StateColumn<DIM>::s;

    DEVICE ScanColumn(int elements, int columns, int first) : StateColumn<DIM>(elements, columns, first) {}

    // C^T S after a row, whose value times its step is `added`.
    DEVICE float row(const float* b, const float* c, float added, float decay) {
        float sum = 0;
#pragma unroll
        for (int n = 0; n < COUNT; n++) {
            this->fence(n, 4);
            if (this->part + n * PARTS < this->elements) {  // columns beyond the last add zeros
                s[n] = fmaf(b[this->part + n * PARTS], added, decay * s[n]);
                sum = fmaf(c[this->part + n * PARTS], s[n], sum);
            }
        }
        return this->column_sum(sum);
    }
};

template <int DIM>
DEVICE void selective_scan(const SelectiveScanArgs& a) {
    follow_previous();
    const int64_t first = blockIdx.x;
    if (!a.rows.begins(first)) {
        return;
    }
    const int dim = static_cast<int>(a.head_dim);
    const int pieces = scan_blocks(dim, DIM);
    const int64_t head = static_cast<int>(blockIdx.y) / pieces;
    const int block = static_cast<int>(blockIdx.y) % pieces;
    const int64_t end = a.rows.end(first);
    const int64_t columns = a.heads * dim + 2 * a.groups * a.state_dim;
    float* state = a.state + (a.rows.slot(first) * a.heads + head) * a.state_dim * dim;
    ScanColumn<DIM> own(static_cast<int>(a.state_dim), dim,
                        (block * (DELTA_THREADS / 32) + warp()) * ScanColumn<DIM>::COLUMNS);
    own.load(state, a.rows.rows.positions[first] == 0);
#pragma unroll 1
    for (int64_t row = first; row < end; row++) {
        const float* x = a.x + row * columns;
        const float* b = x + a.heads * dim + head / (a.heads / a.groups) * a.state_dim;
        const int64_t at = row * a.heads + head;
        const float raw = a.steps[at] + a.bias[head];
        const float step = raw > 20 ? raw : log1pf(expf(raw));
        const float value = own.column < dim ? x[head * dim + own.column] : 0;
        const float result = own.row(b, b + a.groups * a.state_dim, step * value, expf(a.rate[head] * step));
        if (own.part == 0 && own.column < dim) {
            a.out[at * dim + own.column] = fmaf(a.skip[head], value, result);
        }
    }
    own.store(state);
}

}  // namespace demitasse

#define SELECTIVE_SCAN(name, DIM)                                                                                      \
    KERNEL(demitasse::DELTA_THREADS) name(const demitasse::SelectiveScanArgs a) { demitasse::selective_scan<DIM>(a); } \
    EXPORT(name)

SELECTIVE_SCAN(selective_scan_64, 64)
SELECTIVE_SCAN(selective_scan_128, 128)
SELECTIVE_SCAN(selective_scan_256, 256)
