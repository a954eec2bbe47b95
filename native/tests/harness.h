// What tests of kernels share: checks that count, and a device that runs commands.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "demitasse/demitasse.h"
#include "reference.h"

namespace demitasse::test {

inline int checks = 0;
inline int failures = 0;
inline std::string where;

inline void check(bool holds, const std::string& what) {
    checks++;
    if (!holds && failures++ < 20) {
        std::printf("FAILED %s: %s\n", where.c_str(), what.c_str());
    }
}

// least_power: what the error is measured by at least, where results cancel out.
inline void check_close(const Numbers& actual, const std::vector<double>& expected, double bound,
                        const std::string& what, double least_power = 0) {
    double error = 0;
    double power = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        double difference = static_cast<double>(actual[i]) - expected[i];
        error += difference * difference;
        power += expected[i] * expected[i];
    }
    power = std::max(power, least_power);
    check(error <= bound * power + 1e-30, what + ": NMSE " + std::to_string(error / (power + 1e-30) * 1e10) + "e-10");
}

struct Device {
    int64_t handle;

    Device(int set, int threads) : handle(open_device(set, threads)) { check(handle != 0, "the device opens"); }
    ~Device() { close_device(handle); }

    void run(std::vector<Command> commands) const {
        check(run_commands(handle, reinterpret_cast<int64_t>(commands.data()), static_cast<int>(commands.size())) == 0,
              "runs");
    }
};

inline Command command(Op op, int64_t after = -1) {
    Command c{};
    c.op = op;
    c.after = after;
    return c;
}

}  // namespace demitasse::test
