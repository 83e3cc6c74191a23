// A Run on a device: alloc and result give the device's memory, and work is queued there.
#pragma once

#include <string>

#include "weft/device.h"
#include "weft/run.h"

namespace weft {

class DeviceRun : public Run {
 public:
  DeviceRun(Plan& plan, Device& device, const Kernels::Loaded& loaded);
  ~DeviceRun() override;

  // As Run's; results of NumPy's flavour are in the host's memory when it returns.
  int call(void** inputs, const npy_intp* sizes);

 protected:
  // Runs the entry, without the GIL; a status.
  int execute(void** inputs, const npy_intp* sizes);
  // Sets the Python error that a run with this status ends with, if it does; returns the status.
  int conclude(int status);
  // Waits until all that was queued is done.
  virtual void await() { device_.synchronise(plan_.name); }

  Device& device_;

 private:
  static DeviceRun& of(WeftContext* context) { return *static_cast<DeviceRun*>(context); }
  static void* alloc_entry(WeftContext* context, weft_i64 bytes);
  static void release_entry(WeftContext* context, void* memory);
  static void* result_entry(WeftContext* context, int k, int rank, const weft_i64* dims);
  static int host_entry(WeftContext* context, int id, int count, const WeftView* views);
  static int gemm_entry(WeftContext* context, int dtype, int trans_a, int trans_b, weft_i64 m, weft_i64 n, weft_i64 k,
                        const void* a, weft_i64 lda, const void* b, weft_i64 ldb, void* c, weft_i64 ldc,
                        int accumulate);
  static int launch_entry(WeftContext* context, int kernel, weft_i64 blocks, int threads, void** args);
  static int read_entry(WeftContext* context, void* host, const void* device, weft_i64 bytes);
  static int write_entry(WeftContext* context, void* device, const void* host, weft_i64 bytes);
  static int copy_entry(WeftContext* context, void* to, const void* from, weft_i64 bytes);
  static int check_entry(WeftContext* context);

  // Runs what may throw; a status. The first error is kept for the end of the call.
  template <class F>
  int guarded(F body) noexcept;
  int settle();  // waits, and raises what kernels recorded
  int report(const WeftFailure& found);
  int fetch();  // results that the host wants
  void mark();  // results that stay are ready when the queue has come so far

  const Kernels::Loaded& loaded_;
  Block* failure_ = nullptr;
  bool clean_ = true;     // nothing was recorded there
  bool pending_ = false;  // work was queued since the last wait
  bool faulted_ = false;
  bool no_memory_ = false;
  std::string fault_;
};

}  // namespace weft
