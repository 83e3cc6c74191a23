// A GPU's queue and programs, and finding the GPUs.
#include "device.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace weft::cuda {

CudaDevice::Active::Active(const CudaDevice& device) : api_(device.api_) {
  device.check(api_.context_push(device.context_), "choosing the GPU");
}

CudaDevice::Active::~Active() {
  Context before = nullptr;
  api_.context_pop(&before);
}

CudaDevice::CudaDevice(const Driver& api, int id, Ordinal ordinal, std::string kind, std::size_t bytes)
    : Device(Platform::gpu, id, std::move(kind)), api_(api), total_(bytes), limit_(pool_limit(bytes / 2)) {
  int major = 0, minor = 0;
  check(api_.device_attribute(&major, kMajor, ordinal), "asking for the architecture");
  check(api_.device_attribute(&minor, kMinor, ordinal), "asking for the architecture");
  architecture_ = "sm_" + std::to_string(major) + std::to_string(minor);
  check(api_.context_retain(&context_, ordinal), "opening the GPU");
  Active active(*this);
  // What kernels may allocate themselves. Refused where another library's kernels run already: then it is theirs.
  std::size_t heap = std::min(bytes / 16, std::size_t{1} << 30);
  if (const char* text = std::getenv("WEFT_DEVICE_HEAP")) heap = std::strtoull(text, nullptr, 10);
  api_.context_limit(kHeapLimit, heap);
  check(api_.stream_make(&stream_, kNonBlocking), "making a stream");
}

void CudaDevice::check(Result result, const char* doing, const char* what) const {
  if (result == kSuccess) return;
  std::string text = "CUDA error " + api_.describe(result) + " on " + name() + " while " + doing;
  if (*what) text += std::string(" '") + what + "'";
  // From 700 on a kernel has gone wrong, and the context with it.
  if (result >= 700 && result < 720) text += ". This process cannot use the GPU any more: start it again";
  throw DeviceError(text, result == kOutOfMemory);
}

Event* CudaDevice::record(const char* what) {
  check_process();
  CudaEvent* event = nullptr;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!events_.empty()) {
      event = events_.back();
      events_.pop_back();
    }
  }
  Active active(*this);
  if (!event) {
    Mark mark = nullptr;
    check(api_.event_make(&mark, kNoTiming), "making an event");
    event = new CudaEvent;
    event->mark = mark;
    event->device = this;
  }
  event->references.store(1, std::memory_order_relaxed);
  event->what = what;
  Result result = api_.event_record(event->mark, stream_);
  if (result != kSuccess) recycle(event);
  check(result, "running", what);
  return event;
}

void CudaDevice::wait(Event& event) {
  check_process();
  Active active(*this);
  Result result = await(static_cast<CudaEvent&>(event).mark);
  check(result, "running", event.what);
  check_given_up();
}

bool CudaDevice::is_done(Event& event) noexcept {
  if (is_forked() || api_.context_push(context_) != kSuccess) return true;
  Result result = api_.event_query(static_cast<CudaEvent&>(event).mark);
  Context before = nullptr;
  api_.context_pop(&before);
  return result != kNotReady;
}

void CudaDevice::recycle(Event* event) noexcept {
  std::lock_guard<std::mutex> lock(mutex_);
  events_.push_back(static_cast<CudaEvent*>(event));
}

void CudaDevice::synchronise(const char* what) {
  check_process();
  Active active(*this);
  Result result = await(nullptr);
  check(result, "running", what);
  check_given_up();
}

Result CudaDevice::await(Mark mark) {
  if (!gpus_talk) return mark ? api_.event_wait(mark) : api_.stream_wait(stream_);
  for (int turn = 1;; ++turn) {
    Result result = mark ? api_.event_query(mark) : api_.stream_query(stream_);
    if (result != kNotReady) return result;
    if (turn % 100 == 0) look_after_gpus();
    if (turn < 1000) {
      sched_yield();
    } else {
      usleep(50);
    }
  }
}

std::string CudaDevice::trouble() const {
  Active active(*this);
  Result result = api_.stream_query(stream_);
  return result == kSuccess || result == kNotReady ? "" : "CUDA error " + api_.describe(result) + " on " + name();
}

