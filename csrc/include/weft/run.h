// What stands behind WeftContext while one entry runs.
#pragma once

#include <atomic>
#include <mutex>

#include "weft/plan.h"
#include "weft/pool.h"

namespace weft {

class Run : public WeftContext {
 public:
  explicit Run(Plan& plan);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  virtual ~Run();

  int call(void** inputs, const npy_intp* sizes);

  // Result k of the plan as a Python object; null with a Python error.
  virtual PyObject* value(std::size_t k);

  // Where arrays lie that the run makes, of the CPU's devices, and whether they are committed to it.
  void place(bool committed, Device* device) {
    committed_ = committed;
    device_ = device;
  }

 protected:
  struct Made {
    Block* block;
    std::size_t dims;  // where they start in dims_
    int rank;
  };
  struct alignas(16) Scalar {
    unsigned char bytes[16];
  };

  static Run& of(WeftContext* context) { return *static_cast<Run*>(context); }
  static void* alloc_entry(WeftContext* context, weft_i64 bytes);
  static void release_entry(WeftContext* context, void* memory);
  static void* result_entry(WeftContext* context, int k, int rank, const weft_i64* dims);
  static int host_entry(WeftContext* context, int id, int count, const WeftView* views);
  static void parallel_entry(WeftContext* context, weft_i64 n, weft_i64 grain, WeftBody body, void* env);
  static int gemm_entry(WeftContext* context, int dtype, int trans_a, int trans_b, weft_i64 m, weft_i64 n, weft_i64 k,
                        const void* a, weft_i64 lda, const void* b, weft_i64 ldb, void* c, weft_i64 ldc,
                        int accumulate);

  int call_host(int id, int count, const WeftView* views);
  // Room for result k's sizes, and its bytes; -1: it cannot be made.
  npy_intp measure(int k, int rank, const weft_i64* dims, std::size_t* at) {
    if (k < 0 || static_cast<std::size_t>(k) >= made_.size() || rank < 0 || rank > NPY_MAXDIMS) return -1;
    npy_intp bytes = plan_.results[static_cast<std::size_t>(k)].item_bytes;
    *at = dims_.size();
    npy_intp* place = dims_.extend(static_cast<std::size_t>(rank));
    for (int axis = 0; axis < rank; ++axis) {
      place[axis] = static_cast<npy_intp>(dims[axis]);
      if (dims[axis] < 0 || __builtin_mul_overflow(bytes, place[axis], &bytes)) return -1;
    }
    return bytes;
  }
  // Where the entry writes scalar results.
  void add_targets(Small<void*, 8>* targets) {
    for (std::size_t k = 0; k < plan_.results.size(); ++k) {
      targets->push(plan_.results[k].kind == Kind::scalar ? scalars_[k].bytes : nullptr);
    }
  }
  // Sets the Python error that a run with this status ends with, if it does; returns the status.
  int conclude(int status);
  void lock() {
    while (lock_.test_and_set(std::memory_order_acquire)) {
    }
  }
  void unlock() { lock_.clear(std::memory_order_release); }

  Plan& plan_;
  std::atomic_flag lock_ = ATOMIC_FLAG_INIT;  // guards the scratch list and the stored error
  Block* scratch_ = nullptr;
  Small<Made, 8> made_;
  Small<Scalar, 8> scalars_;
  Small<npy_intp, 16> dims_;
  PyThreadState* saved_ = nullptr;  // the owner's, while the GIL is released
  bool failed_ = false;
  bool committed_ = false;
  Device* device_ = nullptr;
  PyObject *error_type_ = nullptr, *error_value_ = nullptr, *error_trace_ = nullptr;
};

}  // namespace weft
