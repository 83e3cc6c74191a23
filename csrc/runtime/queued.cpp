#include "weft/queued.h"

#include <algorithm>
#include <cstring>

#include "weft/collective.h"
#include "weft/fiber.h"
#include "weft/gang.h"
#include "weft/threads.h"

namespace weft {
namespace {

constexpr double kLong = 50e3;          // nanoseconds worth a queue
constexpr double kLarge = 64.0 * 1024;  // bytes of a first call that count as long

double item_bytes(const Leaf& leaf) {
  if (leaf.tag == Tag::weft_array) {
    return static_cast<double>(PyDataType_ELSIZE(reinterpret_cast<ArrayObject*>(leaf.object)->descr));
  }
  return static_cast<double>(PyArray_ITEMSIZE(reinterpret_cast<PyArrayObject*>(leaf.object)));
}

double result_bytes(const Plan& plan, const npy_intp* table) {
  double bytes = 0;
  for (const Result& result : plan.results) {
    if (!result.sized) continue;
    auto own = static_cast<double>(result.item_bytes);
    for (const Affine& size : result.dims) own *= static_cast<double>(size.at(table));
    bytes += own;
  }
  return bytes;
}

Event* mark_of(const Leaf& leaf) {
  if (leaf.tag != Tag::weft_array) return nullptr;
  auto* array = reinterpret_cast<ArrayObject*>(leaf.object);
  return array->block && on_host(array) ? array->block->ready : nullptr;
}

// Whether an argument is still being computed, or failed: who takes it fails when its turn comes.
bool is_pending(const Frame& frame) {
  return std::any_of(frame.leaves.begin(), frame.leaves.end(), [](const Leaf& leaf) {
    Event* mark = mark_of(leaf);
    return mark && static_cast<CpuEvent*>(mark)->state.load(std::memory_order_acquire) != CpuEvent::done;
  });
}

}  // namespace

double argument_bytes(const Frame& frame) {
  double bytes = 16;
  for (const Leaf& leaf : frame.leaves) {
    if (!is_array_leaf(leaf.tag)) continue;
    double own = item_bytes(leaf);
    for (int axis = 0; axis < leaf.rank; ++axis) own *= static_cast<double>(leaf.dims[axis]);
    bytes += own;
  }
  return bytes;
}

double Cost::estimate(double bytes) const {
  float time = time_.load(std::memory_order_relaxed), measured = bytes_.load(std::memory_order_relaxed);
  return time < 0 ? -1 : static_cast<double>(time) * bytes / static_cast<double>(measured);
}

void Cost::note(double nanoseconds, double bytes) {
  double known = estimate(bytes);
  time_.store(static_cast<float>(known < 0 ? nanoseconds : (known + nanoseconds) / 2), std::memory_order_relaxed);
  bytes_.store(static_cast<float>(std::max(bytes, 1.0)), std::memory_order_relaxed);
}

bool wait_for_arguments(Frame& frame) {
  for (const Leaf& leaf : frame.leaves) {
    if (leaf.tag != Tag::weft_array) continue;
    auto* array = reinterpret_cast<ArrayObject*>(leaf.object);
    if (on_host(array) && !settle(array)) return false;
  }
  return true;
}

bool wants_queue(Plan& plan, Frame& frame, double* bytes) {
  Queueing mode = queueing();
  if (mode == Queueing::never || !queues_open()) return false;
  if (mode == Queueing::always) return true;
  if (frame.pending && is_pending(frame)) return true;
  if (!plan.heavy) return false;
  double size = argument_bytes(frame), estimate = plan.cost.estimate(size);
  if (estimate > kLong) return true;
  if (estimate < 0 && size + result_bytes(plan, frame.table()) >= kLarge) return true;
  if (estimate < 0 || plan.cost.samples()) *bytes = size;
  return false;
}

// -- a run without the GIL --------------------------------------------------------------------------------------------

FreeRun::FreeRun(Plan& plan, const Device& device) : Run(plan), number_(device.id) {
  alloc = alloc_entry;
  result = result_entry;
  host = host_entry;
  parallel = parallel_entry;
  Shape* given = given_.extend(plan.results.size());
  std::fill(given, given + plan.results.size(), Shape{nullptr, 0, nullptr});
}

int FreeRun::execute(void** inputs, const npy_intp* table) {
  Small<void*, 8> targets;
  add_targets(&targets);
  int status = plan_.entry(this, inputs, targets.data(), reinterpret_cast<const weft_i64*>(table));
  if (status != WEFT_OK || failed_) return status == WEFT_OK ? WEFT_ERROR : status;
  for (std::size_t k = 0; k < plan_.results.size(); ++k) {
    const Result& wanted = plan_.results[k];
    if (wanted.kind != Kind::scalar || !given_[k].memory) continue;
    std::memcpy(given_[k].memory, scalars_[k].bytes, static_cast<std::size_t>(wanted.item_bytes));
  }
  return WEFT_OK;
}

void* FreeRun::alloc_entry(WeftContext* context, weft_i64 bytes) {
  if (fault.strikes(Fault::memory, of(context).number_)) return nullptr;
  return Run::alloc_entry(context, bytes);
}

void* FreeRun::result_entry(WeftContext* context, int k, int rank, const weft_i64* dims) {
  FreeRun& self = of(context);
  if (fault.strikes(Fault::memory, self.number_)) return nullptr;
  if (k < 0 || static_cast<std::size_t>(k) >= self.given_.size()) return nullptr;
  const Shape& given = self.given_[static_cast<std::size_t>(k)];
  if (!given.memory) return Run::result_entry(context, k, rank, dims);
  if (rank == given.rank && std::equal(dims, dims + rank, given.dims)) return given.memory;
  Fiber::outside([&] {
    WithGil gil;
    if (self.failed_) return;
    PyErr_Format(PyExc_RuntimeError, "result %d of '%s' has other sizes than its plan says", k, self.plan_.name);
    self.failed_ = true;
    PyErr_Fetch(&self.error_type_, &self.error_value_, &self.error_trace_);
  });
  return nullptr;
}

int FreeRun::host_entry(WeftContext* context, int id, int count, const WeftView* views) {
  FreeRun& self = of(context);
  if (self.gang_ && id >= 0 && static_cast<std::size_t>(id) < self.plan_.host.size()) {
    PyObject* function = self.plan_.host[static_cast<std::size_t>(id)].get();
    if (is_collective(function)) return self.gang_->meet(self.rank_, collective_of(function), count, views);
  }
  int status = WEFT_ERROR;
  Fiber::outside([&] {
    WithGil gil;
    status = self.call_host(id, count, views);
  });
  return status;
}

void FreeRun::parallel_entry(WeftContext*, weft_i64 n, weft_i64 grain, WeftBody body, void* env) {
  parallel_for(n, grain, body, env);
}

// -- what a task takes and makes --------------------------------------------------------------------------------------

void* Operands::own(const void* data, std::size_t bytes) {
  Block* block = pool_take(bytes);
  if (!block) {
    PyErr_NoMemory();
    return nullptr;
  }
  std::memcpy(block->address, data, bytes);
  blocks_.push(block);
  return block->address;
}

bool Operands::add(Frame& frame, Task& task, bool copy) {
  for (std::size_t index = 0; index < frame.leaves.size(); ++index) {
    Leaf& leaf = frame.leaves[index];
    void* place = nullptr;
    if (!is_array_leaf(leaf.tag)) {
      place = copy ? own(leaf.address(), sizeof leaf.value) : leaf.address();
    } else if (leaf.tag == Tag::weft_array) {
      auto* array = reinterpret_cast<ArrayObject*>(leaf.object);
      if (Event* mark = mark_of(leaf)) task.wait_for(mark);
      if (array->block && on_host(array)) {
        retain(array->block);
        blocks_.push(array->block);
      } else {
        task.keep(leaf.object);
      }
      place = leaf.data;
    } else if (leaf.alias >= 0) {
      place = pointers_[static_cast<std::size_t>(leaf.alias)];
    } else if (!leaf.plain) {
      PyArray_Descr* descr = PyArray_DescrFromType(leaf.dtype);
      Ref made(descr ? PyArray_FromArray(reinterpret_cast<PyArrayObject*>(leaf.object), descr,
                                         NPY_ARRAY_CARRAY | NPY_ARRAY_ENSURECOPY)
                     : nullptr);
      if (!made) return false;
      task.keep(made.get());
      place = PyArray_DATA(reinterpret_cast<PyArrayObject*>(made.get()));
    } else {
      place =
          copy ? own(leaf.data, static_cast<std::size_t>(PyArray_NBYTES(reinterpret_cast<PyArrayObject*>(leaf.object))))
               : leaf.data;
    }
    if (!place) return false;
    pointers_.push(place);
  }
  return true;
}

void Operands::release() {
  for (Block* block : blocks_) drop(block);
  blocks_.truncate(0);
}

Block* Prepared::add(std::size_t k, int rank, const npy_intp* dims, Event* event) {
  std::size_t at;
  npy_intp bytes = measure(static_cast<int>(k), rank, reinterpret_cast<const weft_i64*>(dims), &at);
  Block* block = bytes < 0 ? nullptr : pool_take(std::max(static_cast<std::size_t>(bytes), sizeof(Scalar)));
  if (!block) {
    PyErr_NoMemory();
    return nullptr;
  }
  if (event) {
    retain(event);
    block->ready = event;
  }
  made_[k] = {block, at, rank};
  return block;
}

// -- one device -------------------------------------------------------------------------------------------------------

namespace {

class QueuedCall final : public Task {
 public:
  QueuedCall(Plan& plan, Frame& frame, Device& device)
      : Task(plan.name), plan_(plan), run_(plan, device), device_(device.id), bytes_(argument_bytes(frame)) {
    add_device(device);
    keep(plan.self);
    const npy_intp* table = frame.table();
    std::copy(table, table + frame.table_size(), table_.extend(frame.table_size()));
  }
  ~QueuedCall() override {
    for (Block* block : results_) drop(block);
  }

