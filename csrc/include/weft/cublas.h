// Where cuBLAS may lie: told by Python, which knows the wheels; the first that opens is used.
#pragma once

#include <string>
#include <vector>

namespace weft {

void set_cublas_paths(std::vector<std::string> paths);

// The library that opened, or "". Opens it.
std::string cublas_library();

}  // namespace weft
