// Fibers: stacks that take turns. By a few instructions on x86-64, by ucontext elsewhere.
#pragma once

#include <stdlib.h>
#include <sys/mman.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(__x86_64__)
// Leaves the stack that runs, its pointer in *from, for another.
extern "C" void weft_emulate_switch(void** from, void* to);
asm(R"(
.text
.hidden weft_emulate_switch
.globl weft_emulate_switch
.type weft_emulate_switch, @function
weft_emulate_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size weft_emulate_switch, .-weft_emulate_switch
)");
#endif

namespace weft_emulate {

constexpr int most_fibers = 1024;

struct Fiber {
  char* stack;
#if defined(__x86_64__)
  void* sp;
#else
  ucontext_t context;
#endif
};

// A scheduler and the fibers that it lets run, all of which run one function that never returns.
class Fibers {
 public:
  explicit Fibers(void (*main)()) : main_(main) {}

  Fiber scheduler = {};
  Fiber* running = nullptr;

  // Lets a fiber run, until it leaves or rests.
  void go(Fiber* to) { switch_to(to); }
  // The fiber that runs goes back to the scheduler.
  void leave() { switch_to(&scheduler); }
  // The same, and others may take it.
  void rest() {
    idle_[idle_count_++] = running;
    leave();
  }

  // A fiber at rest, or a new one.
  Fiber* take() {
    if (idle_count_) return idle_[--idle_count_];
    Fiber* f = (Fiber*)calloc(1, sizeof(Fiber));
    void* stack = mmap(nullptr, guard + room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!f || stack == MAP_FAILED) abort();
    f->stack = (char*)stack;
    mprotect(f->stack, guard, PROT_NONE);
    prepare(f);
    return all_[count_++] = f;
  }

  // All are at rest again; what was on their stacks is dropped.
  void reset() {
    idle_count_ = 0;
    for (int k = 0; k < count_; ++k) {
      prepare(all_[k]);
      idle_[idle_count_++] = all_[k];
    }
  }

 private:
  static constexpr size_t room = 256 << 10, guard = 4096;

#if defined(__x86_64__)
  void prepare(Fiber* f) {
    void** top = (void**)(f->stack + guard + room);
    *--top = nullptr;  // the stack of a function is 8 off 16 at its start
    *--top = (void*)main_;
    for (int k = 0; k < 6; ++k) *--top = nullptr;
    f->sp = top;
  }
  void switch_to(Fiber* to) {
    Fiber* from = running;
    running = to;
    weft_emulate_switch(&from->sp, to->sp);
  }
#else
  void prepare(Fiber* f) {
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack + guard;
    f->context.uc_stack.ss_size = room;
    f->context.uc_link = nullptr;
    makecontext(&f->context, main_, 0);
  }
  void switch_to(Fiber* to) {
    Fiber* from = running;
    running = to;
    swapcontext(&from->context, &to->context);
  }
#endif

  void (*main_)();
  Fiber* all_[most_fibers] = {};
  Fiber* idle_[most_fibers] = {};
  int count_ = 0, idle_count_ = 0;
};

}  // namespace weft_emulate
