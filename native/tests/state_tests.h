// Kernels with a state for each sequence against FP64.
#pragma once

#include <cmath>
#include <limits>

#include "harness.h"
#include "states.h"

namespace demitasse::test {

// Rows of one sequence, whose state is at first what must not count, in two runs that cut its rows where it hurts.
struct StateRows {
    static constexpr int64_t ROWS = 7;
    static constexpr int64_t CUT = 2;
    static constexpr int32_t SLOT = 1;
    int32_t page = SLOT;
    const int32_t* tables[ROWS];
    int32_t positions[ROWS];
    BatchRows parts[2];

    StateRows() : parts{{CUT, positions, tables, nullptr}, {ROWS - CUT, positions + CUT, tables + CUT, nullptr}} {
        for (int32_t row = 0; row < ROWS; row++) {
            tables[row] = &page;
            positions[row] = row;
        }
    }
};

inline void test_convolve(const Device& device, std::mt19937& random) {
    constexpr float NOT_A_NUMBER = std::numeric_limits<float>::quiet_NaN();
    const StateRows rows;
    for (int64_t channels : {1, 15, 64, 300, 1030}) {
        for (int64_t kernel : {2, 3, 4}) {
            const size_t count = static_cast<size_t>(channels);
            const Numbers x = numbers(StateRows::ROWS * count, random);
            const Numbers weight = numbers(static_cast<size_t>(kernel) * count, random);
            const Numbers bias = numbers(count, random);
            const bool biased = kernel == 3;
            Numbers state(2 * static_cast<size_t>(kernel - 1) * count, NOT_A_NUMBER);
            Numbers out(x.size());
            const int64_t silu = kernel % 2;
            for (int64_t part : {0, 1}) {
                Command convolve = command(Op::CONVOLVE);
                const int64_t at = part * StateRows::CUT * channels;
                convolve.convolve = {x.data() + at,
                                     weight.data(),
                                     biased ? bias.data() : nullptr,
                                     channels,
                                     kernel,
                                     silu,
                                     state.data(),
                                     &rows.parts[part],
                                     out.data() + at};
                device.run({convolve});
            }
            check_close(out,
                        convolved(x, weight, biased ? bias : Numbers(count), static_cast<size_t>(kernel), silu != 0),
                        1e-10, "convolve " + std::to_string(channels) + " channels by " + std::to_string(kernel));
        }
    }
}

inline void test_delta_rule(const Device& device, std::mt19937& random) {
    constexpr float NOT_A_NUMBER = std::numeric_limits<float>::quiet_NaN();
    constexpr size_t ROWS = StateRows::ROWS;
    const StateRows rows;
    for (const DeltaCase& c :
         {DeltaCase{1, 1, 1, 0}, {2, 4, 16, 0}, {2, 4, 20, 1}, {1, 3, 64, 0}, {2, 2, 128, 1}, {1, 1, 250, 0}}) {
        const Numbers x = numbers(ROWS * c.columns(), random);
        const Numbers b = numbers(ROWS * c.width(), random);
        const Numbers a = numbers(ROWS * c.width(), random);
        const Numbers bias = numbers(c.width(), random);
        Numbers rate = numbers(c.width(), random);
        std::transform(rate.begin(), rate.end(), rate.begin(), [](float value) { return -std::fabs(value); });
        Numbers state(2 * c.values() * static_cast<size_t>(c.dim), NOT_A_NUMBER);
        Numbers out(ROWS * c.values());
        for (size_t part : {0u, 1u}) {
            const size_t first = part * StateRows::CUT;
            Command delta = command(Op::DELTA_RULE);
            delta.delta_rule = {x.data() + first * c.columns(),
                                b.data() + first * c.width(),
                                a.data() + first * c.width(),
                                bias.data(),
                                rate.data(),
                                c.key_heads,
                                c.heads,
                                c.dim,
                                c.grouped,
                                1e-6f,
                                state.data(),
                                &rows.parts[part],
                                out.data() + first * c.values()};
            device.run({delta});
        }
        check_close(out, delta_ruled(c, x, b, a, bias, rate, 1e-6), 1e-9,
                    "delta_rule of " + std::to_string(c.heads) + " heads of " + std::to_string(c.dim));
    }
}

inline void test_selective_scan(const Device& device, std::mt19937& random) {
    constexpr float NOT_A_NUMBER = std::numeric_limits<float>::quiet_NaN();
    constexpr size_t ROWS = StateRows::ROWS;
    const StateRows rows;
    for (const ScanCase& c :
         {ScanCase{1, 1, 1, 1}, {1, 4, 16, 16}, {2, 4, 20, 7}, {1, 3, 64, 128}, {4, 4, 130, 60}, {1, 2, 33, 250}}) {
        const Numbers x = numbers(ROWS * c.columns(), random);
        const Numbers steps = numbers(ROWS * c.width(), random);
        const Numbers bias = numbers(c.width(), random);
        const Numbers skip = numbers(c.width(), random);
        Numbers rate = numbers(c.width(), random);
        std::transform(rate.begin(), rate.end(), rate.begin(), [](float value) { return -std::fabs(value); });
        Numbers state(2 * c.values() * static_cast<size_t>(c.state_dim), NOT_A_NUMBER);
        Numbers out(ROWS * c.values());
        for (size_t part : {0u, 1u}) {
            const size_t first = part * StateRows::CUT;
            Command scan = command(Op::SELECTIVE_SCAN);
            scan.selective_scan = {x.data() + first * c.columns(),
                                   steps.data() + first * c.width(),
                                   bias.data(),
                                   rate.data(),
                                   skip.data(),
                                   c.groups,
                                   c.heads,
                                   c.dim,
                                   c.state_dim,
                                   state.data(),
                                   &rows.parts[part],
                                   out.data() + first * c.values()};
            device.run({scan});
        }
        check_close(out, scanned(c, x, steps, bias, rate, skip), 1e-9,
                    "selective_scan of " + std::to_string(c.heads) + " heads of " + std::to_string(c.dim));
    }
}

}  // namespace demitasse::test