  Operands operands;

  bool prepare(Prepared* results) {
    std::size_t total = 0;
    for (const Result& result : plan_.results) total += result.dims.size();
    npy_intp* dims = dims_.extend(total);
    for (std::size_t k = 0; k < plan_.results.size(); ++k) {
      const Result& wanted = plan_.results[k];
      if (wanted.kind == Kind::leaf) continue;
      for (std::size_t axis = 0; axis < wanted.dims.size(); ++axis) dims[axis] = wanted.dims[axis].at(table_.data());
      auto rank = static_cast<int>(wanted.dims.size());
      Block* block = results->add(k, rank, dims, &event());
      if (!block) return false;
      retain(block);
      results_.push(block);
      run_.give(k, block->address, rank, dims);
      dims += rank;
    }
    return true;
  }

  void work() override {
    if (fault.strikes(Fault::delay, device_)) fault.sleep();
    CpuEvent* cause = failed_dependency();
    int status = WEFT_OK;
    bool injected = !cause && fault.strikes(Fault::raise, device_);
    if (!cause && !injected) {
      Stopwatch watch;
      status = run_.execute(operands.data(), table_.data());
      plan_.cost.note(watch.nanoseconds(), bytes_);
    }
    operands.release();
    if (cause) return conclude(*cause);
    if (!injected && status == WEFT_OK) return conclude();
    WithGil gil;
    if (injected) {
      PyErr_SetString(PyExc_RuntimeError, "a fault that was asked for");
    } else {
      run_.raise(status);
    }
    conclude_with_error();
  }

 private:
  Plan& plan_;
  FreeRun run_;
  int device_;
  double bytes_;
  Small<npy_intp, 48> table_;
  Small<npy_intp, 16> dims_;
  Small<Block*, 8> results_;
};

}  // namespace

PyObject* run_queued(Plan& plan, Frame& frame) {
  Device* device = frame.target();
  if (!device) return nullptr;
  Held<QueuedCall> call(new QueuedCall(plan, frame, *device));
  Prepared results(plan);
  results.place(frame.placement.committed != nullptr, noted(device));
  if (!call->operands.add(frame, *call, true) || !call->prepare(&results) || !submit(call.get())) return nullptr;
  return build_value(results, plan, frame);
}

}  // namespace weft