void* CudaDevice::load(const std::string& image, const char* what) {
  check_process();
  Active active(*this);
  char log[4096] = "";
  int options[] = {kErrorLog, kErrorLogBytes};
  void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
  Module module = nullptr;
  Result result = api_.module_load(&module, image.data(), 2, options, values);
  if (result == kNoBinary || result == kUnsupportedPtx || result == kInvalidImage) {
    throw DeviceError("the driver (for CUDA " + version_text(api_.found_version) + ") cannot load the code made for '" +
                      std::string(what) + "': " + api_.describe(result) + (*log ? "\n" + std::string(log) : "") +
                      "\nThe compiler is newer than the driver: install an older one, such as "
                      "`pip install nvidia-cuda-nvrtc-cu" +
                      std::to_string(api_.found_version / 1000) + "`, or a newer driver");
  }
  check(result, "loading", what);
  return module;
}

void CudaDevice::unload(void* module) noexcept {
  if (is_forked() || api_.context_push(context_) != kSuccess) return;
  await(nullptr);  // its kernels may be running
  api_.module_unload(static_cast<Module>(module));
  Context before = nullptr;
  api_.context_pop(&before);
}

void* CudaDevice::kernel(void* module, const char* name) {
  check_process();
  Active active(*this);
  Function function = nullptr;
  check(api_.module_function(&function, static_cast<Module>(module), name), "looking for the kernel", name);
  return function;
}

void CudaDevice::launch(void* kernel, weft_i64 blocks, int threads, void** args, const char* what) {
  if (blocks <= 0) return;
  check_process();
  if (blocks > 0x7fffffff) {
    throw DeviceError("'" + std::string(what) + "' needs " + std::to_string(blocks) +
                      " blocks, and a GPU runs 2**31 - 1");
  }
  Active active(*this);
  check(api_.launch(static_cast<Function>(kernel), static_cast<unsigned>(blocks), 1, 1, static_cast<unsigned>(threads),
                    1, 1, 0, stream_, args, nullptr),
        "starting a kernel of", what);
}

// Cells are kept all zero, so that a call pays for zeroing only after a failure.
Block* CudaDevice::take_failure() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!failures_.empty()) {
      Block* block = failures_.back();
      failures_.pop_back();
      return block;
    }
  }
  Block* block = take(sizeof(WeftFailure));
  Active active(*this);
  Result result = api_.fill(reinterpret_cast<Address>(block->address), 0, sizeof(WeftFailure), stream_);
  if (result != kSuccess) weft::drop(block);
  check(result, "clearing memory");
  return block;
}

void CudaDevice::put_failure(Block* block, bool clean) noexcept {
  if (is_forked()) return;
  if (!clean) {
    bool done = false;
    if (api_.context_push(context_) == kSuccess) {
      done = api_.fill(reinterpret_cast<Address>(block->address), 0, sizeof(WeftFailure), stream_) == kSuccess;
      Context before = nullptr;
      api_.context_pop(&before);
    }
    if (!done) return weft::drop(block);
  }
  std::lock_guard<std::mutex> lock(mutex_);
  failures_.push_back(block);
}

}  // namespace weft::cuda

namespace weft {

std::vector<Device*> open_gpus() {
  using namespace cuda;
  const Driver& api = driver();
  check_process();
  auto check = [&](Result result, const char* doing) {
    if (result != kSuccess) throw DeviceError(std::string(doing) + ": " + api.describe(result));
  };
  int count = 0;
  check(api.device_count(&count), "counting GPUs");
  if (count == 0) {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    throw DeviceError(std::string("the driver finds no GPU") +
                      (visible ? std::string(": CUDA_VISIBLE_DEVICES is '") + visible + "'" : std::string()));
  }
  std::vector<Device*> devices;
  for (int id = 0; id < count; ++id) {
    Ordinal ordinal = 0;
    char kind[256] = "";
    std::size_t bytes = 0;
    check(api.device_get(&ordinal, id), "opening a GPU");
    check(api.device_name(kind, sizeof kind, ordinal), "asking for a GPU's name");
    check(api.device_memory(&bytes, ordinal), "asking for a GPU's memory");
    devices.push_back(new CudaDevice(api, id, ordinal, kind, bytes));  // never destroyed: arrays may outlive all else
  }
  return devices;
}

}  // namespace weft
