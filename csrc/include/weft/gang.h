// One spmd run: the parts of all its devices, each on a stack of its own, so that any number of threads can work on any
// number of them. A part that waits for others at a collective is left, and gone on with when they have come.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "weft/collective.h"
#include "weft/fiber.h"
#include "weft/queued.h"

namespace weft {

class Gang final : public Task {
 public:
  Gang(Plan& plan, double bytes);
  ~Gang() override;

  Operands operands;  // of the whole call

  // Reads the sizes of one part; false with a Python error.
  bool split(Frame& frame);
  // Memory for the results whose sizes are known.
  bool prepare(Prepared* results, bool queued);
  // The other results, once it has run.
  bool collect(Prepared* results);

  void queued() { queued_ = true; }
  void work() override;
  // After `work` of one that is not queued: false with the Python error. Needs the GIL.
  bool succeeded();
  void tell_others();

  // From within part `rank`; a status.
  int meet(int rank, const Collective& collective, int count, const WeftView* views);

 private:
  struct Part {
    Part(Plan& plan, const Device& device) : run(plan, device) {}
    FreeRun run;
    std::vector<void*> inputs;
    std::unique_ptr<Fiber> fiber;
    int status = WEFT_OK;
    bool finished = false;
    const Collective* calls = nullptr;  // what it left for
    const WeftView *operand = nullptr, *result = nullptr;
    const Collective* at = nullptr;  // where it waits for others
    bool again = false;              // for the second time: its share of the work is done
    bool shares = false;             // it has a share of the work to do when it goes on
  };

  // The members of a part's group, by place; empty: it is in none.
  std::vector<int> group_of(const Collective& collective, int rank) const;
  void begin();
  int take();  // the next part to go on with, or -1
  void go_on(int rank);
  void arrive(int rank);
  void finish(int rank, int status);
  void join(const Collective& collective, const std::vector<int>& members);
  void give_up(const std::string& text);  // under the mutex: everybody fails
  void push(int rank);
  void wake(int count);
  void complete();

  Plan& plan_;
  const Spmd& spmd_;
  int count_;
  std::vector<std::unique_ptr<Part>> parts_;
  std::vector<npy_intp> table_, dims_;
  std::vector<Block*> blocks_;
  bool queued_ = false;
  double bytes_;
  Stopwatch watch_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<int> ready_;
  std::atomic<unsigned> pushed_{0};  // to see without the mutex that something happened
  int next_ = 0, going_ = 0, finished_ = 0, sleeping_ = 0, workers_ = 0;
  bool begun_ = false, over_ = false;
  std::atomic<bool> aborted_{false};
  CpuEvent* cause_ = nullptr;
  int failed_ = -1;    // the part whose error it is
  std::string fault_;  // or what else went wrong
};

}  // namespace weft
