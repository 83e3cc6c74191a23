// A stand-in for NVIDIA's driver library, for tests: devices are made of the host's memory.
//
// Queues run late: nothing happens before somebody waits for it or asks, and then no more than must. So a missing wait
// shows as rubbish. Device memory cannot be touched but while a queue runs, and is rubbish when it is handed out. An
// image is the text "fake:PATH" of a shared object made by tests/cuda, whose kernels run in the emulator.
//
// WEFT_FAKE="devices=2 memory=67108864 version=12040 init=0 symbol=1" says what there is. The functions fake_* count
// calls, make one of them fail, and tell what was done wrong.
#include <dlfcn.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using Address = unsigned long long;
constexpr std::size_t kPage = 4096;
enum {
  kInvalidValue = 1,
  kNoMemory = 2,
  kInvalidImage = 200,
  kInvalidContext = 201,
  kNotFound = 500,
  kNotReady = 600,
  kIllegalAddress = 700,
  kLaunchFailed = 719
};

struct Device;
struct Stream {
  Device* device;
  std::deque<std::function<int()>> queue;
  unsigned long long done = 0;  // how many were run
  bool running = false;
  unsigned long long end() const { return done + queue.size(); }
};
struct Event {
  Stream* stream = nullptr;
  unsigned long long place = 0;
};
struct Device {
  int number;
  char* arena = nullptr;
  std::map<std::size_t, std::size_t> taken;  // start -> bytes
  std::size_t used = 0;
  int open = 0;
  int error = 0;  // sticky
  std::vector<Stream*> streams;
};
struct Module {
  Device* device;
  void* library;
};
struct Function {
  Module* module;
  std::string name;
};

std::recursive_mutex mutex;
std::map<std::string, long> settings = {{"devices", 1}, {"memory", 256 << 20}, {"version", 12040}, {"init", 0}};
std::map<std::string, long> counts;
struct Plan {
  long at;
  int code;
};
std::map<std::string, Plan> plans;
std::string violations;
std::vector<Device> devices;
thread_local std::vector<Device*> contexts;

void violate(const std::string& text) { violations += text + "\n"; }

void open(Device& device) {
  if (device.open++ == 0) mprotect(device.arena, static_cast<std::size_t>(settings["memory"]), PROT_READ | PROT_WRITE);
}
void close(Device& device) {
  if (--device.open == 0) mprotect(device.arena, static_cast<std::size_t>(settings["memory"]), PROT_NONE);
}

// Counts a call; a code if it is to fail.
int called(const char* name) {
  long count = ++counts[name];
  auto plan = plans.find(name);
  if (plan == plans.end() || plan->second.at != count) return 0;
  return plan->second.code;
}

Device* current() { return contexts.empty() ? nullptr : contexts.back(); }

// Runs a stream until `place`.
int advance(Stream& stream, unsigned long long place) {
  Device& device = *stream.device;
  if (stream.running && stream.done < place) {
    violate("a queue waits for itself");
    return kLaunchFailed;
  }
  while (stream.done < place && !stream.queue.empty() && !device.error) {
    auto action = std::move(stream.queue.front());
    stream.queue.pop_front();
    ++stream.done;
    open(device);
    stream.running = true;
    int code = action();
    stream.running = false;
    close(device);
    if (code == kNotReady) {  // it waits for others: see `finish`
      stream.queue.push_front(std::move(action));
      --stream.done;
      return code;
    }
    if (code) device.error = code;
  }
  return device.error;
}

// As advance, for one who waits: what is not ready now never will be.
int finish(Stream& stream, unsigned long long place) {
  int code = advance(stream, place);
  if (code == kNotReady) violate("somebody waits for what never ends");
  return code == kNotReady ? stream.device->error = kLaunchFailed : code;
}

bool inside(const Device& device, Address address, std::size_t bytes) {
  auto at = static_cast<std::size_t>(reinterpret_cast<char*>(address) - device.arena);
  auto next = device.taken.upper_bound(at);
  if (next == device.taken.begin()) return false;
  --next;
  return at >= next->first && at + bytes <= next->first + next->second;
}

