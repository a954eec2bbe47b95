// What the tests of kernels share: counted checks, launches on the emulator, and how near numbers are.
#pragma once

#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "demitasse/kernel.cuh"

namespace demitasse::test {

inline int checks = 0;
inline int failures = 0;

inline void check(bool holds, const std::string& what) {
    checks++;
    if (!holds && failures++ < 20) {
        std::printf("FAILED: %s (seed %u, %s landing)\n", what.c_str(), emulator::settings.seed,
                    emulator::settings.copies_early ? "early" : "late");
    }
}

template <class Args>
void run(const std::string& kernel, emulator::Index3 grid, unsigned threads, size_t shared, const Args& args) {
    const std::string fault = emulator::exported_kernels().at(kernel).run(grid, {threads, 1, 1}, shared, &args);
    check(fault.empty(), kernel + ": " + fault);
}

inline unsigned blocks(int64_t count, int size) { return static_cast<unsigned>((count + size - 1) / size); }

// Whether the error is at most `bound` of the power of the numbers, or of `terms`, the power of what they are sums of:
// sums may cancel out.
inline bool close(const std::vector<float>& actual, const std::vector<double>& expected, double bound,
                  double terms = 0) {
    double error = 0;
    double power = terms;
    for (size_t i = 0; i < expected.size(); i++) {
        error += (actual[i] - expected[i]) * (actual[i] - expected[i]);
        power += expected[i] * expected[i];
    }
    return error <= bound * power;
}

inline std::vector<float> normal_numbers(int64_t count, std::mt19937& random) {
    std::vector<float> x(static_cast<size_t>(count));
    std::normal_distribution<float> normal;
    for (float& value : x) {
        value = normal(random);
    }
    return x;
}

}  // namespace demitasse::test
