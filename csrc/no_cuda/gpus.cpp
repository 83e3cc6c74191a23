// What stands in place of csrc/cuda where weft is built without it.
#include "weft/cublas.h"
#include "weft/device.h"
#include "weft/party.h"

namespace weft {
namespace {

[[noreturn]] void refuse() {
  throw DeviceError("this weft was built without CUDA: build it with -C cmake.define.WEFT_CUDA=ON");
}

}  // namespace

std::vector<Device*> open_gpus() { refuse(); }

void set_cublas_paths(std::vector<std::string>) {}

std::string cublas_library() { return ""; }

void exchange_on(const Party&, const Collective&, const WeftView* const*, const WeftView* const*) { refuse(); }

std::string exchange_id() { refuse(); }

void set_nccl_paths(std::vector<std::string>) {}

std::string nccl_library() { refuse(); }

std::string nccl_version() { refuse(); }

}  // namespace weft
