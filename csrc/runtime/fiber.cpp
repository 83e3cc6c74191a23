#include "weft/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace weft {
namespace {

// As large as a thread's; pages are taken from the system when they are first used.
constexpr std::size_t kStack = std::size_t{8} << 20;
constexpr std::size_t kGuard = 4096;
constexpr std::size_t kKept = 64;

struct Stacks {
  std::mutex mutex;
  std::vector<void*> free;
};
Stacks* stacks = new Stacks;  // never destroyed

void* take_stack() {
  {
    std::lock_guard<std::mutex> lock(stacks->mutex);
    if (!stacks->free.empty()) {
      void* found = stacks->free.back();
      stacks->free.pop_back();
      return found;
    }
  }
  void* made = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (made == MAP_FAILED) throw std::bad_alloc();
  mprotect(made, kGuard, PROT_NONE);
  return made;
}

void put_stack(void* stack) {
  {
    std::lock_guard<std::mutex> lock(stacks->mutex);
    if (stacks->free.size() < kKept) return stacks->free.push_back(stack);
  }
  munmap(stack, kStack);
}

thread_local Fiber* current = nullptr;

// A fiber may wake up on another thread: no address of a thread's variable may be kept across a switch.
__attribute__((noinline)) Fiber* get_current() { return current; }
__attribute__((noinline)) void set_current(Fiber* fiber) { current = fiber; }

}  // namespace

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)), stack_(take_stack()) {
  getcontext(&own_);
  own_.uc_stack.ss_sp = static_cast<char*>(stack_) + kGuard;
  own_.uc_stack.ss_size = kStack - kGuard;
  own_.uc_link = nullptr;
  auto self = reinterpret_cast<std::uintptr_t>(this);
  makecontext(&own_, reinterpret_cast<void (*)()>(reinterpret_cast<void*>(enter)), 2, static_cast<unsigned>(self >> 32),
              static_cast<unsigned>(self));
#if defined(__SANITIZE_THREAD__)
  sanitizer_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(sanitizer_);
#endif
  put_stack(stack_);
}

void Fiber::enter(unsigned high, unsigned low) {
  auto* self = reinterpret_cast<Fiber*>(static_cast<std::uintptr_t>(high) << 32 | low);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &self->back_bottom_, &self->back_size_);
#endif
  self->body_();
  self->ended_ = true;
  self->switch_out(true);
}

void Fiber::switch_in() {
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, own_.uc_stack.ss_sp, own_.uc_stack.ss_size);
#endif
#if defined(__SANITIZE_THREAD__)
  sanitizer_back_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(sanitizer_, 0);
#endif
  swapcontext(&back_, &own_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

void Fiber::switch_out(bool last) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(last ? nullptr : &sanitizer_, back_bottom_, back_size_);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(sanitizer_back_, 0);
#endif
  (void)last;
  swapcontext(&own_, &back_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(sanitizer_, &back_bottom_, &back_size_);
#endif
}

bool Fiber::resume() {
  for (;;) {
    Fiber* outer = get_current();
    set_current(this);
    switch_in();
    set_current(outer);
    if (!wanted_) return ended_;
    (*std::exchange(wanted_, nullptr))();
  }
}

void Fiber::leave() { get_current()->switch_out(false); }

void Fiber::outside(const std::function<void()>& body) {
  Fiber* fiber = get_current();
  if (!fiber) return body();
  fiber->wanted_ = &body;
  fiber->switch_out(false);
}

}  // namespace weft
