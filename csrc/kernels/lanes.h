// Eight lanes of scalar code at once, as GCC vectors: what generated nests use for independent lanes with loops of
// their own. A condition is a vector of 0 and -1; overloads here give functions the names that scalar code calls them
// by.
#pragma once

#include "scalar.h"

namespace weft {

constexpr i64 lane_count = 8;
typedef f64 f64x __attribute__((vector_size(64)));
typedef i64 i64x __attribute__((vector_size(64)));

template <class V, class T>
inline V load_lanes(const T* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof(V));
  return v;
}
template <class T, class V>
inline void store_lanes(T* p, V v) {
  __builtin_memcpy(p, &v, sizeof(V));
}
inline bool any(i64x mask) {
  i64 found = 0;
  for (int k = 0; k < lane_count; ++k) found |= mask[k];
  return found != 0;
}
// Lane numbers from `first` on.
inline i64x lanes_from(i64 first) { return i64x{0, 1, 2, 3, 4, 5, 6, 7} + first; }

inline f64x wide(f64x x) { return x; }
inline f64x wide(f64 x) { return f64x{} + x; }
inline i64x wide(i64x x) { return x; }
inline i64x wide(i64 x) { return i64x{} + x; }
inline i64x wide(bool x) { return i64x{} - (i64)x; }

template <class A, class B>
inline auto select(i64x c, A x, B y) -> decltype(wide(x)) {
  return c ? wide(x) : wide(y);
}

// Lane by lane through memory, which the compiler turns into calls of vector functions where it has them.
#define WEFT_LANES(name)                                                        \
  inline f64x name(f64x x) {                                                    \
    alignas(64) f64 a[lane_count];                                              \
    __builtin_memcpy(a, &x, sizeof(x));                                         \
    _Pragma("omp simd") for (int k = 0; k < lane_count; ++k) a[k] = name(a[k]); \
    __builtin_memcpy(&x, a, sizeof(x));                                         \
    return x;                                                                   \
  }
WEFT_LANES(exp)
WEFT_LANES(log)
WEFT_LANES(sin)
WEFT_LANES(cos)
WEFT_LANES(tan)
WEFT_LANES(tanh)
WEFT_LANES(expm1)
WEFT_LANES(log1p)
WEFT_LANES(sqrt)
WEFT_LANES(floor)
WEFT_LANES(ceil)
#undef WEFT_LANES
inline f64x abs(f64x x) { return (f64x)((i64x)x & 0x7fffffffffffffffll); }

}  // namespace weft
