#include "driver.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cstdlib>

namespace weft::cuda {
namespace {

std::atomic<bool> forked{false};

constexpr const char* kRemedy = "Install NVIDIA's driver 525 (CUDA 12.0) or newer; `weft doctor` says what is found.";

void* open_library(Driver& driver) {
  std::string tried;
  const char* chosen = std::getenv("WEFT_CUDA_DRIVER");
  // The second is where Windows' Linux keeps it.
  for (const char* name : {chosen ? chosen : "libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"}) {
    if (void* handle = dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
      driver.path = name;
      return handle;
    }
    const char* text = dlerror();
    if (tried.empty()) tried = text ? text : name;
    if (chosen) break;
  }
  throw DeviceError("the driver's library was not found (" + tried + "). " + kRemedy);
}

Driver open_driver() {
  Driver driver;
  void* handle = open_library(driver);
#define WEFT_FIND(member, name, parameters)                                                                        \
  driver.member = reinterpret_cast<decltype(driver.member)>(dlsym(handle, #name));                                 \
  if (!driver.member) {                                                                                            \
    throw DeviceError("the driver's library " + driver.path + " has no " #name ": it is too old, or no driver. " + \
                      kRemedy);                                                                                    \
  }
  WEFT_DRIVER(WEFT_FIND)
#undef WEFT_FIND
  Result result = driver.init(0);
  if (result == kNoDevice) {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    throw DeviceError(visible ? std::string("the driver finds no GPU: CUDA_VISIBLE_DEVICES is '") + visible + "'"
                              : "the driver finds no GPU: is one installed, and shown to this container?");
  }
  if (result != kSuccess) {
    throw DeviceError("the driver does not start: " + driver.describe(result) +
                      (result == kMismatch || result == kStubLibrary
                           ? ". Its library and the kernel's module differ: restart the machine, or install it again."
                           : ". `nvidia-smi` may say more."));
  }
  result = driver.version(&driver.found_version);
  if (result != kSuccess) throw DeviceError("cuDriverGetVersion: " + driver.describe(result));
  if (driver.found_version < kNeededVersion) {
    throw DeviceError("the driver is too old: it is for CUDA " + version_text(driver.found_version) +
                      ", and weft needs CUDA " + version_text(kNeededVersion) + ". " + kRemedy);
  }
  pthread_atfork(nullptr, nullptr, [] { forked = true; });
  return driver;
}

}  // namespace

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string Driver::describe(Result result) const {
  const char *name = nullptr, *text = nullptr;
  if (error_name(result, &name) != kSuccess || !name) return "error " + std::to_string(result);
  if (error_text(result, &text) != kSuccess || !text) return name;
  return std::string(name) + " (" + text + ")";
}

const Driver& driver() {
  static const Driver* opened = new Driver(open_driver());
  return *opened;
}

bool is_forked() noexcept { return forked.load(std::memory_order_relaxed); }

void check_process() {
  if (is_forked()) {
    throw DeviceError(
        "this process was forked from one that uses the GPU, where the driver does not work: start processes with "
        "multiprocessing.get_context('spawn'), or use the GPU only after forking");
  }
}

}  // namespace weft::cuda
