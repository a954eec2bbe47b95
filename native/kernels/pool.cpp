#include "demitasse/pool.h"

#include <algorithm>
#include <new>

namespace demitasse {
namespace {

constexpr int SPINS = 200;        // looks before a waiting thread yields its core at each look
constexpr int IDLE_LOOKS = 2000;  // looks between lists before a thread falls asleep
constexpr std::align_val_t LINE{64};

inline void pause_core() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Waits until ready() holds.
template <class Ready>
void wait_until(Ready ready) {
    for (int look = 0; !ready(); look++) {
        if (look < SPINS) {
            pause_core();
        } else {
            std::this_thread::yield();
        }
    }
}

}  // namespace

Pool::Pool(const KernelTable& table, int threads) : table_(table) {
    for (int i = 0; i < threads; i++) {
        workers_.push_back({nullptr});
    }
    try {
        for (int i = 1; i < threads; i++) {
            threads_.emplace_back([this, i] { work(i); });
        }
    } catch (...) {
        closing_ = true;
        epoch_.fetch_add(1);
        epoch_.notify_all();
        for (std::thread& thread : threads_) {
            thread.join();
        }
        throw;
    }
}

Pool::~Pool() {
    closing_ = true;
    epoch_.fetch_add(1);
    epoch_.notify_all();
    for (std::thread& thread : threads_) {
        thread.join();
    }
    for (Worker& worker : workers_) {
        ::operator delete[](worker.scratch, LINE);
    }
}

void Pool::reserve_scratch(int64_t bytes) {
    if (bytes <= scratch_bytes_) {
        return;
    }
    for (Worker& worker : workers_) {
        auto* grown = static_cast<uint8_t*>(::operator new[](static_cast<size_t>(bytes), LINE));
        ::operator delete[](worker.scratch, LINE);
        worker.scratch = grown;
    }
    scratch_bytes_ = bytes;
}

void Pool::prepare(Slot& slot, const Command* commands, int count) {
    slot.commands.assign(commands, commands + count);
    if (slot.capacity < count) {
        slot.progress = std::make_unique<Progress[]>(static_cast<size_t>(count));
        slot.capacity = count;
    }
    int64_t scratch = 0;
    for (int i = 0; i < count; i++) {
        Plan p = plan(commands[i]);
        slot.progress[i].tasks = p.tasks;
        slot.progress[i].next.store(0, std::memory_order_relaxed);
        slot.progress[i].done.store(0, std::memory_order_relaxed);
        scratch = std::max(scratch, p.scratch);
    }
    reserve_scratch(scratch);
}

void Pool::run(const Command* commands, int count) {
    uint32_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
    Slot& slot = slots_[epoch % SLOTS];
    slot.epoch = 0;  // nobody enters any more; who is inside has nothing left to claim, and leaves
    wait_until([&] { return slot.users.load() == 0; });
    prepare(slot, commands, count);
    slot.epoch = epoch;
    epoch_ = epoch;
    if (!threads_.empty()) {
        epoch_.notify_all();
    }
    walk(slot, workers_[0]);
}

void Pool::walk(Slot& slot, Worker& worker) {
    const int count = static_cast<int>(slot.commands.size());
    int complete = -1;  // commands up to this one are known to be complete
    auto require = [&](int64_t last) {
        for (; complete < last; complete++) {
            Progress& p = slot.progress[complete + 1];
            wait_until([&] { return p.done.load(std::memory_order_acquire) == p.tasks; });
        }
    };
    for (int i = 0; i < count; i++) {
        const Command& command = slot.commands[static_cast<size_t>(i)];
        Progress& p = slot.progress[i];
        require(command.after);
        while (p.next.load(std::memory_order_relaxed) < p.tasks) {
            int task = p.next.fetch_add(1, std::memory_order_relaxed);
            if (task >= p.tasks) {
                break;
            }
            table_.run[static_cast<int>(command.op)](command, task, worker);
            p.done.fetch_add(1, std::memory_order_release);
        }
    }
    require(count - 1);
}

void Pool::work(int index) {
    uint32_t seen = 0;
    while (true) {
        uint32_t epoch = epoch_.load();
        for (int look = 0; epoch == seen && look < IDLE_LOOKS; look++) {
            pause_core();
            epoch = epoch_.load();
        }
        if (epoch == seen) {
            epoch_.wait(seen);
            continue;
        }
        if (closing_) {
            return;
        }
        Slot& slot = slots_[epoch % SLOTS];
        slot.users.fetch_add(1);
        if (slot.epoch.load() == epoch) {
            walk(slot, workers_[static_cast<size_t>(index)]);
        }
        slot.users.fetch_sub(1);
        seen = epoch;
    }
}

}  // namespace demitasse
