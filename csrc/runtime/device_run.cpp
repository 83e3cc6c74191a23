#include "weft/device_run.h"

#include <algorithm>
#include <cstring>

namespace weft {

DeviceRun::DeviceRun(Plan& plan, Device& device, const Kernels::Loaded& loaded)
    : Run(plan), device_(device), loaded_(loaded) {
  alloc = alloc_entry;
  release = release_entry;
  result = result_entry;
  host = host_entry;
  gemm = gemm_entry;
  launch = launch_entry;
  read = read_entry;
  write = write_entry;
  copy = copy_entry;
  check = check_entry;
}

DeviceRun::~DeviceRun() {
  // Kernels may still be running, after an error of another kind: what they record is wiped behind them.
  if (failure_) device_.put_failure(failure_, clean_ && !pending_);
}

template <class F>
int DeviceRun::guarded(F body) noexcept {
  try {
    body();
    return WEFT_OK;
  } catch (const DeviceError& error) {
    if (!faulted_) fault_ = error.what(), no_memory_ = error.no_memory;
  } catch (const std::bad_alloc&) {
    if (!faulted_) fault_ = "out of memory", no_memory_ = true;
  }
  faulted_ = true;
  return WEFT_ERROR;
}

int DeviceRun::call(void** inputs, const npy_intp* sizes) {
  saved_ = PyEval_SaveThread();
  int status = execute(inputs, sizes);
  take_gil_back(saved_);
  return conclude(status);
}

int DeviceRun::execute(void** inputs, const npy_intp* sizes) {
  Small<void*, 8> targets;
  add_targets(&targets);
  const auto* table = reinterpret_cast<const weft_i64*>(sizes);
  int status = WEFT_OK;
  if (plan_.kernels->fails) {
    status = guarded([&] {
      failure_ = device_.take_failure();
      failure = failure_->address;
    });
  }
  if (status == WEFT_OK) status = plan_.entry(this, inputs, targets.data(), table);
  if (status == WEFT_OK && !faulted_) status = fetch();
  if (status == WEFT_OK && !faulted_ && failure_ && pending_) status = settle();
  if (status == WEFT_OK && !faulted_) mark();
  return faulted_ && status == WEFT_OK ? WEFT_ERROR : status;
}

int DeviceRun::conclude(int status) {
  if (faulted_ && !failed_) {
    set_device_error(DeviceError(fault_, no_memory_));
    return WEFT_ERROR;
  }
  return Run::conclude(status);
}

int DeviceRun::settle() {
  WeftFailure found = {};
  int status = guarded([&] {
    if (failure_) device_.download(&found, failure_->address, sizeof found);
    await();
    pending_ = false;
  });
  if (status != WEFT_OK || found.status == WEFT_OK) return status;
  clean_ = false;
  return report(found);
}

int DeviceRun::report(const WeftFailure& found) {
  if (found.status == WEFT_NO_MEMORY) {
    return guarded([&] {
      throw DeviceError(std::string("a kernel of '") + plan_.name + "' got no memory from the device's heap on " +
                            device_.name() + ": WEFT_DEVICE_HEAP sets its size in bytes before the GPU is first used",
                        true);
    });
  }
  WeftFailure kept = found;
  WeftView views[4];
  int count = std::clamp(kept.count, 0, 4);
  for (int index = 0; index < count; ++index) views[index] = {kept.data[index], kept.dtypes[index], 0, nullptr};
  if (host(this, kept.id, count, views) != WEFT_OK) return WEFT_ERROR;
  return guarded([&] { throw DeviceError(std::string("a kernel of '") + plan_.name + "' failed"); });
}

// Results of NumPy's and Python's flavours go to the host; scalars that stay an array go the other way.
int DeviceRun::fetch() {
  bool wait = false;
  int status = guarded([&] {
    for (std::size_t k = 0; k < plan_.results.size(); ++k) {
      const Result& wanted = plan_.results[k];
      Made& made = made_[k];
      bool stays = wanted.flavour == Flavour::weft;
      if (wanted.kind == Kind::scalar && stays && !made.block) {
        made.block = device_.take(sizeof(Scalar));
        device_.upload(made.block->address, scalars_[k].bytes, static_cast<std::size_t>(wanted.item_bytes));
        pending_ = true;
      } else if (wanted.kind == Kind::scalar && !stays && made.block) {
        device_.download(scalars_[k].bytes, made.block->address, static_cast<std::size_t>(wanted.item_bytes));
        wait = true;
      } else if (wanted.kind == Kind::array && !stays && made.block) {
        std::size_t bytes = static_cast<std::size_t>(wanted.item_bytes);
        for (int axis = 0; axis < made.rank; ++axis)
          bytes *= static_cast<std::size_t>(dims_[made.dims + static_cast<std::size_t>(axis)]);
        Block* here = pool_take(bytes);
        if (!here) throw std::bad_alloc();
        Block* there = std::exchange(made.block, here);
        try {
          device_.download(here->address, there->address, bytes);
        } catch (...) {
          drop(there);
          throw;
        }
        drop(there);  // who gets it next queues behind the copy
        wait = true;
      }
    }
  });
  if (status == WEFT_OK) return wait ? settle() : status;
  // Copies on their way to memory of the host must arrive before it is given back.
  try {
    device_.synchronise(plan_.name);
  } catch (const DeviceError&) {
  }
  return status;
}

void DeviceRun::mark() {
  if (!pending_) return;
  auto stays = [](const Made& made) { return made.block && made.block->device; };
  if (std::none_of(made_.begin(), made_.end(), stays)) return;
  guarded([&] {
    Event* event = device_.record(plan_.name);
    if (!event) return;
    for (Made& made : made_) {
      if (!stays(made)) continue;
      retain(event);
      made.block->ready = event;
    }
    drop(event);
  });
}

void* DeviceRun::alloc_entry(WeftContext* context, weft_i64 bytes) {
  DeviceRun& self = of(context);
  Block* block = nullptr;
  int status = self.guarded([&] {
    if (bytes < 0) throw std::bad_alloc();
    block = self.device_.take(static_cast<std::size_t>(bytes));
  });
  if (status != WEFT_OK) return nullptr;
  block->previous = nullptr;
  block->next = self.scratch_;
  if (self.scratch_) self.scratch_->previous = block;
  self.scratch_ = block;
  return block->address;
}

void DeviceRun::release_entry(WeftContext* context, void* memory) {
  DeviceRun& self = of(context);
  for (Block* block = self.scratch_; block && memory; block = block->next) {  // the latest first, as a rule
    if (block->address != memory) continue;
    if (block->next) block->next->previous = block->previous;
    (block->previous ? block->previous->next : self.scratch_) = block->next;
    return drop(block);
  }
}

void* DeviceRun::result_entry(WeftContext* context, int k, int rank, const weft_i64* dims) {
  DeviceRun& self = of(context);
  Block* block = nullptr;
  std::size_t at = 0;
  int status = self.guarded([&] {
    npy_intp bytes = self.measure(k, rank, dims, &at);
    if (bytes < 0) throw std::bad_alloc();
    block = self.device_.take(static_cast<std::size_t>(bytes));
  });
  if (status != WEFT_OK) return nullptr;
  Made& made = self.made_[static_cast<std::size_t>(k)];
  if (made.block) drop(made.block);
  made = {block, at, rank};
  return block->address;
}

int DeviceRun::host_entry(WeftContext* context, int id, int count, const WeftView* views) {
  DeviceRun& self = of(context);
  take_gil_back(self.saved_);
  int status = self.call_host(id, count, views);
  self.saved_ = PyEval_SaveThread();
  return status;
}

int DeviceRun::gemm_entry(WeftContext* context, int dtype, int trans_a, int trans_b, weft_i64 m, weft_i64 n, weft_i64 k,
                          const void* a, weft_i64 lda, const void* b, weft_i64 ldb, void* c, weft_i64 ldc,
                          int accumulate) {
  DeviceRun& self = of(context);
  bool done = false;
  int status = self.guarded([&] {
    done = self.device_.gemm(dtype, trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc, accumulate != 0);
    self.pending_ = true;
  });
  // After an error nothing else has to be tried: the call ends with it.
  return status != WEFT_OK || done ? WEFT_OK : WEFT_ERROR;
}

int DeviceRun::launch_entry(WeftContext* context, int kernel, weft_i64 blocks, int threads, void** args) {
  DeviceRun& self = of(context);
  return self.guarded([&] {
    if (kernel < 0 || static_cast<std::size_t>(kernel) >= self.loaded_.kernels.size()) {
      throw DeviceError("a compiled function starts kernel " + std::to_string(kernel) + " of " +
                        std::to_string(self.loaded_.kernels.size()));
    }
    self.device_.launch(self.loaded_.kernels[static_cast<std::size_t>(kernel)], blocks, threads, args, self.plan_.name);
    self.pending_ = true;
  });
}

int DeviceRun::read_entry(WeftContext* context, void* host, const void* device, weft_i64 bytes) {
  DeviceRun& self = of(context);
  int status = self.guarded([&] { self.device_.download(host, device, static_cast<std::size_t>(bytes)); });
  return status == WEFT_OK ? self.settle() : status;
}

int DeviceRun::write_entry(WeftContext* context, void* device, const void* host, weft_i64 bytes) {
  DeviceRun& self = of(context);
  self.pending_ = true;
  return self.guarded([&] { self.device_.upload(device, host, static_cast<std::size_t>(bytes)); });
}

int DeviceRun::copy_entry(WeftContext* context, void* to, const void* from, weft_i64 bytes) {
  DeviceRun& self = of(context);
  self.pending_ = true;
  return self.guarded([&] { self.device_.copy(to, from, static_cast<std::size_t>(bytes)); });
}

int DeviceRun::check_entry(WeftContext* context) { return of(context).settle(); }

}  // namespace weft
