// The CPU as a device, and which devices there are.
#include "weft/device.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>

#include "weft/blas.h"
#include "weft/queue.h"

namespace weft {
namespace {

// Copies are done when they are asked for; its queue holds calls (queue.h).
class CpuDevice final : public Device {
 public:
  explicit CpuDevice(int id) : Device(Platform::cpu, id, "cpu") {}

  Block* take(std::size_t bytes) override {
    Block* block = pool_take(bytes);
    if (!block) throw DeviceError("out of memory: " + bytes_text(bytes) + " were asked for", true);
    return block;
  }
  void put(Block* block) noexcept override { pool_put(block); }
  void trim() override { pool_trim(); }
  DeviceMemory memory() override {
    PoolStatistics pool = pool_statistics();
    return {0, pool.kept_bytes, 0, pool.taken, pool.from_system};
  }

  void upload(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void download(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void copy(void* to, const void* from, std::size_t bytes) override { std::memmove(to, from, bytes); }
  void receive(void* to, Device& source, const void* from, std::size_t bytes) override {
    source.download(to, from, bytes);
    source.synchronise();
  }

  Event* record(const char*) override { return nullptr; }
  void wait(Event& event) override {
    if (!wait_without_gil(static_cast<CpuEvent&>(event))) throw DeviceError("a queued call failed");
  }
  bool is_done(Event& event) noexcept override { return !static_cast<CpuEvent&>(event).is_pending(); }
  void recycle(Event* event) noexcept override { recycle_cpu_event(event); }
  void synchronise(const char*) override { wait_for_device(*this); }

  std::string architecture() override { return "host"; }
  void* load(const std::string&, const char*) override { throw DeviceError("the CPU loads no device programs"); }
  void unload(void*) noexcept override {}
  void* kernel(void*, const char*) override { return nullptr; }
  void launch(void*, weft_i64, int, void**, const char*) override {}
  Block* take_failure() override { return nullptr; }
  void put_failure(Block*, bool) noexcept override {}
  bool gemm(int dtype, int trans_a, int trans_b, weft_i64 m, weft_i64 n, weft_i64 k, const void* a, weft_i64 lda,
            const void* b, weft_i64 ldb, void* c, weft_i64 ldc, bool accumulate) override {
    gemm_any(dtype, trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc, accumulate);
    return true;
  }
};

enum class Wanted { unsaid, cpu, gpu, unknown };

// WEFT_PLATFORM, as it was first.
Wanted wanted() {
  static const Wanted found = [] {
    const char* text = std::getenv("WEFT_PLATFORM");
    std::string name = text ? text : "";
    if (name.empty()) return Wanted::unsaid;
    return name == "cpu" ? Wanted::cpu : name == "gpu" || name == "cuda" ? Wanted::gpu : Wanted::unknown;
  }();
  return found;
}

struct Gpus {
  std::vector<Device*> devices;
  std::unique_ptr<DeviceError> error;
};

Gpus find_gpus() {
  Gpus found;
  try {
    if (wanted() == Wanted::cpu) {
      throw DeviceError("WEFT_PLATFORM=cpu keeps the GPU's driver from being loaded: unset it");
    }
    found.devices = open_gpus();
    devices_in_use = gpus_in_use = true;
  } catch (const DeviceError& error) {
    found.error = std::make_unique<DeviceError>(
        std::string("Unknown backend: 'gpu' requested, but no platforms that are instances of gpu are present. "
                    "Platforms present are: cpu.\n") +
        error.what());
  }
  return found;
}

thread_local Device* choice = nullptr;

}  // namespace

bool gpus_in_use = wanted() == Wanted::gpu || wanted() == Wanted::unknown;
bool devices_in_use = gpus_in_use;

std::string Device::name() const {
  return (platform == Platform::cpu ? "CpuDevice(id=" : "CudaDevice(id=") + std::to_string(id) + ")";
}

Device& cpu_device() {
  static CpuDevice* device = new CpuDevice(0);  // never destroyed, as arrays may outlive every static object
  return *device;
}

namespace {

// How many devices the CPU is to have, and those that were given out.
int cpu_count = 0;
std::vector<Device*>* cpus = nullptr;
constexpr int kMostCpus = 1024;

int first_cpu_count() {
  const char* text = std::getenv("WEFT_CPU_DEVICES");
  if (!text || !*text) return 1;
  int count = std::atoi(text);
  if (count < 1 || count > kMostCpus) {
    throw DeviceError(std::string("WEFT_CPU_DEVICES=") + text + " is not a number of devices: it is 1 to 1024");
  }
  return count;
}

}  // namespace

const std::vector<Device*>& cpu_devices() {
  if (cpu_count == 0) cpu_count = first_cpu_count();
  if (!cpus || static_cast<int>(cpus->size()) != cpu_count) {
    auto* made = new std::vector<Device*>{&cpu_device()};
    for (int id = 1; id < cpu_count; ++id) made->push_back(new CpuDevice(id));
    cpus = made;  // what was given out before stays
    if (cpu_count > 1) devices_in_use = true;
  }
  return *cpus;
}

void set_cpu_devices(int count) {
  if (count < 1 || count > kMostCpus) throw DeviceError("the number of CPU devices is 1 to 1024");
  if (cpus && cpus->size() > 1 && static_cast<int>(cpus->size()) != count) {
    throw DeviceError("the CPU has " + std::to_string(cpus->size()) +
                      " devices, and they are in use: set weft.config.cpu_devices (or WEFT_CPU_DEVICES) before their "
                      "first use");
  }
  cpu_count = count;
}

namespace {
bool opened = false;
}

bool gpus_opened() { return opened; }

const std::vector<Device*>& gpu_devices() {
  opened = true;
  static const Gpus* gpus = new Gpus(find_gpus());
  if (gpus->error) throw DeviceError(*gpus->error);
  return gpus->devices;
}

Device* chosen_device() { return choice; }

void set_default_device(Device* device) {
  choice = device;
  if (device && device->platform != Platform::cpu) devices_in_use = gpus_in_use = true;
}

Device& default_device() {
  if (choice) return *choice;
  switch (wanted()) {
    case Wanted::gpu:
      return *gpu_devices().front();
    case Wanted::unknown:
      throw DeviceError(std::string("WEFT_PLATFORM=") + std::getenv("WEFT_PLATFORM") +
                        " is not a platform: it is 'cpu' or 'gpu'");
    default:
      return cpu_device();
  }
}

const char* lasting(const std::string& name) {
  static auto* mutex = new std::mutex;
  static auto* names = new std::set<std::string>;
  std::lock_guard<std::mutex> lock(*mutex);
  return names->insert(name).first->c_str();
}

std::string bytes_text(std::uint64_t bytes) {
  static const char* const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1024 && unit < 6) value /= 1024, ++unit;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.4g %s", value, units[unit]);
  return text;
}

}  // namespace weft
