#include "weft/blas.h"

#include <dlfcn.h>

#include <algorithm>
#include <complex>
#include <cstring>
#include <mutex>

#include "weft/python.h"
#include "weft/threads.h"

namespace weft {
namespace {

using Real32 = void (*)(int, int, int, weft_i64, weft_i64, weft_i64, float, const void*, weft_i64, const void*,
                        weft_i64, float, void*, weft_i64);
using Real64 = void (*)(int, int, int, weft_i64, weft_i64, weft_i64, double, const void*, weft_i64, const void*,
                        weft_i64, double, void*, weft_i64);
using Complex = void (*)(int, int, int, weft_i64, weft_i64, weft_i64, const void*, const void*, weft_i64, const void*,
                         weft_i64, const void*, void*, weft_i64);

constexpr int kRowMajor = 101;
constexpr int kTranspose[] = {111, 112, 113};

struct Library {
  std::string path;
  Real32 sgemm = nullptr;
  Real64 dgemm = nullptr;
  Complex cgemm = nullptr, zgemm = nullptr;
};

std::string* library_path = new std::string;

template <class F>
void find(void* handle, const char* name, F* function) {
  *function = reinterpret_cast<F>(dlsym(handle, name));
}

Library open_library() {
  Library library;
  if (library_path->empty()) return library;
  void* handle = dlopen(library_path->c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) return library;
  find(handle, "scipy_cblas_sgemm64_", &library.sgemm);
  find(handle, "scipy_cblas_dgemm64_", &library.dgemm);
  find(handle, "scipy_cblas_cgemm64_", &library.cgemm);
  find(handle, "scipy_cblas_zgemm64_", &library.zgemm);
  void (*set_threads)(int) = nullptr;
  find(handle, "scipy_openblas_set_num_threads64_", &set_threads);
  if (set_threads) set_threads(1);
  if (library.sgemm && library.dgemm && library.cgemm && library.zgemm) library.path = *library_path;
  return library;
}

const Library& library() {
  static const Library opened = open_library();
  return opened;
}

template <class T>
T conjugate(T value) {
  return value;
}
template <class T>
std::complex<T> conjugate(std::complex<T> value) {
  return std::conj(value);
}

struct Product {
  int dtype, trans_a, trans_b;
  weft_i64 m, n, k;
  const char* a;
  weft_i64 lda;
  const char* b;
  weft_i64 ldb;
  char* c;
  weft_i64 ldc;
  bool accumulate;
};

// Rows of c stay in cache while rows of op(b) stream past.
template <class T>
void plain(const Product& p) {
  const T* a = reinterpret_cast<const T*>(p.a);
  const T* b = reinterpret_cast<const T*>(p.b);
  T* c = reinterpret_cast<T*>(p.c);
  constexpr weft_i64 kBlock = 64;
  if (!p.accumulate) {
    for (weft_i64 i = 0; i < p.m; ++i) std::fill_n(c + i * p.ldc, p.n, T(0));
  }
  for (weft_i64 start = 0; start < p.k; start += kBlock) {
    weft_i64 stop = std::min(start + kBlock, p.k);
    for (weft_i64 i = 0; i < p.m; ++i) {
      T* row = c + i * p.ldc;
      for (weft_i64 l = start; l < stop; ++l) {
        T factor = p.trans_a ? a[l * p.lda + i] : a[i * p.lda + l];
        if (p.trans_a == 2) factor = conjugate(factor);
        if (p.trans_b == 0) {
          const T* source = b + l * p.ldb;
          for (weft_i64 j = 0; j < p.n; ++j) row[j] += factor * source[j];
        } else {
          for (weft_i64 j = 0; j < p.n; ++j) {
            T value = b[j * p.ldb + l];
            row[j] += factor * (p.trans_b == 2 ? conjugate(value) : value);
          }
        }
      }
    }
  }
}

void multiply(const Product& p) {
  const Library& blas = library();
  int ta = kTranspose[p.trans_a], tb = kTranspose[p.trans_b];
  bool fast = !blas.path.empty();
  static const float one_float[] = {1, 0}, zero_float[] = {0, 0};
  static const double one_double[] = {1, 0}, zero_double[] = {0, 0};
  switch (p.dtype) {
    case NPY_FLOAT:
      if (!fast) return plain<float>(p);
      return blas.sgemm(kRowMajor, ta, tb, p.m, p.n, p.k, 1, p.a, p.lda, p.b, p.ldb, p.accumulate ? 1 : 0, p.c, p.ldc);
    case NPY_DOUBLE:
      if (!fast) return plain<double>(p);
      return blas.dgemm(kRowMajor, ta, tb, p.m, p.n, p.k, 1, p.a, p.lda, p.b, p.ldb, p.accumulate ? 1 : 0, p.c, p.ldc);
    case NPY_CFLOAT:
      if (!fast) return plain<std::complex<float>>(p);
      return blas.cgemm(kRowMajor, ta, tb, p.m, p.n, p.k, one_float, p.a, p.lda, p.b, p.ldb,
                        p.accumulate ? one_float : zero_float, p.c, p.ldc);
    case NPY_CDOUBLE:
      if (!fast) return plain<std::complex<double>>(p);
      return blas.zgemm(kRowMajor, ta, tb, p.m, p.n, p.k, one_double, p.a, p.lda, p.b, p.ldb,
                        p.accumulate ? one_double : zero_double, p.c, p.ldc);
    default:
      return;
  }
}

weft_i64 item_bytes(int dtype) { return dtype == NPY_FLOAT ? 4 : dtype == NPY_CDOUBLE ? 16 : 8; }

void fill_zero(const Product& p) {
  for (weft_i64 i = 0; i < p.m; ++i) {
    std::memset(p.c + i * p.ldc * item_bytes(p.dtype), 0, static_cast<std::size_t>(p.n * item_bytes(p.dtype)));
  }
}

// A body of parallel_for: some rows, or some columns, of the product.
void rows(void* env, weft_i64 low, weft_i64 high) {
  Product part = *static_cast<const Product*>(env);
  weft_i64 bytes = item_bytes(part.dtype);
  part.m = high - low;
  part.a += bytes * low * (part.trans_a ? 1 : part.lda);
  part.c += bytes * low * part.ldc;
  multiply(part);
}

void columns(void* env, weft_i64 low, weft_i64 high) {
  Product part = *static_cast<const Product*>(env);
  weft_i64 bytes = item_bytes(part.dtype);
  part.n = high - low;
  part.b += bytes * low * (part.trans_b ? part.ldb : 1);
  part.c += bytes * low;
  multiply(part);
}

}  // namespace

void set_blas_path(const std::string& path) { *library_path = path; }

std::string blas_library() { return library().path; }

void gemm_any(int dtype, int trans_a, int trans_b, weft_i64 m, weft_i64 n, weft_i64 k, const void* a, weft_i64 lda,
              const void* b, weft_i64 ldb, void* c, weft_i64 ldc, bool accumulate) {
  Product product{dtype,
                  trans_a,
                  trans_b,
                  m,
                  n,
                  k,
                  static_cast<const char*>(a),
                  lda,
                  static_cast<const char*>(b),
                  ldb,
                  static_cast<char*>(c),
                  ldc,
                  accumulate};
  if (m <= 0 || n <= 0) return;
  if (k <= 0) {
    if (!accumulate) fill_zero(product);
    return;
  }
  // BLAS refuses leading dimensions below the row's length, which arrays with one row may have.
  product.lda = std::max<weft_i64>(lda, trans_a ? m : k);
  product.ldb = std::max<weft_i64>(ldb, trans_b ? k : n);
  product.ldc = std::max<weft_i64>(ldc, n);
  constexpr double kWorthwhile = 2e6;  // multiplications; below, waking a thread costs more than it saves
  double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  if (work < kWorthwhile || thread_count() < 2 || in_parallel()) return multiply(product);
  // One chunk to a thread: OpenBLAS packs the shared operand again for each.
  weft_i64 longest = std::max(m, n);
  weft_i64 grain = std::max<weft_i64>(16, (longest + thread_count() - 1) / thread_count());
  parallel_for(longest, grain, m >= n ? rows : columns, &product);
}

}  // namespace weft
