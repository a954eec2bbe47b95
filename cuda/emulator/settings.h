// The environment sets what the device says of itself and how it runs:
//   EMULATOR_DEVICES      how many there are (1)
//   EMULATOR_CAPABILITY   compute capability, such as 75 (80)
//   EMULATOR_PROCESSORS   multiprocessors (4)
//   EMULATOR_DRIVER       driver version, such as 12040 (13000)
//   EMULATOR_MEMORY       bytes of device memory (4 GiB)
//   EMULATOR_INIT         what cuInit returns (0)
//   EMULATOR_SEED         order of threads, see Settings (0)
//   EMULATOR_EARLY        1: asynchronous copies land at once (0)
//   EMULATOR_KERNELS      0: launches do nothing, so that what the host does is all that takes time (1)
//   EMULATOR_GRAPHS       0: graphs cannot be instantiated; -1: the first one cannot (1)
//   EMULATOR_FAULT        a kernel whose launches fail, as after an illegal access
//   EMULATOR_DEPENDENT    1: a kernel that reaches too early what kernels before it write fails (0), see guard.h;
//                         memory is then 1 GiB
#pragma once

#include <cstddef>
#include <cstdlib>

namespace emulator::environment {

inline long long setting(const char* name, long long otherwise) {
    const char* value = std::getenv(name);
    return value == nullptr ? otherwise : std::atoll(value);
}

inline int capability() { return static_cast<int>(setting("EMULATOR_CAPABILITY", 80)); }

// Shared bytes of a block: 227 KiB on 9.0 and 10.0, and elsewhere what every supported architecture gives.
inline int shared_limit() { return capability() == 90 || capability() == 100 ? 227 << 10 : 99 << 10; }

inline size_t memory_bytes() { return static_cast<size_t>(setting("EMULATOR_MEMORY", 4ll << 30)); }

inline int attribute(int number) {
    switch (number) {
        case 1:  // threads of a block
            return 1024;
        case 8:  // shared bytes of a block
            return 48 << 10;
        case 10:  // lanes of a warp
            return 32;
        case 16:  // multiprocessors
            return static_cast<int>(setting("EMULATOR_PROCESSORS", 4));
        case 75:
            return capability() / 10;
        case 76:
            return capability() % 10;
        case 97:  // shared bytes of a block on request
            return shared_limit();
        default:
            return 0;
    }
}

}  // namespace emulator::environment
