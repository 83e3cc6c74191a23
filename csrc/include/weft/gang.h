// One spmd run: the parts of all its devices, each on a stack of its own, so that any number of threads can work on any
// number of them. A part that waits for others at a collective is left, and gone on with when they have come.
//
// What a part is, and how operands are exchanged, depends on the devices: HostGang (host_gang.h) is for those of the
// CPU, DeviceGang (device_gang.h) for GPUs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "weft/collective.h"
#include "weft/fiber.h"
#include "weft/queued.h"

namespace weft {

class Gang : public Task {
 public:
  Gang(Plan& plan, double bytes);

  void queued() { queued_ = true; }
  void work() override;
  // After `work` of one that is not queued: false with the Python error. Needs the GIL.
  bool succeeded();
  void tell_others();

  // From within part `rank`; a status.
  int meet(int rank, const Collective& collective, int count, const WeftView* views);
  // From within part `rank`: returns when `until`, which waits, has returned; other parts are gone on with before.
  void pause(int rank, const std::function<void()>& until);

 protected:
  // The members of a group and their operands and results.
  struct Meeting {
    const Collective& collective;
    std::vector<int> members;
    std::vector<const WeftView*> operands, results;
  };

  // -- what depends on the devices; on any thread, without the GIL --
  // Runs part `rank` to its end; a status.
  virtual int execute(int rank) = 0;
  // Whether parts may have to be left.
  virtual bool leaves() const = 0;
  // How many elements the members may share out among them; 0: one of them exchanges it all.
  virtual weft_i64 divisible(const Meeting& meeting) const = 0;
  // Exchanges it all; false: the first member has taken a Python error. May throw DeviceError.
  virtual bool exchange(const Meeting& meeting) = 0;
  virtual void exchange(const Meeting& meeting, weft_i64 lo, weft_i64 hi) = 0;
  // Everything has ended: what was taken for it is given back.
  virtual void release() = 0;

  // The Python error that part `rank` ended with; needs the GIL.
  virtual void raise(int rank, int status) = 0;

  // Whether a leaf has the rows that devices get of it; false with a Python error.
  bool has_rows(const Frame& frame, std::size_t index) const;

  Plan& plan_;
  const Spmd& spmd_;
  int count_;
  std::vector<npy_intp> table_;  // the sizes of one part

 private:
  struct Part {
    std::unique_ptr<Fiber> fiber;
    int status = WEFT_OK;
    bool finished = false;
    const Collective* calls = nullptr;  // what it left for
    const WeftView *operand = nullptr, *result = nullptr;
    const Collective* at = nullptr;                // where it waits for others
    bool again = false;                            // for the second time: its share of the work is done
    bool shares = false;                           // it has a share of the work to do when it goes on
    const std::function<void()>* until = nullptr;  // what it waits for by itself
  };

  Part& part(int rank) { return parts_[static_cast<std::size_t>(rank)]; }
  // The members of a part's group, by place; empty: it is in none.
  std::vector<int> group_of(const Collective& collective, int rank) const;
  void begin();
  int take();  // the next part to go on with, or -1
  void go_on(int rank);
  void arrive(int rank);
  void finish(int rank, int status);
  Meeting meeting(const Collective& collective, const std::vector<int>& members) const;
  void join(const Meeting& meeting);
  void give_up(const std::string& text);  // under the mutex: everybody fails
  void push(int rank);
  void wake(int count);
  void complete();

  std::vector<Part> parts_;
  bool queued_ = false;
  double bytes_;
  Stopwatch watch_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<int> ready_, pausing_;
  std::atomic<unsigned> pushed_{0};  // to see without the mutex that something happened
  int next_ = 0, going_ = 0, finished_ = 0, sleeping_ = 0, workers_ = 0;
  bool begun_ = false, over_ = false;
  std::atomic<bool> aborted_{false};
  CpuEvent* cause_ = nullptr;
  int failed_ = -1;    // the part whose error it is
  std::string fault_;  // or what else went wrong
};

}  // namespace weft
