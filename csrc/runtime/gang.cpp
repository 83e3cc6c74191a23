#include "weft/gang.h"

#include <algorithm>
#include <cstring>

#include "weft/signature.h"
#include "weft/threads.h"

namespace weft {
namespace {

constexpr int kSpins = 100;
constexpr weft_i64 kShare = 16 * 1024;  // elements of one result that are worth sharing out

npy_intp item_bytes(const Leaf& leaf) {
  if (leaf.tag == Tag::weft_array) return PyDataType_ELSIZE(reinterpret_cast<ArrayObject*>(leaf.object)->descr);
  PyArray_Descr* descr = PyArray_DescrFromType(leaf.dtype);
  npy_intp bytes = PyDataType_ELSIZE(descr);
  Py_DECREF(descr);
  return bytes;
}

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

// NumPy arrays over what the members of a group gave. Needs the GIL.
PyObject* views_of(const std::vector<const WeftView*>& views) {
  Ref list(PyList_New(static_cast<Py_ssize_t>(views.size())));
  for (std::size_t k = 0; list && k < views.size(); ++k) {
    const WeftView& view = *views[k];
    PyArray_Descr* descr = PyArray_DescrFromType(view.dtype);
    PyObject* array =
        descr ? PyArray_NewFromDescr(&PyArray_Type, descr, view.rank, reinterpret_cast<const npy_intp*>(view.dims),
                                     nullptr, view.data, NPY_ARRAY_CARRAY, nullptr)
              : nullptr;
    if (!array) return nullptr;
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(k), array);
  }
  return list.release();
}

}  // namespace

Gang::Gang(Plan& plan, double bytes)
    : Task(plan.name),
      plan_(plan),
      spmd_(*plan.spmd),
      count_(static_cast<int>(plan.spmd->devices.size())),
      bytes_(bytes) {
  keep(plan.self);
  for (int rank = 0; rank < count_; ++rank) {
    const Device& device = *spmd_.devices[static_cast<std::size_t>(rank)];
    add_device(device);
    parts_.push_back(std::make_unique<Part>(plan, device));
    parts_.back()->run.join(this, rank);
  }
}

Gang::~Gang() {
  for (Block* block : blocks_) drop(block);
}

bool Gang::split(Frame& frame) {
  if (spmd_.rows.size() != frame.leaves.size()) {
    PyErr_Format(PyExc_RuntimeError, "an spmd plan splits %zu leaves of %zu", spmd_.rows.size(), frame.leaves.size());
    return false;
  }
  for (std::size_t index = 0; index < frame.leaves.size(); ++index) {
    const Leaf& leaf = frame.leaves[index];
    const std::vector<int>& rows = spmd_.rows[index];
    bool splits = !rows.empty();
    npy_intp pieces = splits ? *std::max_element(rows.begin(), rows.end()) + 1 : 0;
    npy_intp bytes = is_array_leaf(leaf.tag) ? item_bytes(leaf) : 0;
    if (splits && (leaf.rank == 0 || !is_array_leaf(leaf.tag) || leaf.dims[0] != pieces)) {
      std::string path = path_of_leaf(frame, index);
      PyErr_Format(PyExc_ValueError, "%s has no leading axis of size %zd to split over the devices", path.c_str(),
                   pieces);
      return false;
    }
    for (int axis = splits ? 1 : 0; axis < leaf.rank; ++axis) {
      table_.push_back(leaf.dims[axis]);
      bytes *= leaf.dims[axis];
    }
    for (int rank = 0; rank < count_; ++rank) {
      char* place = static_cast<char*>(operands[index]) + (splits ? rows[static_cast<std::size_t>(rank)] * bytes : 0);
      parts_[static_cast<std::size_t>(rank)]->inputs.push_back(place);
    }
  }
  table_.insert(table_.end(), frame.ints.begin(), frame.ints.end());
  return true;
}

