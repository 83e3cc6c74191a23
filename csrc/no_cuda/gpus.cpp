// What stands in place of csrc/cuda where weft is built without it.
#include "weft/cublas.h"
#include "weft/device.h"

namespace weft {

std::vector<Device*> open_gpus() {
  throw DeviceError("this weft was built without CUDA: build it with -C cmake.define.WEFT_CUDA=ON");
}

void set_cublas_paths(std::vector<std::string>) {}

std::string cublas_library() { return ""; }

}  // namespace weft
