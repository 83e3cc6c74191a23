// Functions of the digits of numbers: bits set, common divisors, neighbours and exponents of floating numbers.
#pragma once

#include "scalar.h"

namespace weft {

template <class T>
WEFT_FN u8 popcount(T x) {
  u64 n = (u64)x;
  n = n - (n >> 1 & 0x5555555555555555ull);
  n = (n & 0x3333333333333333ull) + (n >> 2 & 0x3333333333333333ull);
  n = (n + (n >> 4)) & 0x0f0f0f0f0f0f0f0full;
  return (u8)(n * 0x0101010101010101ull >> 56);
}

// The greatest common divisor of absolute values; gcd(x, 0) is |x|.
template <class T>
WEFT_FN T gcd(T x, T y) {
  u64 a = x < (T)1 ? 0 - (u64)x : (u64)x, b = y < (T)1 ? 0 - (u64)y : (u64)y;
  while (b) {
    const u64 r = a % b;
    a = b;
    b = r;
  }
  return (T)a;
}

template <class T, class I>
union Digits {
  T value;
  I bits;
};

// The bits of x read as another type of its size.
template <class T, class S>
WEFT_FN T bitcast(S x) {
  Digits<T, S> d;
  d.bits = x;
  return d.value;
}

// The next number after x towards y. Bits of numbers of one sign are ordered as the numbers are.
template <class T, class I>
WEFT_FN T neighbour(T x, T y) {
  if (x != x || y != y) return x + y;
  if (x == y) return y;
  Digits<T, I> d;
  d.value = x;
  if (x == 0) {
    d.value = y < 0 ? (T)-1 : (T)1;
    d.bits = (I)((I)(d.bits >> (8 * sizeof(I) - 1) << (8 * sizeof(I) - 1)) | (I)1);
  } else {
    d.bits = (I)((x < y) == (x > 0) ? d.bits + 1 : d.bits - 1);
  }
  return d.value;
}

WEFT_FN f64 nextafter(f64 x, f64 y) { return neighbour<f64, u64>(x, y); }
WEFT_FN f32 nextafter(f32 x, f32 y) { return neighbour<f32, u32>(x, y); }
#ifdef WEFT_HAS_F16
inline f16 nextafter(f16 x, f16 y) { return neighbour<f16, u16>(x, y); }
#endif

// The exponent e for which |x| / 2**e is in [0.5, 1); 0 of 0, infinities and nan.
WEFT_FN i32 exponent(f64 x) {
  if (x == 0 || x - x != 0) return 0;
  Digits<f64, u64> d;
  d.value = x;
  const i32 e = (i32)(d.bits >> 52 & 0x7ff);
  if (e) return e - 1022;
  d.value = x * 18014398509481984.0;  // 2**54
  return (i32)(d.bits >> 52 & 0x7ff) - 1022 - 54;
}
WEFT_FN i32 exponent(f32 x) { return exponent((f64)x); }

// x / 2**exponent(x)
WEFT_FN f64 mantissa(f64 x) {
  if (x == 0 || x - x != 0) return x;
  Digits<f64, u64> d;
  d.value = (x < 1e-290 && x > -1e-290) ? x * 18014398509481984.0 : x;
  d.bits = (d.bits & ~(0x7ffull << 52)) | (1022ull << 52);
  return d.value;
}
WEFT_FN f32 mantissa(f32 x) { return (f32)mantissa((f64)x); }

}  // namespace weft
