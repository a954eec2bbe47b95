// A block of threads on one thread of the host: each thread is a fiber with a stack of its own, and gives way where it
// waits for others.
//
// A warp runs as far as it can before the next one starts, so warps drift as far apart as the program allows; the order
// of warps and of lanes is shuffled by a seed. What a real device does not define (shared memory at the start of a
// block, bytes of a copy that is under way) is poisoned or withheld, so that a kernel that relies on it gets wrong
// results here. A fault ends the launch with a message; it does not end the process.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "stacks.h"

namespace emulator {

struct Index3 {
    unsigned x = 1, y = 1, z = 1;
};

// Bytes on their way from global to shared memory.
struct Copy {
    void* to;
    const void* from;
    unsigned bytes;
    bool zero;

    void land() const {
        if (zero) {
            std::memset(to, 0, bytes);
        } else {
            std::memcpy(to, from, bytes);
        }
    }
};

struct Warp;

struct alignas(64) Fiber {
    // What every switch reads: one line of the host's cache.
    void* stack_pointer = nullptr;
    const unsigned* waits_for = nullptr;  // a generation that must move on
    unsigned generation = 0;
    bool done = false;
    int lane = 0;
    Index3 thread;
    Fiber* next = nullptr;  // of the warp, in the scheduler's order
    Warp* warp = nullptr;
    const char* waits_in = "";
    bool awaited_previous = false;
    std::vector<Copy> open_copies;
    std::vector<std::vector<Copy>> copy_groups;  // not a deque, which allocates when it is made
};

// Where the lanes of a mask meet.
struct Meeting {
    uint32_t mask = 0;
    uint32_t arrived = 0;
    unsigned generation = 0;
    const char* operation = nullptr;
    const void* in[32];
    void* out[32];
};

using Work = std::vector<std::function<void()>>;

struct Warp {
    int index = 0;
    Fiber* first = nullptr;        // of its lanes in the scheduler's order
    std::deque<Meeting> meetings;  // a deque: references stay valid
    Meeting* latest = nullptr;     // of them the one that was asked for last, which is mostly the next one, too
    // Matrix products that were started and not waited for: those of the open group, and the groups before it.
    Work open_products;
    std::deque<Work> product_groups;
    bool fenced = false;  // sums may be written by products
};

// A barrier in shared memory that counts arrivals and bytes.
struct CountingBarrier {
    unsigned count = 0;
    unsigned pending = 0;  // arrivals that this phase lacks
    int64_t bytes = 0;     // announced and not yet there
    unsigned phase = 0;
    unsigned events = 0;  // changes, which wake those that wait
    bool fenced = false;  // whether copies and other blocks know it
};

// Who watches what threads reach before and after they have awaited the kernels before; null: nobody.
class Overlap {
   public:
    virtual ~Overlap() = default;
    virtual void cluster_begins() = 0;
    virtual void all_have_awaited() = 0;
};

inline Overlap* overlap = nullptr;

struct Block;

// Blocks that run together and reach each other's shared memory.
struct Cluster {
    struct BulkCopy {
        Copy copy;
        CountingBarrier* barrier;
        Block* block;  // whose memory it reaches
    };

    std::vector<std::unique_ptr<Block>> blocks;
    std::vector<BulkCopy> copies;  // under way
    unsigned at_barrier = 0;
    unsigned barrier_generation = 0;
    unsigned rounds = 0;  // of the scheduler
    size_t threads = 0;
    size_t awaiting = 0;  // threads that await the kernels before
    unsigned await_generation = 0;

