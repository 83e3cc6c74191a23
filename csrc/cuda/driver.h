// NVIDIA's driver, opened at run time: the few of its functions that weft calls, declared here, so that neither
// building nor installing weft needs anything of CUDA. tests/cuda_runtime compares them with cuda.h where there is one.
#pragma once

#include <cstddef>
#include <string>

#include "weft/device.h"

namespace weft::cuda {

using Result = int;  // CUresult
using Address = unsigned long long;
using Ordinal = int;  // CUdevice
struct ContextObject;
struct StreamObject;
struct EventObject;
struct ModuleObject;
struct FunctionObject;
using Context = ContextObject*;
using Stream = StreamObject*;
using Mark = EventObject*;
using Module = ModuleObject*;
using Function = FunctionObject*;

constexpr Result kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kDeinitialized = 4, kStubLibrary = 34,
                 kNoDevice = 100, kInvalidImage = 200, kNoBinary = 209, kUnsupportedPtx = 222, kNotReady = 600,
                 kMismatch = 803;
constexpr int kMajor = 75, kMinor = 76;              // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
constexpr int kHeapLimit = 2;                        // CU_LIMIT_MALLOC_HEAP_SIZE
constexpr unsigned kNonBlocking = 1, kNoTiming = 2;  // CU_STREAM_NON_BLOCKING, CU_EVENT_DISABLE_TIMING
constexpr int kErrorLog = 5, kErrorLogBytes = 6;     // CU_JIT_ERROR_LOG_BUFFER and its size
constexpr int kNeededVersion = 12000;                // of the driver, as cuDriverGetVersion counts: CUDA 12.0

// X(member, name, parameters)
#define WEFT_DRIVER(X)                                                                                     \
  X(init, cuInit, (unsigned))                                                                              \
  X(version, cuDriverGetVersion, (int*))                                                                   \
  X(error_name, cuGetErrorName, (Result, const char**))                                                    \
  X(error_text, cuGetErrorString, (Result, const char**))                                                  \
  X(device_count, cuDeviceGetCount, (int*))                                                                \
  X(device_get, cuDeviceGet, (Ordinal*, int))                                                              \
  X(device_name, cuDeviceGetName, (char*, int, Ordinal))                                                   \
  X(device_memory, cuDeviceTotalMem_v2, (std::size_t*, Ordinal))                                           \
  X(device_attribute, cuDeviceGetAttribute, (int*, int, Ordinal))                                          \
  X(context_retain, cuDevicePrimaryCtxRetain, (Context*, Ordinal))                                         \
  X(context_push, cuCtxPushCurrent_v2, (Context))                                                          \
  X(context_pop, cuCtxPopCurrent_v2, (Context*))                                                           \
  X(context_limit, cuCtxSetLimit, (int, std::size_t))                                                      \
  X(memory_info, cuMemGetInfo_v2, (std::size_t*, std::size_t*))                                            \
  X(memory_take, cuMemAlloc_v2, (Address*, std::size_t))                                                   \
  X(memory_free, cuMemFree_v2, (Address))                                                                  \
  X(pinned_take, cuMemHostAlloc, (void**, std::size_t, unsigned))                                          \
  X(copy_up, cuMemcpyHtoDAsync_v2, (Address, const void*, std::size_t, Stream))                            \
  X(copy_down, cuMemcpyDtoHAsync_v2, (void*, Address, std::size_t, Stream))                                \
  X(copy_within, cuMemcpyDtoDAsync_v2, (Address, Address, std::size_t, Stream))                            \
  X(copy_across, cuMemcpyPeerAsync, (Address, Context, Address, Context, std::size_t, Stream))             \
  X(fill, cuMemsetD8Async, (Address, unsigned char, std::size_t, Stream))                                  \
  X(fill_rows, cuMemsetD2D8Async, (Address, std::size_t, unsigned char, std::size_t, std::size_t, Stream)) \
  X(stream_make, cuStreamCreate, (Stream*, unsigned))                                                      \
  X(stream_wait, cuStreamSynchronize, (Stream))                                                            \
  X(stream_query, cuStreamQuery, (Stream))                                                                 \
  X(stream_behind, cuStreamWaitEvent, (Stream, Mark, unsigned))                                            \
  X(event_make, cuEventCreate, (Mark*, unsigned))                                                          \
  X(event_record, cuEventRecord, (Mark, Stream))                                                           \
  X(event_wait, cuEventSynchronize, (Mark))                                                                \
  X(event_query, cuEventQuery, (Mark))                                                                     \
  X(module_load, cuModuleLoadDataEx, (Module*, const void*, unsigned, int*, void**))                       \
  X(module_unload, cuModuleUnload, (Module))                                                               \
  X(module_function, cuModuleGetFunction, (Function*, Module, const char*))                                \
  X(launch, cuLaunchKernel,                                                                                \
    (Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream, void**, void**))

struct Driver {
#define WEFT_MEMBER(member, name, parameters) Result(*member) parameters = nullptr;
  WEFT_DRIVER(WEFT_MEMBER)
#undef WEFT_MEMBER
  std::string path;
  int found_version = 0;

  // "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)"
  std::string describe(Result result) const;
};

// The driver, initialised; throws what is wrong with it.
const Driver& driver();

// "12.4" of 12040
std::string version_text(int version);

// Throws if this process was forked from one that uses the driver, which does not work in both.
void check_process();
bool is_forked() noexcept;

}  // namespace weft::cuda