bool Gang::prepare(Prepared* results, bool queued) {
  dims_.reserve(plan_.results.size() * (NPY_MAXDIMS + 1));  // so that it stays where it is
  for (std::size_t k = 0; k < plan_.results.size(); ++k) {
    const Result& wanted = plan_.results[k];
    if (wanted.kind == Kind::leaf || !wanted.sized) continue;
    const std::vector<int>& owners = spmd_.owners[k];
    bool stacks = !owners.empty();
    npy_intp* dims = dims_.data() + dims_.size();
    dims_.push_back(static_cast<npy_intp>(owners.size()));
    npy_intp bytes = wanted.item_bytes;
    for (const Affine& size : wanted.dims) {
      dims_.push_back(size.at(table_.data()));
      bytes *= dims_.back();
    }
    auto rank = static_cast<int>(wanted.dims.size());
    Block* block = results->add(k, stacks ? rank + 1 : rank, stacks ? dims : dims + 1, queued ? &event() : nullptr);
    if (!block) return false;
    retain(block);
    blocks_.push_back(block);
    for (std::size_t row = 0; row < std::max(owners.size(), std::size_t{1}); ++row) {
      // An empty result has an address, too.
      auto part = static_cast<std::size_t>(stacks ? owners[row] : 0);
      char* place = static_cast<char*>(block->address) + static_cast<npy_intp>(row) * bytes;
      parts_[part]->run.give(k, place, rank, dims + 1);
    }
  }
  return true;
}

bool Gang::collect(Prepared* results) {
  for (std::size_t k = 0; k < plan_.results.size(); ++k) {
    const Result& wanted = plan_.results[k];
    if (wanted.kind == Kind::leaf || wanted.sized) continue;
    const std::vector<int>& owners = spmd_.owners[k];
    bool stacks = !owners.empty();
    FreeRun::Shape first = parts_[0]->run.made(k);
    std::vector<npy_intp> dims{static_cast<npy_intp>(owners.size())};
    dims.insert(dims.end(), first.dims, first.dims + first.rank);
    auto bytes = static_cast<std::size_t>(wanted.item_bytes);
    for (int axis = 0; axis < first.rank; ++axis) bytes *= static_cast<std::size_t>(first.dims[axis]);
    Block* block =
        results->add(k, stacks ? first.rank + 1 : first.rank, stacks ? dims.data() : dims.data() + 1, nullptr);
    if (!block) return false;
    for (std::size_t row = 0; row < std::max(owners.size(), std::size_t{1}); ++row) {
      int rank = stacks ? owners[row] : 0;
      FreeRun::Shape part = parts_[static_cast<std::size_t>(rank)]->run.made(k);
      if (!part.memory || part.rank != first.rank || !std::equal(part.dims, part.dims + part.rank, first.dims)) {
        PyErr_Format(PyExc_ValueError,
                     "result %zu of '%s' has different shapes on devices 0 and %d, and cannot be stacked", k,
                     plan_.name, rank);
        return false;
      }
      std::memcpy(static_cast<char*>(block->address) + row * bytes, part.memory, bytes);
    }
  }
  return true;
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
  Part& part = *parts_[static_cast<std::size_t>(rank)];
  if (!part.fiber) {
    int device = spmd_.devices[static_cast<std::size_t>(rank)]->id;
    if (fault.strikes(Fault::delay, device)) fault.sleep();
    if (fault.strikes(Fault::raise, device)) {
      std::lock_guard<std::mutex> lock(mutex_);
      give_up("a fault that was asked for");
    }
    if (aborted_) return finish(rank, WEFT_ERROR);
    auto body = [this, &part] { part.status = part.run.execute(part.inputs.data(), table_.data()); };
    if (!spmd_.meets) {
      body();
      return finish(rank, part.status);
    }
    try {
      part.fiber = std::make_unique<Fiber>(body);
    } catch (const std::bad_alloc&) {
      return finish(rank, WEFT_NO_MEMORY);
    }
  }
  if (part.fiber->resume()) {
    part.fiber.reset();
    finish(rank, part.status);
  } else {
    arrive(rank);
  }
}

