// What the lanes of a warp do together: they meet, the last one to come computes all results, and all go on.
#pragma once

#include "block.h"

namespace emulator {

// Where the lanes of a mask meet in a warp, made where they have not met yet.
inline Meeting* meeting_of(Warp& warp, uint32_t mask) {
    if (warp.latest != nullptr && warp.latest->mask == mask) {
        return warp.latest;
    }
    warp.latest = nullptr;
    for (Meeting& m : warp.meetings) {
        if (m.mask == mask) {
            warp.latest = &m;
        }
    }
    if (warp.latest == nullptr) {
        warp.meetings.push_back({});
        warp.latest = &warp.meetings.back();
        warp.latest->mask = mask;
    }
    return warp.latest;
}

template <class In, class Out, class Compute>
Out meet(uint32_t mask, const char* operation, const In& in, Compute compute) {
    if ((mask >> fiber->lane & 1) == 0) {
        fault(std::string("a lane calls ") + operation + " with a mask that it is not in");
    }
    Meeting* meeting = meeting_of(*fiber->warp, mask);
    if (meeting->arrived != 0 && meeting->operation != operation && std::strcmp(meeting->operation, operation) != 0) {
        fault(std::string("lanes of one mask came to ") + meeting->operation + " and to " + operation);
    }
    Out out{};
    meeting->operation = operation;
    meeting->in[fiber->lane] = &in;
    meeting->out[fiber->lane] = &out;
    meeting->arrived |= 1u << fiber->lane;
    if (meeting->arrived == mask) {
        compute(reinterpret_cast<const In* const*>(meeting->in), reinterpret_cast<Out* const*>(meeting->out));
        meeting->arrived = 0;
        meeting->generation++;
    } else {
        wait_for(&meeting->generation, operation);
    }
    return out;
}

// Lane l receives what source(l) holds; lanes outside the mask give their own back.
template <class T, class Source>
T shuffle(uint32_t mask, const char* operation, T value, Source source) {
    struct In {
        T value;
        int source;
    };
    return meet<In, T>(mask, operation, In{value, source(fiber->lane)}, [mask](auto in, auto out) {
        for (int l = 0; l < 32; l++) {
            if (mask >> l & 1) {
                int from = in[l]->source;
                *out[l] = from >= 0 && from < 32 && (mask >> from & 1) != 0 ? in[from]->value : in[l]->value;
            }
        }
    });
}

}  // namespace emulator

template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int distance) {
    return emulator::shuffle(mask, "__shfl_xor_sync", value, [distance](int lane) { return lane ^ distance; });
}

template <class T>
T __shfl_up_sync(uint32_t mask, T value, unsigned distance) {
    return emulator::shuffle(mask, "__shfl_up_sync", value,
                             [distance](int lane) { return lane - static_cast<int>(distance); });
}

template <class T>
T __shfl_sync(uint32_t mask, T value, int source) {
    return emulator::shuffle(mask, "__shfl_sync", value, [source](int) { return source & 31; });
}

inline uint32_t __ballot_sync(uint32_t mask, bool predicate) {
    return emulator::meet<bool, uint32_t>(mask, "__ballot_sync", predicate, [mask](auto in, auto out) {
        uint32_t bits = 0;
        for (int l = 0; l < 32; l++) {
            bits |= (mask >> l & 1) != 0 && *in[l] ? 1u << l : 0;
        }
        for (int l = 0; l < 32; l++) {
            if (mask >> l & 1) {
                *out[l] = bits;
            }
        }
    });
}

inline int __reduce_add_sync(uint32_t mask, int value) {
    return emulator::meet<int, int>(mask, "__reduce_add_sync", value, [mask](auto in, auto out) {
        int sum = 0;
        for (int l = 0; l < 32; l++) {
            sum += (mask >> l & 1) != 0 ? *in[l] : 0;
        }
        for (int l = 0; l < 32; l++) {
            if (mask >> l & 1) {
                *out[l] = sum;
            }
        }
    });
}

inline void __syncwarp(uint32_t mask = 0xFFFFFFFFu) {
    emulator::meet<int, int>(mask, "__syncwarp", 0, [](auto, auto) {});
}

inline void __syncthreads() { emulator::barrier(); }
