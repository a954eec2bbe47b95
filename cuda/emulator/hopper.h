// The host bodies of hopper.cuh. Either bulk copies land when somebody waits for their barrier, and matrix products are
// computed at once, so that operands which were not waited for are missing; or (copies_early) copies land at once, and
// products are computed when they are waited for and all others have run on, so that operands which were given free too
// soon are lost. What a thread writes to shared memory no matrix product may read: nothing here has the fence between
// the two proxies (fence.proxy.async) that it would take.
#pragma once

#include <type_traits>

#include "collectives.h"
#include "instructions.h"

#define KERNEL_CLUSTER(threads, blocks) extern "C" void
#define EXPORT_CLUSTER(name, blocks) static const bool name##_exported = emulator::export_kernel(#name, name, blocks);

namespace emulator {

inline CountingBarrier& counting_barrier(Block* b, const void* address) {
    auto found = b->counting_barriers.find(address);
    if (found == b->counting_barriers.end()) {
        fault("a barrier that was not initialized");
    }
    return found->second;
}

inline void require_fenced(const CountingBarrier& barrier) {
    if (!barrier.fenced) {
        fault("a barrier that was not fenced after its initialization");
    }
}

// The block of the cluster that must still be there.
inline Block* peer(unsigned rank) {
    Cluster* cluster = block->cluster;
    if (rank >= cluster->blocks.size()) {
        fault("a block that the cluster does not have");
    }
    Block* b = cluster->blocks[rank].get();
    if (b->alive == 0) {
        fault("a block of the cluster that has ended is reached");
    }
    return b;
}

// The same place in the shared memory of another block.
template <class T>
T* mapped(T* p, const Block* b) {
    return reinterpret_cast<T*>(b->dynamic_shared + (reinterpret_cast<unsigned char*>(p) - block->dynamic_shared));
}

inline void complete(CountingBarrier& barrier) {
    barrier.events++;
    if (barrier.pending == 0 && barrier.bytes == 0) {
        barrier.phase++;
        barrier.pending = barrier.count;
    }
}

inline void arrive(CountingBarrier& barrier) {
    if (barrier.pending == 0) {
        fault("more arrivals at a barrier than it counts");
    }
    barrier.pending--;
    complete(barrier);
}

inline void land(const Cluster::BulkCopy& bulk) {
    bulk.copy.land();
    const auto at = static_cast<unsigned char*>(bulk.copy.to) - bulk.block->dynamic_shared;
    if (at >= 0 && static_cast<size_t>(at) + bulk.copy.bytes <= bulk.block->async_view.size()) {
        std::memcpy(bulk.block->async_view.data() + at, bulk.copy.from, bulk.copy.bytes);
    }
    bulk.barrier->bytes -= bulk.copy.bytes;
    complete(*bulk.barrier);
}

inline void land_all(const CountingBarrier& barrier) {
    auto& copies = block->cluster->copies;
    for (size_t i = 0; i < copies.size();) {
        if (copies[i].barrier == &barrier) {
            const Cluster::BulkCopy bulk = copies[i];
            copies.erase(copies.begin() + static_cast<std::ptrdiff_t>(i));
            land(bulk);
        } else {
            i++;
        }
    }
}

inline void copy_bulk(Block* to_block, void* to, const void* from, unsigned bytes, uint64_t* barrier) {
    if (bytes % 16 != 0 || reinterpret_cast<uintptr_t>(to) % 16 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0) {
        fault("a bulk copy that is no multiple of 16 bytes");
    }
    copied_bytes += bytes;
    CountingBarrier& counts = counting_barrier(to_block, mapped(barrier, to_block));
    require_fenced(counts);
    reach(from, bytes);
    const Cluster::BulkCopy bulk{
        {mapped(static_cast<unsigned char*>(to), to_block), from, bytes, false}, &counts, to_block};
    if (settings.copies_early) {
        land(bulk);
    } else {
        block->cluster->copies.push_back(bulk);
        counts.events++;
    }
}

// Where byte k of a row of an operand lies, as wgmma_operand describes it.
inline const unsigned char* operand_at(uint64_t descriptor, int row, int k) {
    const uintptr_t stride = (descriptor >> 32 & 0x3FFF) << 4;
    uintptr_t at = ((descriptor & 0x3FFF) << 4) + static_cast<uintptr_t>(row / 8) * stride +
                   static_cast<uintptr_t>(row % 8 * 64 + k);
    at ^= (at >> 7 & 3) << 4;
    if (std::memcmp(block->dynamic_shared + at, block->async_view.data() + at, 2) != 0) {
        fault("a matrix product of what a thread has written");
    }
    return block->dynamic_shared + at;
}

// The element that begins there: a signed byte where sums are integers, else FP16.
inline void load_operand(int& element, const unsigned char* at) { element = static_cast<int8_t>(*at); }
inline void load_operand(float& element, const unsigned char* at) {
    uint16_t bits;
    std::memcpy(&bits, at, sizeof bits);
    element = demitasse::fp16_to_float(bits);
}

// The 16 rows of a warp in d (64 x 128) += a (64 x 32 bytes) b (128 x 32 bytes, transposed).
template <class Sum>
void multiply_operands(Sum* const* d, int warp, uint64_t a, uint64_t b) {
    constexpr int BYTES = std::is_integral_v<Sum> ? 1 : 2;
    constexpr int DEPTH = 32 / BYTES;
    Sum rows[16][DEPTH];
    Sum columns[128][DEPTH];
    for (int k = 0; k < DEPTH; k++) {
        for (int r = 0; r < 16; r++) {
            load_operand(rows[r][k], operand_at(a, warp % 4 * 16 + r, k * BYTES));
        }
        for (int n = 0; n < 128; n++) {
            load_operand(columns[n][k], operand_at(b, n, k * BYTES));
        }
    }
    for (int l = 0; l < 32; l++) {
        for (int i = 0; i < 64; i++) {
            Sum sum = 0;
            for (int k = 0; k < DEPTH; k++) {
                sum += rows[l / 4 + i % 4 / 2 * 8][k] * columns[i / 4 * 8 + l % 4 * 2 + i % 2][k];
            }
            d[l][i] += sum;
        }
    }
}

// All lanes meet, and the last one to come changes the warp.
template <class Change>
void change_warp(const char* operation, Change change) {
    Warp& warp = *fiber->warp;
    meet<int, int>(0xFFFFFFFFu, operation, 0, [&warp, change](auto, auto) { change(warp); });
}

// A product of four warps, of which this thread is in one.
template <class Sum>
void start_product(Sum (&d)[64], uint64_t a, uint64_t b) {
    struct In {
        Sum* d;
        uint64_t a, b;
    };
    meet<In, int>(0xFFFFFFFFu, "wgmma.mma_async", In{d, a, b}, [](auto in, auto) {
        Warp& warp = *fiber->warp;
        if (!warp.fenced) {
            fault("a matrix product whose sums were not fenced");
        }
        std::vector<Sum*> sums;
        for (int l = 0; l < 32; l++) {
            if (in[l]->a != in[0]->a || in[l]->b != in[0]->b) {
                fault("lanes of a matrix product have different operands");
            }
            sums.push_back(in[l]->d);
        }
        auto product = [sums, index = warp.index, a = in[0]->a, b = in[0]->b] {
            multiply_operands(sums.data(), index, a, b);
        };
        if (settings.copies_early) {
            warp.open_products.push_back(product);
        } else {
            product();
            warp.open_products.push_back([] {});
        }
    });
}

}  // namespace emulator

