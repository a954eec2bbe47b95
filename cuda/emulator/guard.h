// Finds what a kernel reaches too early when it begins before the kernels before it have ended (programmatic dependent
// launch): device memory lies in an arena whose pages are protected while the threads of a cluster have not yet awaited
// the kernels before. A write then, and a read of a page that those kernels have written, is a violation. Threads wait
// in await_previous for the others of their cluster.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "block.h"

namespace emulator {

class Guard : public Overlap {
   public:
    explicit Guard(size_t bytes)
        : bytes_(bytes),
          memory_(static_cast<unsigned char*>(
              mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))),
          pages_(bytes / PAGE) {
        current = this;
        struct sigaction action {};
        action.sa_sigaction = handle;
        action.sa_flags = SA_SIGINFO | SA_NODEFER;
        sigaction(SIGSEGV, &action, &before);
    }
    ~Guard() override {
        sigaction(SIGSEGV, &before, nullptr);
        munmap(memory_, bytes_);
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    // Pages of its own for each block of memory; null where there are none left.
    void* allocate(size_t bytes) {
        const size_t count = (bytes + PAGE - 1) / PAGE;
        for (auto& [first, size] : free_) {
            if (size >= count) {
                const size_t at = first;
                const size_t left = size - count;
                free_.erase(at);
                if (left > 0) {
                    free_[at + count] = left;
                }
                sizes_[at] = count;
                return memory_ + at * PAGE;
            }
        }
        if (used_ + count > pages_.size()) {
            return nullptr;
        }
        sizes_[used_] = count;
        used_ += count;
        return memory_ + (used_ - count) * PAGE;
    }
    void release(void* p) {
        const size_t at = static_cast<size_t>(static_cast<unsigned char*>(p) - memory_) / PAGE;
        free_[at] = sizes_[at];
        sizes_.erase(at);
    }

    // A kernel begins; `overlaps`: perhaps before the kernels before it have ended, back to one that does not.
    void kernel_begins(bool overlaps) {
        for (size_t i = 0; i < used_; i++) {
            pages_[i] = overlaps && pages_[i] != 0 ? BEFORE : 0;
        }
        violation_ = nullptr;
        overlap = this;
    }
    // The violation, or an empty string.
    std::string kernel_ends() {
        overlap = nullptr;
        phase_ = OFF;
        protect(0, used_, PROT_READ | PROT_WRITE);
        return violation_ == nullptr ? "" : violation_;
    }

    void cluster_begins() override {
        phase_ = EARLY;
        protect(0, used_, PROT_READ);
        protect_where(BEFORE, PROT_NONE);
    }
    void all_have_awaited() override {
        phase_ = LATE;
        protect(0, used_, PROT_READ);
        protect_where(NOW, PROT_READ | PROT_WRITE);
    }

   private:
    enum Phase { OFF, EARLY, LATE };
    static constexpr size_t PAGE = 4096;
    static constexpr unsigned char BEFORE = 1, NOW = 2;  // by whom a page is written

    void protect(size_t first, size_t count, int access) {
        if (count > 0) {
            mprotect(memory_ + first * PAGE, count * PAGE, access);
        }
    }
    void protect_where(unsigned char writer, int access) {
        for (size_t i = 0; i < used_;) {
            size_t end = i;
            while (end < used_ && (pages_[end] & writer) != 0) {
                end++;
            }
            protect(i, end - i, access);
            i = end + 1;
        }
    }

    // Other faults are for whoever handled them before.
    static void handle(int signal, siginfo_t* info, void* context) {
        const auto* at = static_cast<unsigned char*>(info->si_addr);
        if (current->phase_ == OFF || at < current->memory_ || at >= current->memory_ + current->used_ * PAGE) {
            if (before.sa_flags & SA_SIGINFO) {
                before.sa_sigaction(signal, info, context);
            } else {
                sigaction(SIGSEGV, &before, nullptr);
            }
            return;
        }
        const bool writes = (static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_ERR] & 2) != 0;
        const auto page = static_cast<size_t>(at - current->memory_) / PAGE;
        if (current->phase_ == EARLY && current->violation_ == nullptr) {
            current->violation_ = writes ? "writes before it has awaited the kernels before"
                                         : "reads what a kernel before writes, without awaiting it";
        }
        if (writes) {
            current->pages_[page] |= NOW;
        }
        current->protect(page, 1, PROT_READ | PROT_WRITE);
    }

    inline static Guard* current = nullptr;
    inline static struct sigaction before;

    size_t bytes_;
    unsigned char* memory_;
    std::vector<unsigned char> pages_;
    size_t used_ = 0;                        // pages
    std::map<size_t, size_t> sizes_, free_;  // pages by the first of them
    Phase phase_ = OFF;
    const char* violation_ = nullptr;
};

}  // namespace emulator
