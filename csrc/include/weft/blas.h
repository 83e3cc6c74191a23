// Matrix products: OpenBLAS from the scipy-openblas64 wheel, opened at first use; plain loops without it.
#pragma once

#include <string>

#include "weft/abi.h"

namespace weft {

// Where the shared library is expected; told at import, opened at the first product.
void set_blas_path(const std::string& path);

// What products run on: the path of the library, or "" for the plain loops. Opens it.
std::string blas_library();

// trans: 0 as it is, 1 transposed, 2 conjugate transposed. Large products are cut over our own threads, each calling a
// single-threaded OpenBLAS, so that the two pools never compete.
void gemm_any(int dtype, int trans_a, int trans_b, weft_i64 m, weft_i64 n, weft_i64 k, const void* a, weft_i64 lda,
              const void* b, weft_i64 ldb, void* c, weft_i64 ldc, bool accumulate);

}  // namespace weft