void Gang::finish(int rank, int status) {
  std::lock_guard<std::mutex> lock(mutex_);
  parts_[static_cast<std::size_t>(rank)]->finished = true;
  ++finished_;
  if (status != WEFT_OK && !aborted_) {
    failed_ = rank;
    give_up("");
  }
  for (int other = 0; !aborted_ && other < count_; ++other) {
    const Part& waiting = *parts_[static_cast<std::size_t>(other)];
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
    Part& part = *parts_[static_cast<std::size_t>(rank)];
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
  Part& part = *parts_[static_cast<std::size_t>(rank)];
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
    std::vector<int> members = group_of(collective, rank);
    auto place = static_cast<weft_i64>(std::find(members.begin(), members.end(), rank) - members.begin());
    auto n = static_cast<weft_i64>(members.size());
    std::vector<const WeftView*> operands, results;
    for (int member : members) {
      operands.push_back(parts_[static_cast<std::size_t>(member)]->operand);
      results.push_back(parts_[static_cast<std::size_t>(member)]->result);
    }
    // In lines of the cache, so that no two threads write to one.
    weft_i64 lines = extent(collective, *part.operand, members.size()) / 64 + 1;
    weft_i64 end = extent(collective, *part.operand, members.size());
    exchange(collective, operands.data(), results.data(), members.size(), std::min(end, lines * place / n * 64),
             place + 1 == n ? end : std::min(end, lines * (place + 1) / n * 64));
    part.again = true;
    Fiber::leave();
  }
  return aborted_ ? WEFT_ERROR : WEFT_OK;
}

void Gang::arrive(int rank) {
  Part& part = *parts_[static_cast<std::size_t>(rank)];
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
    const Part& other = *parts_[static_cast<std::size_t>(member)];
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
      const Part& other = *parts_[static_cast<std::size_t>(member)];
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
    shares = workers_ > 1 && !collective.outer && extent(collective, *part.operand, members.size()) >= kShare;
    if (!shares) {
      lock.unlock();
      join(collective, members);
      lock.lock();
      if (aborted_) return;
    }
  }
  for (int member : members) {
    Part& other = *parts_[static_cast<std::size_t>(member)];
    other.at = nullptr;
    other.shares = shares;
    push(member);
  }
  wake(static_cast<int>(members.size()) - 1);
}

// One thread does it all.
void Gang::join(const Collective& collective, const std::vector<int>& members) {
  std::vector<const WeftView*> operands, results;
  for (int member : members) {
    operands.push_back(parts_[static_cast<std::size_t>(member)]->operand);
    results.push_back(parts_[static_cast<std::size_t>(member)]->result);
  }
  if (!collective.outer) {
    weft_i64 end = extent(collective, *operands[0], members.size());
    return exchange(collective, operands.data(), results.data(), members.size(), 0, end);
  }
  WithGil gil;
  Ref given(views_of(operands)), wanted(views_of(results));
  Ref done(given && wanted ? PyObject_CallFunctionObjArgs(collective.outer.get(), given.get(), wanted.get(), nullptr)
                           : nullptr);
  if (done) return;
  parts_[static_cast<std::size_t>(members[0])]->run.take_error();
  std::lock_guard<std::mutex> lock(mutex_);
  if (!aborted_) failed_ = members[0];
  give_up("");
}

// -- the end ----------------------------------------------------------------------------------------------------------

void Gang::complete() {
  operands.release();
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
    Part& part = *parts_[static_cast<std::size_t>(failed_)];
    part.run.raise(part.status == WEFT_OK ? WEFT_ERROR : part.status);
  } else {
    PyErr_SetString(PyExc_RuntimeError, fault_.c_str());
  }
  tell_others();
  return false;
}

PyObject* run_spmd(Plan& plan, Frame& frame) {
  Held<Gang> gang(new Gang(plan, argument_bytes(frame)));
  // A callback may itself wait for calls on these devices: it runs in the caller's thread.
  bool open = queueing() != Queueing::never && queues_open() && !plan.ordered;
  double bytes = 0;
  bool queued = open && wants_queue(plan, frame, &bytes);
  if (!queued && frame.pending && !wait_for_arguments(frame)) return nullptr;
  Prepared results(plan);
  if (!gang->operands.add(frame, *gang, queued) || !gang->split(frame) ||
      !gang->prepare(&results, queued && plan.queues)) {
    return nullptr;
  }
  if (queued) {
    gang->queued();
    gang->set_hands(std::min(static_cast<int>(plan.spmd->devices.size()), thread_count()));
    if (!submit(gang.get())) return nullptr;
    if (!plan.queues && !wait_for(gang->event())) return nullptr;
  } else {
    Stopwatch watch;
    {
      Unlocked unlocked;
      gang->work();
    }
    if (bytes > 0) plan.cost.note(watch.nanoseconds(), bytes);
    if (!gang->succeeded()) return nullptr;
  }
  if (!plan.queues && !gang->collect(&results)) return nullptr;
  return build_value(results, plan, frame);
}

}  // namespace weft
