// A function with a stack of its own, which can be left in the middle and gone on with later, also by another thread.
#pragma once

#include <ucontext.h>

#include <functional>

namespace weft {

class Fiber {
 public:
  // Throws std::bad_alloc without memory for a stack.
  explicit Fiber(std::function<void()> body);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber();

  // Goes on with it on this thread; true: it has ended, false: it left.
  bool resume();

  // Within a fiber: leaves it, until somebody resumes it.
  static void leave();
  // Runs `body` on the stack of the thread: what looks at its stack, as Python does, must not see another. Outside of
  // fibers a plain call.
  static void outside(const std::function<void()>& body);

 private:
  static void enter(unsigned high, unsigned low);
  void switch_in();
  void switch_out(bool last);

  std::function<void()> body_;
  const std::function<void()>* wanted_ = nullptr;
  bool ended_ = false;
  void* stack_;
  ucontext_t own_, back_;
  // For the sanitizers, which keep shadows of stacks.
  void *sanitizer_ = nullptr, *sanitizer_back_ = nullptr;
  const void* back_bottom_ = nullptr;
  std::size_t back_size_ = 0;
};

}  // namespace weft