int check_copy(Address address, std::size_t bytes) {
  Device* device = current();
  if (inside(*device, address, bytes)) return 0;
  violate("a copy of " + std::to_string(bytes) + " bytes outside the device's memory");
  return kInvalidValue;
}

int queue(Stream* stream, std::function<int()> action) {
  if (stream->device != current()) {
    violate("a stream of another device than the current one");
    return kInvalidContext;
  }
  stream->queue.push_back(std::move(action));
  return 0;
}

}  // namespace

#define BEGIN(name)                                  \
  std::lock_guard<std::recursive_mutex> lock(mutex); \
  if (int code = called(#name)) return code;
#define BEGIN_ON_DEVICE(name)            \
  BEGIN(name)                            \
  if (!current()) {                      \
    violate(#name " without a context"); \
    return kInvalidContext;              \
  }                                      \
  if (current()->error) return current()->error;

EXPORT int cuInit(unsigned) {
  if (const char* text = std::getenv("WEFT_FAKE")) {
    char name[32];
    long value;
    int read;
    for (; std::sscanf(text, " %31[a-z]=%ld%n", name, &value, &read) == 2; text += read) settings[name] = value;
  }
  BEGIN(cuInit)
  if (settings["init"]) return static_cast<int>(settings["init"]);
  if (!devices.empty()) return 0;
  auto bytes = static_cast<std::size_t>(settings["memory"]);
  for (int number = 0; number < settings["devices"]; ++number) {
    Device device{};
    device.number = number;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    device.arena = static_cast<char*>(mmap(nullptr, bytes, PROT_NONE, flags, -1, 0));
    devices.push_back(device);
  }
  return 0;
}
EXPORT int cuDriverGetVersion(int* version) {
  BEGIN(cuDriverGetVersion)
  *version = static_cast<int>(settings["version"]);
  return 0;
}
EXPORT int cuGetErrorName(int code, const char** name) {
  static const std::map<int, const char*> names = {{1, "CUDA_ERROR_INVALID_VALUE"},
                                                   {2, "CUDA_ERROR_OUT_OF_MEMORY"},
                                                   {100, "CUDA_ERROR_NO_DEVICE"},
                                                   {200, "CUDA_ERROR_INVALID_IMAGE"},
                                                   {201, "CUDA_ERROR_INVALID_CONTEXT"},
                                                   {500, "CUDA_ERROR_NOT_FOUND"},
                                                   {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},
                                                   {719, "CUDA_ERROR_LAUNCH_FAILED"},
                                                   {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"}};
  auto found = names.find(code);
  *name = found == names.end() ? nullptr : found->second;
  return found == names.end() ? kInvalidValue : 0;
}
EXPORT int cuGetErrorString(int code, const char** text) {
  *text = code == kIllegalAddress ? "an illegal memory access was encountered" : "the fake driver's words";
  return 0;
}
EXPORT int cuDeviceGetCount(int* count) {
  BEGIN(cuDeviceGetCount)
  *count = static_cast<int>(devices.size());
  return 0;
}
EXPORT int cuDeviceGet(int* ordinal, int number) {
  BEGIN(cuDeviceGet)
  *ordinal = number;
  return 0;
}
EXPORT int cuDeviceGetName(char* name, int bytes, int ordinal) {
  BEGIN(cuDeviceGetName)
  std::snprintf(name, static_cast<std::size_t>(bytes), "Fake GPU %d", ordinal);
  return 0;
}
EXPORT int cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  BEGIN(cuDeviceTotalMem_v2)
  *bytes = static_cast<std::size_t>(settings["memory"]);
  return 0;
}
EXPORT int cuDeviceGetAttribute(int* value, int attribute, int) {
  BEGIN(cuDeviceGetAttribute)
  *value = attribute == 75 ? 9 : 0;
  return 0;
}
EXPORT int cuDevicePrimaryCtxRetain(Device** context, int ordinal) {
  BEGIN(cuDevicePrimaryCtxRetain)
  *context = &devices[static_cast<std::size_t>(ordinal)];
  return 0;
}
EXPORT int cuCtxPushCurrent_v2(Device* context) {
  BEGIN(cuCtxPushCurrent_v2)
  contexts.push_back(context);
  return 0;
}
EXPORT int cuCtxPopCurrent_v2(Device** context) {
  BEGIN(cuCtxPopCurrent_v2)
  if (contexts.empty()) return kInvalidContext;
  *context = contexts.back();
  contexts.pop_back();
  return 0;
}
EXPORT int cuCtxSetLimit(int limit, std::size_t bytes) {
  BEGIN_ON_DEVICE(cuCtxSetLimit)
  counts["limit" + std::to_string(limit)] = static_cast<long>(bytes);
  return 0;
}
EXPORT int cuMemGetInfo_v2(std::size_t* left, std::size_t* total) {
  BEGIN_ON_DEVICE(cuMemGetInfo_v2)
  *total = static_cast<std::size_t>(settings["memory"]);
  *left = *total - current()->used;
  return 0;
}
EXPORT int cuMemAlloc_v2(Address* address, std::size_t bytes) {
  BEGIN_ON_DEVICE(cuMemAlloc_v2)
  Device& device = *current();
  if (bytes == 0) return kInvalidValue;
  std::size_t start = kPage;
  for (auto [other, size] : device.taken) {
    if (start + bytes <= other) break;
    start = (other + size + kPage) / kPage * kPage;  // at least a byte between two
  }
  if (start + bytes > static_cast<std::size_t>(settings["memory"])) return kNoMemory;
  device.taken[start] = bytes;
  device.used += bytes;
  open(device);
  std::memset(device.arena + start, 0xA5, bytes);
  close(device);
  *address = reinterpret_cast<Address>(device.arena + start);
  return 0;
}
EXPORT int cuMemFree_v2(Address address) {
  BEGIN_ON_DEVICE(cuMemFree_v2)
  Device& device = *current();
  for (Stream* stream : device.streams) {
    if (!stream->queue.empty()) violate("memory freed while work is queued");
  }
  auto found = device.taken.find(static_cast<std::size_t>(reinterpret_cast<char*>(address) - device.arena));
  if (found == device.taken.end()) {
    violate("memory freed that was not allocated");
    return kInvalidValue;
  }
  device.used -= found->second;
  device.taken.erase(found);
  return 0;
}
EXPORT int cuMemHostAlloc(void** memory, std::size_t bytes, unsigned) {
  BEGIN_ON_DEVICE(cuMemHostAlloc)
  *memory = std::malloc(bytes);
  std::memset(*memory, 0x5A, bytes);
  return 0;
}
EXPORT int cuMemcpyHtoDAsync_v2(Address to, const void* from, std::size_t bytes, Stream* stream) {
  BEGIN_ON_DEVICE(cuMemcpyHtoDAsync_v2)
  if (int code = check_copy(to, bytes)) return code;
  return queue(stream, [=] { return std::memcpy(reinterpret_cast<void*>(to), from, bytes), 0; });
}
EXPORT int cuMemcpyDtoHAsync_v2(void* to, Address from, std::size_t bytes, Stream* stream) {
  BEGIN_ON_DEVICE(cuMemcpyDtoHAsync_v2)
  if (int code = check_copy(from, bytes)) return code;
  return queue(stream, [=] { return std::memcpy(to, reinterpret_cast<void*>(from), bytes), 0; });
}
EXPORT int cuMemcpyDtoDAsync_v2(Address to, Address from, std::size_t bytes, Stream* stream) {
  BEGIN_ON_DEVICE(cuMemcpyDtoDAsync_v2)
  if (int code = check_copy(from, bytes)) return code;
  if (int code = check_copy(to, bytes)) return code;
  return queue(stream,
               [=] { return std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes), 0; });
}
EXPORT int cuMemcpyPeerAsync(Address to, Device*, Address from, Device* source, std::size_t bytes, Stream* stream) {
  BEGIN_ON_DEVICE(cuMemcpyPeerAsync)
  if (int code = check_copy(to, bytes)) return code;
  return queue(stream, [=] {
    open(*source);
    std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
    close(*source);
    return 0;
  });
}
EXPORT int cuMemsetD8Async(Address to, unsigned char value, std::size_t bytes, Stream* stream) {
  BEGIN_ON_DEVICE(cuMemsetD8Async)
  if (int code = check_copy(to, bytes)) return code;
  return queue(stream, [=] { return std::memset(reinterpret_cast<void*>(to), value, bytes), 0; });
}
EXPORT int cuMemsetD2D8Async(Address to, std::size_t pitch, unsigned char value, std::size_t width, std::size_t rows,
                             Stream* stream) {
  BEGIN_ON_DEVICE(cuMemsetD2D8Async)
  return queue(stream, [=] {
    for (std::size_t row = 0; row < rows; ++row) std::memset(reinterpret_cast<char*>(to) + row * pitch, value, width);
    return 0;
  });
}
EXPORT int cuStreamCreate(Stream** stream, unsigned) {
  BEGIN_ON_DEVICE(cuStreamCreate)
  *stream = new Stream{current(), {}};
  current()->streams.push_back(*stream);
  return 0;
}
EXPORT int cuStreamSynchronize(Stream* stream) {
  BEGIN_ON_DEVICE(cuStreamSynchronize)
  return finish(*stream, stream->end());
}
EXPORT int cuStreamQuery(Stream* stream) {
  BEGIN_ON_DEVICE(cuStreamQuery)
  return advance(*stream, stream->end());
}
EXPORT int cuStreamWaitEvent(Stream* stream, Event* event, unsigned) {
  BEGIN_ON_DEVICE(cuStreamWaitEvent)
  Event now = *event;  // one recorded again later is another
  return queue(stream, [now] { return now.stream ? advance(*now.stream, now.place) : 0; });
}
EXPORT int cuEventCreate(Event** event, unsigned) {
  BEGIN_ON_DEVICE(cuEventCreate)
  *event = new Event;
  return 0;
}
EXPORT int cuEventRecord(Event* event, Stream* stream) {
  BEGIN_ON_DEVICE(cuEventRecord)
  *event = {stream, stream->end()};
  return 0;
}
EXPORT int cuEventSynchronize(Event* event) {
  BEGIN_ON_DEVICE(cuEventSynchronize)
  return event->stream ? finish(*event->stream, event->place) : 0;
}
// Who asks gives the queue time to run.
EXPORT int cuEventQuery(Event* event) {
  BEGIN_ON_DEVICE(cuEventQuery)
  if (!event->stream || event->stream->done >= event->place) return 0;
  int code = advance(*event->stream, event->place);  // who asks again finds it done
  return code ? code : kNotReady;
}
EXPORT int cuModuleLoadDataEx(Module** module, const void* image, unsigned count, int* options, void** values) {
  BEGIN_ON_DEVICE(cuModuleLoadDataEx)
  auto* text = static_cast<const char*>(image);
  void* library = std::strncmp(text, "fake:", 5) == 0 ? dlopen(text + 5, RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!library) {
    for (unsigned index = 0; index < count; ++index) {
      if (options[index] == 5) std::strcpy(static_cast<char*>(values[index]), "not an image of the fake driver");
    }
    return kInvalidImage;
  }
  *module = new Module{current(), library};
  return 0;
}
EXPORT int cuModuleUnload(Module* module) {
  BEGIN_ON_DEVICE(cuModuleUnload)
  for (Stream* stream : module->device->streams) {
    if (!stream->queue.empty()) violate("a module unloaded while work is queued");
  }
  delete module;
  return 0;
}
EXPORT int cuModuleGetFunction(Function** function, Module* module, const char* name) {
  BEGIN_ON_DEVICE(cuModuleGetFunction)
  auto has = reinterpret_cast<int (*)(const char*)>(dlsym(module->library, "weft_emulated_has"));
  if (!has || !has(name)) return kNotFound;
  *function = new Function{module, name};
  return 0;
}
EXPORT int cuLaunchKernel(Function* function, unsigned blocks, unsigned y, unsigned z, unsigned threads, unsigned ty,
                          unsigned tz, unsigned shared, Stream* stream, void** args, void**) {
  BEGIN_ON_DEVICE(cuLaunchKernel)
  if (blocks == 0 || y != 1 || z != 1 || threads == 0 || threads > 1024 || ty != 1 || tz != 1 || shared != 0) {
    return kInvalidValue;
  }
  void* library = function->module->library;
  auto prepare =
      reinterpret_cast<void* (*)(const char*, long long, int, void**)>(dlsym(library, "weft_emulated_prepare"));
  auto run = reinterpret_cast<int (*)(void*)>(dlsym(library, "weft_emulated_run"));
  auto error = reinterpret_cast<const char* (*)()>(dlsym(library, "weft_emulated_error"));
  void* prepared = prepare(function->name.c_str(), blocks, static_cast<int>(threads), args);
  if (!prepared) return kInvalidValue;
  return queue(stream, [=] {
    if (int code = called("kernel")) return code;
    if (run(prepared) == 0) return 0;
    violate(error());
    return static_cast<int>(kLaunchFailed);
  });
}

// -- what tests ask and say -------------------------------------------------------------------------------------------

// How often a function was called; "kernel" counts those that ran.
EXPORT long fake_count(const char* name) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  return counts[name];
}
// The n-th call from now fails with this code (at a kernel: while it runs). 0: none does.
EXPORT void fake_fail(const char* name, long n, int code) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  if (n == 0) {
    plans.erase(name);
  } else {
    plans[name] = {counts[name] + n, code};
  }
}
// How much is queued on a device.
EXPORT long fake_queued(int device) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  long total = 0;
  for (Stream* stream : devices[static_cast<std::size_t>(device)].streams)
    total += static_cast<long>(stream->queue.size());
  return total;
}
EXPORT long fake_used(int device) { return static_cast<long>(devices[static_cast<std::size_t>(device)].used); }
// Contexts that calls of this thread left current.
EXPORT long fake_contexts() { return static_cast<long>(contexts.size()); }
EXPORT const char* fake_violations() { return violations.c_str(); }
// For stand-ins of libraries that compute at once: what is queued runs, and the memory can be touched.
EXPORT void fake_open(int number) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  Device& device = devices[static_cast<std::size_t>(number)];
  for (Stream* stream : device.streams) advance(*stream, stream->end());
  open(device);
}
EXPORT void fake_close(int number) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  close(devices[static_cast<std::size_t>(number)]);
}
// For stand-ins of libraries that queue their work, which hold the lock meanwhile. A stream's end is the place behind
// all that is queued; what is queued there runs while its device's memory is open.
EXPORT void fake_lock() { mutex.lock(); }
EXPORT void fake_unlock() { mutex.unlock(); }
EXPORT int fake_called(const char* name) { return called(name); }
EXPORT void fake_violate(const char* text) { violate(text); }
EXPORT int fake_current() { return current() ? current()->number : -1; }
EXPORT void fake_set_current(int number) {
  if (contexts.empty()) contexts.push_back(nullptr);
  contexts.back() = &devices[static_cast<std::size_t>(number)];
}
EXPORT int fake_stream_device(Stream* stream) { return stream->device->number; }
EXPORT unsigned long long fake_stream_end(Stream* stream) { return stream->end(); }
EXPORT int fake_advance(Stream* stream, unsigned long long place) { return advance(*stream, place); }
EXPORT void fake_enqueue(Stream* stream, int (*action)(void*), void* env) {
  stream->queue.push_back([=] { return action(env); });
}
EXPORT int fake_inside(int number, const void* memory, std::size_t bytes) {
  return inside(devices[static_cast<std::size_t>(number)], reinterpret_cast<Address>(memory), bytes);
}
// Lets something go wrong on a device, behind what is queued.
EXPORT void fake_break(int number) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  for (Stream* stream : devices[static_cast<std::size_t>(number)].streams) {
    stream->queue.push_back([] { return static_cast<int>(kIllegalAddress); });
  }
}
EXPORT void fake_open_memory(int number) { open(devices[static_cast<std::size_t>(number)]); }
EXPORT void fake_close_memory(int number) { close(devices[static_cast<std::size_t>(number)]); }

// A device works again after a kernel's error.
EXPORT void fake_heal() {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  for (Device& device : devices) device.error = 0;
  violations.clear();
  plans.clear();
}
