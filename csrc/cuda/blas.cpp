// Matrix products on a GPU: cuBLAS, where it is installed.
#include <dlfcn.h>

#include <algorithm>
#include <climits>

#include "device.h"
#include "weft/cublas.h"
#include "weft/python.h"

namespace weft {
namespace {
std::vector<std::string>* library_paths = new std::vector<std::string>;
}

void set_cublas_paths(std::vector<std::string> paths) { *library_paths = std::move(paths); }

namespace cuda {
namespace {

using Product = int (*)(void*, int, int, int, int, int, const void*, const void*, int, const void*, int, const void*,
                        void*, int);

struct Library {
  std::string path;
  int (*create)(void**) = nullptr;
  int (*set_stream)(void*, Stream) = nullptr;
  Product products[4] = {};  // of float, double and their complex numbers
};

Library open_library() {
  for (const std::string& path : *library_paths) {
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) continue;
    Library library;
    auto find = [&](const char* name, auto* function) {
      *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(dlsym(handle, name));
      return *function != nullptr;
    };
    if (find("cublasCreate_v2", &library.create) && find("cublasSetStream_v2", &library.set_stream) &&
        find("cublasSgemm_v2", &library.products[0]) && find("cublasDgemm_v2", &library.products[1]) &&
        find("cublasCgemm_v2", &library.products[2]) && find("cublasZgemm_v2", &library.products[3])) {
      library.path = path;
      return library;
    }
  }
  return {};
}

const Library& library() {
  static const Library opened = open_library();
  return opened;
}

int product_of(int dtype) {
  switch (dtype) {
    case NPY_FLOAT:
      return 0;
    case NPY_DOUBLE:
      return 1;
    case NPY_CFLOAT:
      return 2;
    case NPY_CDOUBLE:
      return 3;
    default:
      return -1;
  }
}

}  // namespace

std::string library_path() { return library().path; }

bool CudaDevice::gemm(int dtype, int trans_a, int trans_b, weft_i64 m, weft_i64 n, weft_i64 k, const void* a,
                      weft_i64 lda, const void* b, weft_i64 ldb, void* c, weft_i64 ldc, bool accumulate) {
  int which = product_of(dtype);
  if (which < 0 || library().path.empty()) return false;
  if (m <= 0 || n <= 0) return true;
  // Its lengths are ints, and those of rows at least the row's length, also for arrays of one row.
  lda = std::max(lda, std::max<weft_i64>(1, trans_a ? m : k));
  ldb = std::max(ldb, std::max<weft_i64>(1, trans_b ? k : n));
  ldc = std::max(ldc, n);
  if (std::max({m, n, k, lda, ldb, ldc}) > INT_MAX) return false;
  check_process();
  Active active(*this);
  std::lock_guard<std::mutex> lock(blas_mutex_);
  if (!blas_tried_) {
    blas_tried_ = true;
    void* handle = nullptr;
    // One that does not fit the driver says so here, and is as good as none.
    if (library().create(&handle) == 0 && library().set_stream(handle, stream_) == 0) blas_ = handle;
  }
  if (!blas_) return false;
  static const double kOnes[2] = {1, 0}, kZeros[2] = {0, 0};
  static const float kShortOnes[2] = {1, 0};
  const void* one = which % 2 ? static_cast<const void*>(kOnes) : kShortOnes;
  const void* scale = accumulate ? one : static_cast<const void*>(kZeros);
  // It counts columns first, where our rows are columns: c' = b' a'.
  int status = library().products[which](blas_, trans_b, trans_a, static_cast<int>(n), static_cast<int>(m),
                                         static_cast<int>(k), one, b, static_cast<int>(ldb), a, static_cast<int>(lda),
                                         scale, c, static_cast<int>(ldc));
  if (status != 0) {
    throw DeviceError("cuBLAS (" + library().path + ") failed with status " + std::to_string(status) + " on " + name());
  }
  return true;
}

}  // namespace cuda

std::string cublas_library() { return cuda::library_path(); }

}  // namespace weft
