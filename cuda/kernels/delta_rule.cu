// Computes: the gated delta rule (Yang, Kautz and Hatamizadeh, "Gated Delta Networks", 2024), row after row of a
//           sequence: S = decay S; S += k (beta (v - k^T S)); out = q^T S / sqrt(head_dim), with q and k divided by
//           sqrt(sum of squares + epsilon), beta = sigmoid(b), decay = exp(rate ln(1 + exp(a + bias))).
// Layout:   x rows x (queries [key_head][element], keys alike, values [head][element]); b and a rows x heads; state
//           slots x heads x [i][column], i an element of keys and column one of values (states.cuh); all FP32.
// Requires: head_dim at most 256; a sequence's rows follow each other and what its state has seen; at position 0 the
//           state counts as zeros.
// Accuracy: FP32; four sums over i, or eight, added by shuffles.
// Launch:   (rows, heads x head_dim / 32, or / 16 beyond 128 elements) blocks of 128 threads for the sequence that
//           begins with the block's row; a warp has eight columns, whose i are dealt to four lanes each (four and eight
//           beyond 128 elements); other blocks have nothing to do.
// Moves:    8 bytes an element of the state, once a launch; 8 operations an element and row.
// Why:      with one row a sequence it is bound by reading and writing the state, which all blocks do at once; with
//           many the state stays in registers, and columns do not depend on each other, so that no row waits for a
//           block. Not run on a GPU yet.
#include "demitasse/states.cuh"

namespace demitasse {

struct DeltaRuleArgs {
    const float* x;
    const float* b;
    const float* a;
    const float* bias;
    const float* rate;
    int64_t key_heads;
    int64_t heads;
    int64_t head_dim;
    int64_t grouped;
    Real epsilon;
    float* state;
    StateRows rows;
    float* out;
};

// The same in all lanes.
DEVICE float inverse_norm(const float* x, int dim, float epsilon) {
    float squares = 0;
    for (int i = lane(); i < dim; i += 32) {
        squares = fmaf(x[i], x[i], squares);
    }
    return 1 / sqrtf(warp_sum(squares) + epsilon);
}

// A lane's part of a column, whose elements are as many as columns.
template <int DIM>
struct DeltaColumn : StateColumn<DIM> {
    using StateColumn<DIM>::PARTS;
    using StateColumn<DIM>::COUNT;
    using StateColumn<DIM>::s;

    DEVICE DeltaColumn(int dim, int first) : StateColumn<DIM>(dim, dim, first) {}

    // The column's result of a row.
    DEVICE float row(const float* q, float query_norm, const float* k, float key_norm, const float* v, float beta,
                     float decay) {
        float seen = 0;
#pragma unroll
        for (int n = 0; n < COUNT; n++) {
            this->fence(n, 16);
            if (this->has(n)) {
                seen = fmaf(k[this->part + n * PARTS] * key_norm, s[n], seen);
            }
        }
        seen = this->column_sum(seen);
        const float change = beta * ((this->column < this->columns ? v[this->column] : 0) - decay * seen);
        float sum = 0;
#pragma unroll
        for (int n = 0; n < COUNT; n++) {
            this->fence(n, 16);
            if (this->has(n)) {
                s[n] = fmaf(k[this->part + n * PARTS] * key_norm, change, decay * s[n]);
                sum = fmaf(q[this->part + n * PARTS] * query_norm, s[n], sum);
            }
        }
        return this->column_sum(sum);
    }
};

template <int DIM>
DEVICE void delta_rule(const DeltaRuleArgs& a) {
    follow_previous();
    const int64_t first = blockIdx.x;
    if (!a.rows.begins(first)) {
        return;
    }
    const int dim = static_cast<int>(a.head_dim);
    const int pieces = delta_blocks(dim);
    const int64_t head = static_cast<int>(blockIdx.y) / pieces;
    const int block = static_cast<int>(blockIdx.y) % pieces;
    const int64_t key_head = a.grouped != 0 ? head / (a.heads / a.key_heads) : head % a.key_heads;
    const int64_t end = a.rows.end(first);
    const float scale = 1 / sqrtf(static_cast<float>(dim));
    float* state = a.state + (a.rows.slot(first) * a.heads + head) * dim * dim;
    DeltaColumn<DIM> own(dim, (block * (DELTA_THREADS / 32) + warp()) * DeltaColumn<DIM>::COLUMNS);
    own.load(state, a.rows.rows.positions[first] == 0);
    for (int64_t row = first; row < end; row++) {
        const float* x = a.x + row * (2 * a.key_heads + a.heads) * dim;
        const float* q = x + key_head * dim;
        const float* k = q + a.key_heads * dim;
        const float* v = x + (2 * a.key_heads + head) * dim;
        const int64_t at = row * a.heads + head;
        const float step = a.a[at] + a.bias[head];
        const float decay = expf(a.rate[head] * (step > 20 ? step : log1pf(expf(step))));
        const float beta = 1 / (1 + expf(-a.b[at]));
        const float query_norm = inverse_norm(q, dim, a.epsilon) * scale;
        const float key_norm = inverse_norm(k, dim, a.epsilon);
        const float result = own.row(q, query_norm, k, key_norm, v, beta, decay);
        if (own.part == 0 && own.column < dim) {
            a.out[at * dim + own.column] = result;
        }
    }
    own.store(state);
}

}  // namespace demitasse

#define DELTA_RULE(name, DIM)                                                                                  \
    KERNEL(demitasse::DELTA_THREADS) name(const demitasse::DeltaRuleArgs a) { demitasse::delta_rule<DIM>(a); } \
    EXPORT(name)

DELTA_RULE(delta_rule_64, 64)
DELTA_RULE(delta_rule_128, 128)
DELTA_RULE(delta_rule_256, 256)
