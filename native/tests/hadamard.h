// The rotation of heads by the matrix that it is defined by, in FP64. Needs nothing else, so that tests of other
// devices can use it too.
#pragma once

#include <cmath>
#include <vector>

namespace demitasse::test {

// Every run of n numbers of x as H x / sqrt(n), n the largest power of two that divides `dim`.
inline std::vector<double> rotated_heads(const std::vector<float>& x, size_t dim) {
    const size_t n = dim & (~dim + 1);
    std::vector<double> rotated;
    for (size_t i = 0; i < x.size(); i++) {
        const size_t first = i / n * n;
        double sum = 0;
        for (size_t k = 0; k < n; k++) {
            const double value = static_cast<double>(x[first + k]);
            sum += __builtin_popcountll((i - first) & k) % 2 == 0 ? value : -value;
        }
        rotated.push_back(sum / std::sqrt(static_cast<double>(n)));
    }
    return rotated;
}

}  // namespace demitasse::test
