// An spmd run on GPUs: each has its part of the arguments and of the results in its own memory. One thread queues the
// work of all of them: where a part waits for its GPU, the others' parts are gone on with.
#pragma once

#include "weft/device_run.h"
#include "weft/gang.h"

namespace weft {

class DeviceGang final : public Gang {
 public:
  explicit DeviceGang(Plan& plan);
  ~DeviceGang() override;

  // Brings to each GPU its part of the arguments, and loads the kernels; false with a Python error.
  bool split(Frame& frame);
  // The returned value, once it has run.
  PyObject* value(const Frame& frame);

 protected:
  int execute(int rank) override;
  bool leaves() const override { return true; }
  weft_i64 divisible(const Meeting&) const override { return 0; }
  bool exchange(const Meeting& meeting) override;
  void exchange(const Meeting&, weft_i64, weft_i64) override {}
  void release() override {}
  void raise(int rank, int status) override;

 private:
  class Part;
  class Whole;

  bool add(Frame& frame, std::size_t index);
  bool take_pieces(const ArrayObject& array, const std::vector<int>& rows);
  // Where part `rank` finds a leaf that lies on the host at `data`, or on `source`; false with a Python error.
  bool bring(int rank, Device* source, const void* data, std::size_t bytes);
  PyObject* result(std::size_t k);

  std::vector<std::unique_ptr<Part>> parts_;
  std::vector<Ref> kept_;
};

PyObject* run_spmd_on_devices(Plan& plan, Frame& frame);

}  // namespace weft
