#include "weft/gang.h"

#include <algorithm>

#include "weft/signature.h"
#include "weft/threads.h"

namespace weft {
namespace {

constexpr int kSpins = 100;
constexpr weft_i64 kShare = 16 * 1024;  // elements of one result that are worth sharing out

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

Gang::Gang(Plan& plan, double bytes)
    : Task(plan.name),
      plan_(plan),
      spmd_(*plan.spmd),
      count_(static_cast<int>(plan.spmd->devices.size())),
      parts_(plan.spmd->devices.size()),
      bytes_(bytes) {
  keep(plan.self);
}

bool Gang::has_rows(const Frame& frame, std::size_t index) const {
  const Leaf& leaf = frame.leaves[index];
  const std::vector<int>& rows = spmd_.rows[index];
  npy_intp count = *std::max_element(rows.begin(), rows.end()) + 1;
  if (is_array_leaf(leaf.tag) && leaf.rank > 0 && leaf.dims[0] == count) return true;
  std::string path = path_of_leaf(frame, index);
  PyErr_Format(PyExc_ValueError, "%s has no leading axis of size %zd to split over the devices", path.c_str(), count);
  return false;
}

// -- the threads ------------------------------------------------------------------------------------------------------

void Gang::begin() {
  begun_ = true;
  watch_ = Stopwatch();
  cause_ = failed_dependency();
  if (cause_) give_up("");
}

int Gang::take() {
  if (!ready_.empty()) {
    int rank = ready_.front();
    ready_.pop_front();
    return rank;
  }
  return next_ < count_ ? next_++ : -1;
}

void Gang::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (over_) return;
  if (!begun_) begin();
  ++workers_;
  while (!over_) {
    int rank = take();
    if (rank >= 0) {
      ++going_;
      lock.unlock();
      go_on(rank);
      lock.lock();
      --going_;
      continue;
    }
    if (finished_ == count_) {
      over_ = true;
      changed_.notify_all();
      break;
    }
    if (!pausing_.empty()) {
      rank = pausing_.front();
      pausing_.pop_front();
      ++going_;
      lock.unlock();
      (*part(rank).until)();
      lock.lock();
      --going_;
      part(rank).until = nullptr;
      push(rank);
      continue;
    }
    if (going_ == 0) {
      give_up("the devices wait for each other: all have to call the same collectives in the same order");
      continue;
    }
    unsigned pushed = pushed_.load(std::memory_order_relaxed);
    lock.unlock();
    for (int spin = 0; spin < kSpins && pushed_.load(std::memory_order_relaxed) == pushed; ++spin) relax();
    lock.lock();
    if (pushed_.load(std::memory_order_relaxed) != pushed) continue;
    ++sleeping_;
    changed_.wait(lock);
    --sleeping_;
  }
  bool last = --workers_ == 0;
  lock.unlock();
  if (last) complete();
}

void Gang::push(int rank) {
  ready_.push_back(rank);
  pushed_.fetch_add(1, std::memory_order_relaxed);
}

void Gang::wake(int count) {
  pushed_.fetch_add(1, std::memory_order_relaxed);
  for (int k = std::min(count, sleeping_); k > 0; --k) changed_.notify_one();
}

void Gang::go_on(int rank) {
  Part& part = this->part(rank);
  if (!part.fiber) {
    int device = spmd_.devices[static_cast<std::size_t>(rank)]->id;
    if (fault.strikes(Fault::delay, device)) fault.sleep();
    if (fault.strikes(Fault::raise, device)) {
      std::lock_guard<std::mutex> lock(mutex_);
      give_up("a fault that was asked for");
    }
    if (aborted_) return finish(rank, WEFT_ERROR);
    if (!leaves()) return finish(rank, execute(rank));
    try {
      part.fiber = std::make_unique<Fiber>([this, rank, &part] { part.status = execute(rank); });
    } catch (const std::bad_alloc&) {
      return finish(rank, WEFT_NO_MEMORY);
    }
  }
  if (part.fiber->resume()) {
    part.fiber.reset();
    finish(rank, part.status);
  } else if (part.until) {
    std::lock_guard<std::mutex> lock(mutex_);
    pausing_.push_back(rank);
  } else {
    arrive(rank);
  }
}

void Gang::finish(int rank, int status) {
  std::lock_guard<std::mutex> lock(mutex_);
  parts_[static_cast<std::size_t>(rank)].finished = true;
  ++finished_;
  if (status != WEFT_OK && !aborted_) {
    failed_ = rank;
    give_up("");
  }
  for (int other = 0; !aborted_ && other < count_; ++other) {
    const Part& waiting = parts_[static_cast<std::size_t>(other)];
    if (!waiting.at) continue;
    std::vector<int> members = group_of(*waiting.at, other);
    if (std::find(members.begin(), members.end(), rank) != members.end()) {
      give_up("device " + std::to_string(other) + " waits at " + waiting.at->name + ", and device " +
              std::to_string(rank) + " has ended without it: all devices have to call the same collectives");
    }
  }
  if (finished_ == count_) wake(count_);
}

void Gang::give_up(const std::string& text) {
  if (aborted_) return;
  aborted_ = true;
  fault_ = text;
  for (int rank = 0; rank < count_; ++rank) {
    Part& part = this->part(rank);
    if (!part.at) continue;
    part.at = nullptr;
    part.shares = false;
    push(rank);
  }
  wake(count_);
}

// -- meetings ---------------------------------------------------------------------------------------------------------

std::vector<int> Gang::group_of(const Collective& collective, int rank) const {
  std::vector<int> members;
  if (collective.groups.empty()) {
    for (int k = 0; k < count_; ++k) members.push_back(k);
    return members;
  }
  for (const std::vector<int>& group : collective.groups) {
    if (std::find(group.begin(), group.end(), rank) == group.end()) continue;
    return *std::max_element(group.begin(), group.end()) < count_ ? group : members;
  }
  return members;
}

int Gang::meet(int rank, const Collective& collective, int count, const WeftView* views) {
  Part& part = this->part(rank);
  const WeftView& result = views[count - 1];
  if (collective.operation == Operation::axis_index) {
    std::vector<int> members = group_of(collective, rank);
    auto place = std::find(members.begin(), members.end(), rank) - members.begin();
    *static_cast<npy_int64*>(result.data) = static_cast<npy_int64>(place) + collective.first;
    return WEFT_OK;
  }
  part.operand = views;
  part.result = &result;
  part.again = false;
  part.calls = &collective;
  Fiber::leave();  // and when it has been left, the thread notes that it has come: see `arrive`
  if (part.shares) {
    part.shares = false;
    Meeting all = meeting(collective, group_of(collective, rank));
    auto place = static_cast<weft_i64>(std::find(all.members.begin(), all.members.end(), rank) - all.members.begin());
    auto n = static_cast<weft_i64>(all.members.size());
    // In lines of the cache, so that no two threads write to one.
    weft_i64 end = divisible(all), lines = end / 64 + 1;
    exchange(all, std::min(end, lines * place / n * 64),
             place + 1 == n ? end : std::min(end, lines * (place + 1) / n * 64));
    part.again = true;
    Fiber::leave();
  }
  return aborted_ ? WEFT_ERROR : WEFT_OK;
}

void Gang::pause(int rank, const std::function<void()>& until) {
  part(rank).until = &until;
  Fiber::leave();
}

Gang::Meeting Gang::meeting(const Collective& collective, const std::vector<int>& members) const {
  Meeting found{collective, members, {}, {}};
  for (int member : members) {
    const Part& part = parts_[static_cast<std::size_t>(member)];
    found.operands.push_back(part.operand);
    found.results.push_back(part.result);
  }
  return found;
}

void Gang::arrive(int rank) {
  Part& part = this->part(rank);
  std::unique_lock<std::mutex> lock(mutex_);
  const Collective& collective = *part.calls;
  std::vector<int> members = group_of(collective, rank);
  if (aborted_) return push(rank);
  part.at = &collective;
  if (members.empty())
    return give_up(std::string(collective.name) + ": device " + std::to_string(rank) +
                   " is in none of its groups of devices");
  std::size_t here = 0;
  for (int member : members) {
    const Part& other = parts_[static_cast<std::size_t>(member)];
    if (other.finished) {
      return give_up("device " + std::to_string(rank) + " calls " + collective.name + ", and device " +
                     std::to_string(member) + " has ended without it: all devices have to call the same collectives");
    }
    if (other.at == &collective) ++here;
    if (!other.at || other.at == &collective) continue;
    std::vector<int> theirs = group_of(*other.at, member);
    if (std::find(theirs.begin(), theirs.end(), rank) == theirs.end()) continue;  // it has to wait for others yet
    return give_up("device " + std::to_string(rank) + " calls " + collective.name + ", and device " +
                   std::to_string(member) + " is at another " + other.at->name +
                   ": all devices have to call the same collectives");
  }
  if (here < members.size()) return;
  // All have come: nobody goes on before this thread lets them.
  bool shares = false;
  if (!part.again) {
    for (int member : members) {
      const Part& other = parts_[static_cast<std::size_t>(member)];
      const WeftView &mine = *part.operand, &theirs = *other.operand;
      std::string wrong;
      if (!collective.outer) wrong = misfit(collective, theirs, *other.result, members.size());
      if (wrong.empty() && (mine.dtype != theirs.dtype || mine.rank != theirs.rank ||
                            !std::equal(mine.dims, mine.dims + mine.rank, theirs.dims))) {
        wrong = "its operands have different shapes or dtypes on devices " + std::to_string(rank) + " and " +
                std::to_string(member);
      }
      if (!wrong.empty()) return give_up(std::string(collective.name) + ": " + wrong);
    }
    Meeting all = meeting(collective, members);
    shares = workers_ > 1 && divisible(all) >= kShare;
    if (!shares) {
      lock.unlock();
      join(all);
      lock.lock();
      if (aborted_) return;
    }
  }
  for (int member : members) {
    Part& other = parts_[static_cast<std::size_t>(member)];
    other.at = nullptr;
    other.shares = shares;
    push(member);
  }
  wake(static_cast<int>(members.size()) - 1);
}

// One thread does it all.
void Gang::join(const Meeting& meeting) {
  std::string fault;
  try {
    if (exchange(meeting)) return;
  } catch (const DeviceError& error) {
    fault = error.what();
  }
  std::lock_guard<std::mutex> lock(mutex_);
  if (!aborted_ && fault.empty()) failed_ = meeting.members[0];
  give_up(fault);
}

// -- the end ----------------------------------------------------------------------------------------------------------

void Gang::complete() {
  release();
  if (!queued_) return;
  int hands = std::min(count_, thread_count());
  plan_.cost.note(watch_.nanoseconds() * hands, bytes_);
  if (cause_) return conclude(*cause_);
  if (!aborted_) return conclude();
  WithGil gil;
  succeeded();
  conclude_with_error();
}

// Other processes may be waiting for this one.
void Gang::tell_others() {
  for (const Ref& function : plan_.host) {
    if (!is_collective(function.get()) || !collective_of(function.get()).outer) continue;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    Ref told(PyObject_CallMethod(collective_of(function.get()).outer.get(), "failed", "O", value ? value : Py_None));
    if (!told) PyErr_Clear();
    return PyErr_Restore(type, value, trace);
  }
}

bool Gang::succeeded() {
  if (!aborted_) return true;
  if (failed_ >= 0) {
    int status = part(failed_).status;
    raise(failed_, status == WEFT_OK ? WEFT_ERROR : status);
  } else {
    PyErr_SetString(PyExc_RuntimeError, fault_.c_str());
  }
  tell_others();
  return false;
}

}  // namespace weft