namespace demitasse {

inline unsigned cluster_rank() { return emulator::block->rank; }
inline void cluster_sync() { emulator::cluster_barrier(); }

inline void mbarrier_init(uint64_t* barrier, unsigned count) {
    emulator::block->counting_barriers[barrier] = {count, count, 0, 0, 0, false};
}
inline void mbarrier_init_fence() {
    for (auto& [address, barrier] : emulator::block->counting_barriers) {
        barrier.fenced = true;
    }
}
inline void mbarrier_expect(uint64_t* barrier, unsigned bytes) {
    emulator::CountingBarrier& counts = emulator::counting_barrier(emulator::block, barrier);
    counts.bytes += bytes;
    emulator::arrive(counts);
}
inline void mbarrier_arrive(uint64_t* barrier) {
    emulator::arrive(emulator::counting_barrier(emulator::block, barrier));
}
inline void mbarrier_arrive_at(uint64_t* barrier, unsigned rank) {
    emulator::Block* b = emulator::peer(rank);
    emulator::CountingBarrier& counts = emulator::counting_barrier(b, emulator::mapped(barrier, b));
    emulator::require_fenced(counts);
    emulator::arrive(counts);
}
inline void mbarrier_wait(uint64_t* barrier, unsigned parity) {
    emulator::CountingBarrier& counts = emulator::counting_barrier(emulator::block, barrier);
    emulator::land_all(counts);
    while (counts.phase % 2 == parity) {
        emulator::wait_for(&counts.events, "mbarrier_wait");
        emulator::land_all(counts);
    }
}

inline void copy_bulk(void* to, const void* from, unsigned bytes, uint64_t* barrier) {
    emulator::copy_bulk(emulator::block, to, from, bytes, barrier);
}
inline void copy_bulk_once(void* to, const void* from, unsigned bytes, uint64_t* barrier) {
    copy_bulk(to, from, bytes, barrier);
}
inline void copy_bulk_multicast(void* to, const void* from, unsigned bytes, uint64_t* barrier, uint16_t blocks) {
    for (unsigned rank = 0; rank < 16; rank++) {
        if (blocks >> rank & 1) {
            emulator::copy_bulk(emulator::peer(rank), to, from, bytes, barrier);
        }
    }
}

inline uint64_t wgmma_operand(const void* p, int stride) {
    const auto at = static_cast<uint64_t>(static_cast<const unsigned char*>(p) - emulator::block->dynamic_shared);
    if (at % 512 % 64 % 32 != 0 || stride % 512 != 0) {
        emulator::fault("an operand of wgmma that does not lie as its swizzle wants");
    }
    return at >> 4 | uint64_t{1} << 16 | static_cast<uint64_t>(stride >> 4) << 32 | uint64_t{2} << 62;
}
inline void wgmma_fence() {
    emulator::change_warp("wgmma.fence", [](emulator::Warp& warp) { warp.fenced = true; });
}
inline void wgmma_int8(int (&d)[64], uint64_t a, uint64_t b) { emulator::start_product(d, a, b); }
inline void wgmma_f16(float (&d)[64], uint64_t a, uint64_t b) { emulator::start_product(d, a, b); }
inline void wgmma_commit() {
    emulator::change_warp("wgmma.commit_group", [](emulator::Warp& warp) {
        warp.product_groups.push_back(std::move(warp.open_products));
        warp.open_products.clear();
    });
}
inline void wgmma_pin(int (&)[64]) {}
inline void wgmma_pin(float (&)[64]) {}

template <int PENDING>
void wgmma_wait() {
    emulator::let_others_run();
    emulator::change_warp("wgmma.wait_group", [](emulator::Warp& warp) {
        while (warp.product_groups.size() > PENDING) {
            for (const auto& product : warp.product_groups.front()) {
                product();
            }
            warp.product_groups.pop_front();
        }
        if (PENDING == 0) {
            warp.fenced = false;
        }
    });
}

}  // namespace demitasse
