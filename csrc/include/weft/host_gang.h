// An spmd run on devices of the CPU: they share the host's memory, so that arguments are split by offset, results are
// written in place into one stacked array, and a collective reads and writes the others' memory.
#pragma once

#include "weft/gang.h"

namespace weft {

class HostGang final : public Gang {
 public:
  HostGang(Plan& plan, double bytes);
  ~HostGang() override;

  Operands operands;  // of the whole call

  // Reads the sizes of one part; false with a Python error.
  bool split(Frame& frame);
  // Memory for the results whose sizes are known.
  bool prepare(Prepared* results, bool queued);
  // The other results, once it has run.
  bool collect(Prepared* results);

 protected:
  int execute(int rank) override;
  bool leaves() const override { return spmd_.meets; }
  weft_i64 divisible(const Meeting& meeting) const override;
  bool exchange(const Meeting& meeting) override;
  void exchange(const Meeting& meeting, weft_i64 lo, weft_i64 hi) override;
  void release() override { operands.release(); }
  void raise(int rank, int status) override { run(rank).raise(status); }

 private:
  struct Part {
    Part(Plan& plan, const Device& device) : run(plan, device) {}
    FreeRun run;
    std::vector<void*> inputs;
  };

  FreeRun& run(int rank) { return parts_[static_cast<std::size_t>(rank)]->run; }

  std::vector<std::unique_ptr<Part>> parts_;
  std::vector<npy_intp> dims_;
  std::vector<Block*> blocks_;
};

}  // namespace weft
