// Threads that walk lists of commands together.
//
// All threads go through the commands in order. A command starts when the one that it names is complete; its tasks are
// claimed one by one, and it is complete when the last claimed task has ended. So a thread that the operating system
// has taken from its core holds the others up only while it has a task in its hands, not at every command: there is no
// barrier that waits for threads, only for work. Threads that wait spin for a moment, then yield their core after every
// look; between lists they fall asleep after about 50 microseconds.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "demitasse/kernels.h"

namespace demitasse {

class Pool {
   public:
    Pool(const KernelTable& table, int threads);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    // Runs a list; throws std::bad_alloc, with nothing run, where scratch is not to be had.
    void run(const Command* commands, int count);

   private:
    // Progress of one command; a cache line of its own, since threads write to it all the time.
    struct alignas(64) Progress {
        std::atomic<int> next;
        std::atomic<int> done;
        int tasks;
    };

    // A list that may still be walked by a thread that lags behind; it is reused only when nobody does.
    struct Slot {
        std::atomic<uint32_t> epoch{0};
        std::atomic<int> users{0};
        std::vector<Command> commands;
        std::unique_ptr<Progress[]> progress;
        int capacity = 0;
    };

    static constexpr int SLOTS = 4;

    void prepare(Slot& slot, const Command* commands, int count);
    void walk(Slot& slot, Worker& worker);
    void work(int index);
    void reserve_scratch(int64_t bytes);

    const KernelTable& table_;
    Slot slots_[SLOTS];
    alignas(64) std::atomic<uint32_t> epoch_{0};
    std::atomic<bool> closing_{false};
    int64_t scratch_bytes_ = 0;
    std::vector<Worker> workers_;
    std::vector<std::thread> threads_;
};

}  // namespace demitasse
