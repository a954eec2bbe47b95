// Operations with a state for each sequence in FP64, row after row from position 0 on, of one sequence.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace demitasse::test {

using Values = std::vector<float>;

// x [row][channel], weight [k][channel].
inline std::vector<double> convolved(const Values& x, const Values& weight, const Values& bias, size_t kernel,
                                     bool silu) {
    const size_t channels = bias.size();
    std::vector<double> out(x.size());
    for (size_t i = 0; i < x.size(); i++) {
        out[i] = static_cast<double>(bias[i % channels]);
        for (size_t k = 0; k < kernel; k++) {
            const size_t back = (kernel - 1 - k) * channels;
            if (back <= i) {
                out[i] += static_cast<double>(weight[k * channels + i % channels]) * static_cast<double>(x[i - back]);
            }
        }
        out[i] = silu ? out[i] / (1 + std::exp(-out[i])) : out[i];
    }
    return out;
}

struct DeltaCase {
    int64_t key_heads;
    int64_t heads;
    int64_t dim;
    int64_t grouped;

    size_t columns() const { return static_cast<size_t>((2 * key_heads + heads) * dim); }
    size_t width() const { return static_cast<size_t>(heads); }
    size_t values() const { return static_cast<size_t>(heads * dim); }
    size_t key_head(size_t head) const {
        const size_t keys = static_cast<size_t>(key_heads);
        return grouped != 0 ? head / (width() / keys) : head % keys;
    }
};

inline std::vector<double> normalized(const float* x, size_t dim, double epsilon) {
    std::vector<double> out(x, x + dim);
    double squares = epsilon;
    for (double value : out) {
        squares += value * value;
    }
    for (double& value : out) {
        value /= std::sqrt(squares);
    }
    return out;
}

// The rule as it is written down, with whole matrices.
inline std::vector<double> delta_ruled(const DeltaCase& c, const Values& x, const Values& b, const Values& a,
                                       const Values& bias, const Values& rate, double epsilon) {
    const size_t dim = static_cast<size_t>(c.dim);
    const size_t keys = static_cast<size_t>(c.key_heads);
    const size_t rows = x.size() / c.columns();
    std::vector<double> out(rows * c.values());
    for (size_t head = 0; head < c.width(); head++) {
        std::vector<double> state(dim * dim);
        for (size_t row = 0; row < rows; row++) {
            const float* from = x.data() + row * c.columns();
            const std::vector<double> q = normalized(from + c.key_head(head) * dim, dim, epsilon);
            const std::vector<double> k = normalized(from + (keys + c.key_head(head)) * dim, dim, epsilon);
            const float* v = from + (2 * keys + head) * dim;
            const size_t gate = row * c.width() + head;
            const double beta = 1 / (1 + std::exp(-static_cast<double>(b[gate])));
            const double step = static_cast<double>(a[gate]) + static_cast<double>(bias[head]);
            const double decay = std::exp(static_cast<double>(rate[head]) * std::log1p(std::exp(step)));
            for (size_t column = 0; column < dim; column++) {
                double seen = 0;
                for (size_t i = 0; i < dim; i++) {
                    state[i * dim + column] *= decay;
                    seen += k[i] * state[i * dim + column];
                }
                double sum = 0;
                for (size_t i = 0; i < dim; i++) {
                    state[i * dim + column] += k[i] * (static_cast<double>(v[column]) - seen) * beta;
                    sum += q[i] * state[i * dim + column];
                }
                out[gate * dim + column] = sum / std::sqrt(static_cast<double>(dim));
            }
        }
    }
    return out;
}

struct ScanCase {
    int64_t groups;
    int64_t heads;
    int64_t dim;
    int64_t state_dim;

    size_t columns() const { return static_cast<size_t>(heads * dim + 2 * groups * state_dim); }
    size_t width() const { return static_cast<size_t>(heads); }
    size_t values() const { return static_cast<size_t>(heads * dim); }
};

template <class Values>
inline std::vector<double> scanned(const ScanCase& c, const Values& x, const Values& steps, const Values& bias,
                                   const Values& rate, const Values& skip) {
    const size_t dim = static_cast<size_t>(c.dim);
    const size_t states = static_cast<size_t>(c.state_dim);
    const size_t groups = static_cast<size_t>(c.groups);
    const size_t rows = x.size() / c.columns();
    std::vector<double> out(rows * c.values());
    for (size_t head = 0; head < c.width(); head++) {
        std::vector<double> state(states * dim);
        for (size_t row = 0; row < rows; row++) {
            const auto* from = x.data() + row * c.columns();
            const auto* b = from + c.values() + head / (c.width() / groups) * states;
            const size_t at = row * c.width() + head;
            const double raw = static_cast<double>(steps[at]) + static_cast<double>(bias[head]);
            const double step = std::log1p(std::exp(raw));
            const double decay = std::exp(static_cast<double>(rate[head]) * step);
            for (size_t column = 0; column < dim; column++) {
                const double value = static_cast<double>(from[head * dim + column]);
                double sum = static_cast<double>(skip[head]) * value;
                for (size_t i = 0; i < states; i++) {
                    double& s = state[i * dim + column];
                    s = s * decay + static_cast<double>(b[i]) * step * value;
                    sum += static_cast<double>(b[groups * states + i]) * s;
                }
                out[at * dim + column] = sum;
            }
        }
    }
    return out;
}

}  // namespace demitasse::test
