// Devices: where arrays lie and programs run.
//
// The CPU is one, and each GPU another (csrc/cuda, or csrc/no_cuda where weft is built without). A device has a queue:
// copies and kernels are done in the order in which they were queued, and an Event marks a place in it. Memory that is
// put back may be handed out again at once, since whoever gets it queues behind what still uses it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "weft/abi.h"
#include "weft/pool.h"

namespace weft {

class Device;

enum class Platform : std::uint8_t { cpu, gpu };

// What went wrong on a device, or why there is none: MemoryError or RuntimeError in Python.
class DeviceError : public std::runtime_error {
 public:
  explicit DeviceError(const std::string& text, bool memory = false) : std::runtime_error(text), no_memory(memory) {}
  bool no_memory;
};

// A mark in a queue, counted: all results of one call share one.
struct Event {
  std::atomic<int> references{1};
  Device* device = nullptr;
  const char* what = "";  // the compiled function it follows, for messages; never freed
};

// The bytes of a device: those that arrays hold, those that the pool keeps for the next ones, those it has.
struct DeviceMemory {
  std::uint64_t used = 0, kept = 0, total = 0;
  std::uint64_t taken = 0, from_system = 0;  // blocks handed out, and how many of them were new
};

// What throws, throws DeviceError. Nothing here needs the GIL.
class Device {
 public:
  Device(Platform platform, int id, std::string kind) : platform(platform), id(id), kind(std::move(kind)) {}
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  virtual ~Device() = default;

  const Platform platform;
  const int id;
  const std::string kind;

  // What the driver is for, as "12.4"; "" where there is none.
  virtual std::string driver() { return ""; }
  std::string name() const;  // "CudaDevice(id=0)", as Python shows it

  virtual Block* take(std::size_t bytes) = 0;  // with one reference; its memory is at `address`
  virtual void put(Block* block) noexcept = 0;
  virtual void trim() = 0;
  virtual DeviceMemory memory() = 0;

  // Queued copies. `upload` has read the host's memory when it returns; what `download` writes is there after
  // `synchronise`; `receive` copies from another device.
  virtual void upload(void* to, const void* from, std::size_t bytes) = 0;
  virtual void download(void* to, const void* from, std::size_t bytes) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
  virtual void receive(void* to, Device& source, const void* from, std::size_t bytes) = 0;

  // A mark behind all that is queued now (one reference), or null: everything is done already.
  virtual Event* record(const char* what) = 0;
  virtual void wait(Event& event) = 0;
  virtual bool is_done(Event& event) noexcept = 0;      // or failed, which `wait` says
  virtual void recycle(Event* event) noexcept = 0;      // no reference is left
  virtual void synchronise(const char* what = "") = 0;  // waits for all that is queued

  // Programs: an image made for `architecture`, its kernels, a place where they record a failure (a WeftFailure, all
  // zero when it is taken), matrix products (see abi.h; false: there is no library for it).
  virtual std::string architecture() = 0;
  virtual void* load(const std::string& image, const char* what) = 0;
  virtual void unload(void* module) noexcept = 0;
  virtual void* kernel(void* module, const char* name) = 0;
  virtual void launch(void* kernel, weft_i64 blocks, int threads, void** args, const char* what) = 0;
  virtual Block* take_failure() = 0;
  virtual void put_failure(Block* failure, bool clean) noexcept = 0;
  virtual bool gemm(int dtype, int trans_a, int trans_b, weft_i64 m, weft_i64 n, weft_i64 k, const void* a,
                    weft_i64 lda, const void* b, weft_i64 ldb, void* c, weft_i64 ldc, bool accumulate) = 0;
};

inline void retain(Event* event) noexcept { event->references.fetch_add(1, std::memory_order_relaxed); }
inline void drop(Event* event) noexcept {
  if (event->references.fetch_sub(1, std::memory_order_acq_rel) == 1) event->device->recycle(event);
}

Device& cpu_device();  // the first of them

// The CPU's devices, which share the host's memory: WEFT_CPU_DEVICES, else 1. Their number is settled when more than
// one has been given out; to change it then throws.
const std::vector<Device*>& cpu_devices();
void set_cpu_devices(int count);

// The GPUs. The first call loads the driver; throws what keeps it from being used, the same each time.
const std::vector<Device*>& gpu_devices();
bool gpus_opened();  // whether it was called

// Whether another device than the first of the CPU may be in use: until then no call has to ask where its arrays lie.
extern bool devices_in_use;
// Whether arrays may lie outside of the host's memory.
extern bool gpus_in_use;

// Where data goes that is not told where to: this thread's choice, else the process's (WEFT_PLATFORM), else the CPU.
Device& default_device();
void set_default_device(Device* device);  // of this thread; null: no choice
Device* chosen_device();                  // this thread's choice, or null

// Makes `name` last for ever, for messages about work that is done later.
const char* lasting(const std::string& name);

// "1.5 GiB"
std::string bytes_text(std::uint64_t bytes);

// csrc/cuda or csrc/no_cuda: all GPUs; throws if there are none.
std::vector<Device*> open_gpus();

}  // namespace weft
