// What fibers are made of: a stack each, and the switch from one to another (System V x86-64).
#pragma once

#include <cstddef>
#include <cstdlib>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace emulator {

// Saves the callee-saved registers on the stack and goes on where `load` was saved: by a jump, since a
// processor expects a return to go where the last call came from.
extern "C" void emulator_switch(void** save, void* load);
asm(R"(
.text
.weak emulator_switch
.type emulator_switch, @function
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmp *%rcx
)");

class Stacks {
   public:
    static constexpr size_t BYTES = 64 << 10;

    ~Stacks() {
        for (unsigned char* stack : stacks_) {
            std::free(stack);
        }
    }

    // The stack of thread i, laid out so that the first switch to it calls `enter`.
    void* prepare(size_t i, void (*enter)()) {
        while (stacks_.size() <= i) {
            stacks_.push_back(static_cast<unsigned char*>(std::aligned_alloc(64, BYTES)));
        }
#if defined(__SANITIZE_ADDRESS__)
        ASAN_UNPOISON_MEMORY_REGION(stacks_[i], BYTES);
#endif
        void** top = reinterpret_cast<void**>(stacks_[i] + BYTES - 64);
        *--top = nullptr;
        *--top = reinterpret_cast<void*>(enter);
        for (int callee_saved = 0; callee_saved < 6; callee_saved++) {
            *--top = nullptr;
        }
        return top;
    }

   private:
    std::vector<unsigned char*> stacks_;
};

}  // namespace emulator