    unsigned alive() const;
};

struct Settings {
    unsigned seed = 0;          // 0: threads in their order
    bool copies_early = false;  // asynchronous copies land at once, and products of wgmma are late; or the reverse
};

inline Settings settings;

inline size_t copied_bytes = 0;  // by asynchronous copies, since the program began

struct Block {
    Index3 index, threads, grid;
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    unsigned alive = 0;
    unsigned at_barrier = 0;
    unsigned barrier_generation = 0;
    Cluster* cluster = nullptr;
    unsigned rank = 0;  // in the cluster
    unsigned char* dynamic_shared = nullptr;
    std::vector<unsigned char> async_view;  // the same as asynchronous copies left it: what matrix products see
    std::map<const void*, CountingBarrier> counting_barriers;  // by address
    std::map<const void*, std::unique_ptr<unsigned char, void (*)(void*)>> shared;
    void* scheduler = nullptr;
    const std::function<void()>* body = nullptr;
    std::string fault;
};

inline unsigned Cluster::alive() const {
    unsigned sum = 0;
    for (const auto& b : blocks) {
        sum += b->alive;
    }
    return sum;
}

inline thread_local Block* block;
inline thread_local Fiber* fiber;

inline void give_way() {
    Fiber* self = fiber;
    emulator_switch(&self->stack_pointer, block->scheduler);
}

// Ends the launch; the fibers are left where they are.
[[noreturn]] inline void fault(const std::string& what) {
    if (block->fault.empty()) {
        char where[128];
        std::snprintf(where, sizeof where, " (block %u,%u,%u thread %u,%u,%u)", block->index.x, block->index.y,
                      block->index.z, fiber->thread.x, fiber->thread.y, fiber->thread.z);
        block->fault = what + where;
    }
    while (true) {
        give_way();
    }
}

inline bool can_run(const Fiber& f) { return !f.done && (f.waits_for == nullptr || *f.waits_for != f.generation); }

// Waits until the generation moves on. The next lane of the warp that can run does so at once: the scheduler would
// choose it, and every switch costs.
inline void wait_for(const unsigned* generation, const char* where) {
    Fiber* self = fiber;
    self->waits_for = generation;
    self->generation = *generation;
    self->waits_in = where;
    Fiber* next = self->next;
    while (next != nullptr && !can_run(*next)) {
        next = next->next;
    }
    if (next == nullptr) {
        give_way();
    } else {
        next->waits_for = nullptr;
        fiber = next;
        emulator_switch(&self->stack_pointer, next->stack_pointer);
    }
}

inline void barrier() {
    Block* b = block;
    if (++b->at_barrier == b->alive) {
        b->at_barrier = 0;
        b->barrier_generation++;
    } else {
        wait_for(&b->barrier_generation, "__syncthreads");
    }
}

// All threads of the cluster.
inline void cluster_barrier() {
    Cluster* c = block->cluster;
    if (++c->at_barrier == c->alive()) {
        c->at_barrier = 0;
        c->barrier_generation++;
    } else {
        wait_for(&c->barrier_generation, "cluster_sync");
    }
}

// Awaits the kernels before; who has awaited them once may do so again. Where somebody watches, all threads of the
// cluster come so far before one goes on.
inline void await_previous() {
    const bool again = fiber->awaited_previous;
    fiber->awaited_previous = true;
    Cluster* c = block->cluster;
    if (overlap == nullptr || again) {
        return;
    }
    if (++c->awaiting == c->threads) {
        overlap->all_have_awaited();
        c->await_generation++;
    } else {
        wait_for(&c->await_generation, "await_previous");
    }
}

// Where somebody watches, memory that an asynchronous copy will read is reached when it is asked for.
inline void reach(const void* from, size_t bytes) {
    if (overlap != nullptr && bytes > 0) {
        const auto* at = static_cast<const volatile unsigned char*>(from);
        static_cast<void>(at[0]);
        static_cast<void>(at[bytes - 1]);
    }
}

// Lets all others run as far as they can.
inline void let_others_run() { wait_for(&block->cluster->rounds, "the scheduler"); }

inline void end_thread() {
    Block* b = block;
    if (!fiber->open_copies.empty() || !fiber->copy_groups.empty()) {
        fault("a thread ends with asynchronous copies under way");
    }
    if (!fiber->warp->open_products.empty() || !fiber->warp->product_groups.empty()) {
        fault("a thread ends with matrix products under way");
    }
    fiber->done = true;
    b->alive--;
    if (b->alive > 0 && b->at_barrier == b->alive) {
        b->at_barrier = 0;
        b->barrier_generation++;
    }
}

inline void enter() {
    (*block->body)();
    end_thread();
    give_way();
}

// Shared memory of the block under a key, poisoned when it is made.
inline void* shared_memory(const void* key, size_t bytes) {
    auto found = block->shared.find(key);
    if (found == block->shared.end()) {
        auto* memory = static_cast<unsigned char*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
        std::memset(memory, 0xCD, bytes);
        found = block->shared.emplace(key, std::unique_ptr<unsigned char, void (*)(void*)>(memory, std::free)).first;
    }
    return found->second.get();
}

inline void shuffle(std::vector<unsigned>& values, unsigned& state) {
    for (size_t i = values.size() - 1; i > 0; i--) {
        state = state * 1664525u + 1013904223u;
        std::swap(values[i], values[(state >> 8) % (i + 1)]);
    }
}

// The order in which the scheduler looks at the block's warps; the lanes of each are linked in theirs.
inline std::vector<Warp*> order(Block& b) {
    std::vector<unsigned> warps(b.warps.size()), lanes(32);
    std::iota(warps.begin(), warps.end(), 0);
    std::iota(lanes.begin(), lanes.end(), 0);
    if (settings.seed != 0) {
        unsigned state = settings.seed * 2654435761u ^ (b.index.x * 97 + b.index.y * 31 + b.index.z * 13 + 7);
        shuffle(warps, state);
        shuffle(lanes, state);
    }
    std::vector<Warp*> ordered;
    for (unsigned warp : warps) {
        Fiber** link = &b.warps[warp].first;
        for (unsigned lane : lanes) {
            if (const size_t i = warp * 32 + lane; i < b.fibers.size()) {
                *link = &b.fibers[i];
                link = &b.fibers[i].next;
            }
        }
        ordered.push_back(&b.warps[warp]);
    }
    return ordered;
}

// Runs the lanes of a warp until all of them wait.
inline bool run_warp(Block& b, const Warp& warp) {
    bool progress = false;
    for (bool again = true; again;) {
        again = false;
        for (Fiber* f = warp.first; f != nullptr; f = f->next) {
            if (!can_run(*f)) {
                continue;
            }
            fiber = f;
            f->waits_for = nullptr;
            emulator_switch(&b.scheduler, f->stack_pointer);
            f = fiber;  // the last one that ran
            progress = again = true;
            if (!b.fault.empty()) {
                return false;
            }
        }
    }
    return progress;
}

// Makes a block's threads, whose stacks begin with number `first_stack`.
inline void prepare(Block& b, size_t first_stack) {
    static thread_local Stacks stacks;
    const size_t count = static_cast<size_t>(b.threads.x) * b.threads.y * b.threads.z;
    b.fibers.assign(count, {});
    b.warps.assign((count + 31) / 32, {});
    b.alive = static_cast<unsigned>(count);
    for (unsigned i = 0; i < count; i++) {
        Fiber& f = b.fibers[i];
        f.stack_pointer = stacks.prepare(first_stack + i, enter);
        f.thread = {i % b.threads.x, i / b.threads.x % b.threads.y, i / (b.threads.x * b.threads.y)};
        f.lane = static_cast<int>(i % 32);
        f.warp = &b.warps[i / 32];
        f.warp->index = static_cast<int>(i / 32);
    }
}

// Who waits for ever, or that nobody does.
inline std::string deadlock(const Cluster& cluster) {
    for (const auto& b : cluster.blocks) {
        for (const Fiber& f : b->fibers) {
            if (!f.done) {
                return std::string("deadlock: a thread waits for ever in ") + f.waits_in;
            }
        }
    }
    return "";
}

// Runs the blocks of a cluster; returns the fault, or an empty string.
inline std::string run(Cluster& cluster) {
    std::vector<std::vector<Warp*>> orders;
    size_t threads = 0;
    for (const auto& b : cluster.blocks) {
        prepare(*b, threads);
        threads += b->fibers.size();
        orders.push_back(order(*b));
    }
    cluster.threads = threads;
    if (overlap != nullptr) {
        overlap->cluster_begins();
    }
    while (cluster.alive() > 0) {
        cluster.rounds++;
        bool progress = false;
        for (size_t i = 0; i < cluster.blocks.size(); i++) {
            block = cluster.blocks[i].get();
            for (const Warp* warp : orders[i]) {
                progress |= run_warp(*block, *warp);
                if (!block->fault.empty()) {
                    return block->fault;
                }
            }
        }
        if (!progress) {
            return deadlock(cluster);
        }
    }
    return cluster.copies.empty() ? "" : "a block ends with copies to its shared memory under way";
}

inline std::unique_ptr<unsigned char, void (*)(void*)> poisoned_memory(size_t bytes) {
    auto* memory = static_cast<unsigned char*>(std::aligned_alloc(1024, (bytes + 1024) / 1024 * 1024));
    std::memset(memory, 0xCD, bytes);
    return {memory, std::free};
}

// Runs a grid, one cluster of `cluster_blocks` neighbors along x after the other; returns the fault, or an empty
// string.
inline std::string launch(Index3 grid, Index3 threads, size_t shared_bytes, const std::function<void()>& body,
                          unsigned cluster_blocks = 1) {
    if (grid.x % cluster_blocks != 0) {
        return "a grid that is no multiple of its clusters";
    }
    for (unsigned i = 0; i < grid.x * grid.y * grid.z; i += cluster_blocks) {
        Cluster cluster;
        std::vector<std::unique_ptr<unsigned char, void (*)(void*)>> shared;
        for (unsigned rank = 0; rank < cluster_blocks; rank++) {
            auto b = std::make_unique<Block>();
            b->index = {(i + rank) % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
            b->threads = threads;
            b->grid = grid;
            b->body = &body;
            b->cluster = &cluster;
            b->rank = rank;
            shared.push_back(poisoned_memory(shared_bytes));
            b->dynamic_shared = shared.back().get();
            b->async_view.assign(b->dynamic_shared, b->dynamic_shared + shared_bytes);
            cluster.blocks.push_back(std::move(b));
        }
        std::string fault = run(cluster);
        block = nullptr;
        if (!fault.empty()) {
            return fault;
        }
    }
    return "";
}

}  // namespace emulator
