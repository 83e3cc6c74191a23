// Calls that go on after they returned: in a device's queue, or on several devices at once.
#pragma once

#include <chrono>
#include <utility>

#include "weft/queue.h"
#include "weft/run.h"

namespace weft {

class Gang;

// A Run without the GIL, which host calls take. Results may have their memory already.
class FreeRun : public Run {
 public:
  FreeRun(Plan& plan, const Device& device);
  ~FreeRun() override {  // on a thread that may not have the GIL
    release_later(std::exchange(error_type_, nullptr));
    release_later(std::exchange(error_value_, nullptr));
    release_later(std::exchange(error_trace_, nullptr));
  }

  // Where result k is to be written; its sizes have to be these, which stay the caller's.
  void give(std::size_t k, void* memory, int rank, const npy_intp* dims) { given_[k] = {memory, rank, dims}; }
  void join(Gang* gang, int rank) {
    gang_ = gang;
    rank_ = rank;
  }

  // Runs the entry; a status.
  int execute(void** inputs, const npy_intp* table);
  // Sets the Python error that the run ended with; needs the GIL.
  void raise(int status) { conclude(status); }
  // Ends it with the Python error that is set.
  void take_error() {
    PyErr_Fetch(&error_type_, &error_value_, &error_trace_);
    failed_ = true;
  }

  struct Shape {
    void* memory;
    int rank;
    const npy_intp* dims;
  };
  // What the run made for result k, and its sizes; null: nothing.
  Shape made(std::size_t k) const {
    const Made& found = made_[k];
    return {found.block ? found.block->memory() : nullptr, found.rank, dims_.data() + found.dims};
  }

 private:
  static FreeRun& of(WeftContext* context) { return *static_cast<FreeRun*>(context); }
  static void* alloc_entry(WeftContext* context, weft_i64 bytes);
  static void* result_entry(WeftContext* context, int k, int rank, const weft_i64* dims);
  static int host_entry(WeftContext* context, int id, int count, const WeftView* views);
  static void parallel_entry(WeftContext* context, weft_i64 n, weft_i64 grain, WeftBody body, void* env);

  Small<Shape, 8> given_;
  Gang* gang_ = nullptr;
  int rank_ = 0, number_;
};

// Results that were made before they are computed: what `build_value` takes them from.
class Prepared : public Run {
 public:
  explicit Prepared(Plan& plan) : Run(plan) {}
  // Memory for result k with these sizes; null: there is none. `event` says when it is computed, and may be null.
  Block* add(std::size_t k, int rank, const npy_intp* dims, Event* event);
};

class Stopwatch {
 public:
  double nanoseconds() const {
    return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start_).count());
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

// What a call's cost goes by.
double argument_bytes(const Frame& frame);

// Whether this call is queued rather than run now. `bytes` is set if it is worth measuring: what its cost goes by.
bool wants_queue(Plan& plan, Frame& frame, double* bytes);

PyObject* run_queued(Plan& plan, Frame& frame);

// The same of a plan that runs on several devices; whether it is queued is seen there.
PyObject* run_spmd(Plan& plan, Frame& frame);

// The leaves as a task's entry takes them, with what keeps them alive; `copy`: what the caller may write to is copied.
// False with a Python error.
class Operands {
 public:
  Operands() = default;
  Operands(const Operands&) = delete;
  Operands& operator=(const Operands&) = delete;
  ~Operands() { release(); }
  bool add(Frame& frame, Task& task, bool copy);
  void** data() { return pointers_.data(); }
  std::size_t size() const { return pointers_.size(); }
  void* operator[](std::size_t index) { return pointers_[index]; }
  void release();  // the memory; from any thread

 private:
  void* own(const void* data, std::size_t bytes);

  Small<void*, 16> pointers_;
  Small<Block*, 16> blocks_;
};

}  // namespace weft
