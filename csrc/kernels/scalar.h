// Scalars as generated code sees them: short type names, and functions with NumPy's meaning where C++'s differs.
//
// Depends on nothing, so that a generated file parses in milliseconds: C's math functions are declared here. Compile
// with -fwrapv -fno-math-errno, never with -ffast-math. Overloads are chosen by type: f(f64), f(f32), f(c128), ...
//
// In device code (nvcc, NVRTC, or the emulator of tests/cuda) the same functions stand on CUDA's, and there is no f16.
#pragma once

#if defined(__CUDACC__) || defined(WEFT_EMULATED)
#define WEFT_DEVICE 1
#define WEFT_FN __device__ inline
#else
#define WEFT_FN inline
#endif
#define WEFT_UNLIKELY(test) __builtin_expect(!!(test), 0)

// NVRTC knows few of the builtins that generated text uses.
#ifdef __CUDACC_RTC__
#define __builtin_inf() __longlong_as_double(0x7ff0000000000000ll)
#define __builtin_inff() __int_as_float(0x7f800000)
#define __builtin_nan(x) __longlong_as_double(0x7ff8000000000000ll)
#define __builtin_nanf(x) __int_as_float(0x7fc00000)
#define __builtin_memcpy(a, b, n) memcpy(a, b, n)
#endif

namespace weft {

typedef signed char i8;
typedef short i16;
typedef int i32;
typedef long long i64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long long u64;
typedef float f32;
typedef double f64;
#if defined(__FLT16_MANT_DIG__) && !defined(WEFT_DEVICE)
#define WEFT_HAS_F16 1
typedef _Float16 f16;
#endif

// -- C's math library, with its vector variants ---------------------------------------------------------------------

#ifdef WEFT_DEVICE

// clang-format off
#define WEFT_UNARY(attribute, name) \
  WEFT_FN f64 name(f64 x) { return ::name(x); } \
  WEFT_FN f32 name(f32 x) { return ::name##f(x); }
#define WEFT_BINARY(attribute, name) \
  WEFT_FN f64 name(f64 x, f64 y) { return ::name(x, y); } \
  WEFT_FN f32 name(f32 x, f32 y) { return ::name##f(x, y); }
#define WEFT_BUILTIN(name) WEFT_UNARY(, name)
// clang-format on

WEFT_FN f64 abs(f64 x) { return ::fabs(x); }
WEFT_FN f32 abs(f32 x) { return ::fabsf(x); }
WEFT_BINARY(, copysign)
WEFT_FN bool signbit(f64 x) { return __double_as_longlong(x) < 0; }
WEFT_FN bool signbit(f32 x) { return __float_as_int(x) < 0; }
WEFT_FN f64 fma(f64 x, f64 y, f64 z) { return ::fma(x, y, z); }
WEFT_FN f32 fma(f32 x, f32 y, f32 z) { return ::fmaf(x, y, z); }

#else

// glibc shows its SIMD variants only under -ffast-math; declaring them gives them to the vectoriser at plain -O3, with
// NaN and infinities intact (up to 4 ulp). Level 1: glibc 2.22; level 2: glibc 2.35, told by a header that came with
// it.
#ifndef WEFT_VECTOR_MATH
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && __has_include(<bits/libm-simd-decl-stubs.h>)
#if __has_include(<sys/rseq.h>)
#define WEFT_VECTOR_MATH 2
#else
#define WEFT_VECTOR_MATH 1
#endif
#else
#define WEFT_VECTOR_MATH 0
#endif
#endif

#define WEFT_PURE __attribute__((nothrow, leaf, const))
#if WEFT_VECTOR_MATH >= 1
#define WEFT_SIMD __attribute__((simd("notinbranch"), nothrow, leaf, const))
#else
#define WEFT_SIMD WEFT_PURE
#endif
#if WEFT_VECTOR_MATH >= 2
#define WEFT_SIMD2 WEFT_SIMD
#else
#define WEFT_SIMD2 WEFT_PURE
#endif

// clang-format off
#define WEFT_UNARY(attribute, name) \
  extern "C" attribute f64 name(f64) noexcept; \
  extern "C" attribute f32 name##f(f32) noexcept; \
  inline f32 name(f32 x) { return name##f(x); }
#define WEFT_BINARY(attribute, name) \
  extern "C" attribute f64 name(f64, f64) noexcept; \
  extern "C" attribute f32 name##f(f32, f32) noexcept; \
  inline f32 name(f32 x, f32 y) { return name##f(x, y); }
#define WEFT_BUILTIN(name) \
  inline f64 name(f64 x) { return __builtin_##name(x); } \
  inline f32 name(f32 x) { return __builtin_##name##f(x); }
// clang-format on

inline f64 abs(f64 x) { return __builtin_fabs(x); }
inline f32 abs(f32 x) { return __builtin_fabsf(x); }
inline f64 copysign(f64 x, f64 y) { return __builtin_copysign(x, y); }
inline f32 copysign(f32 x, f32 y) { return __builtin_copysignf(x, y); }
inline bool signbit(f64 x) { return __builtin_signbit(x) != 0; }
inline bool signbit(f32 x) { return __builtin_signbit(x) != 0; }
inline f64 fma(f64 x, f64 y, f64 z) { return __builtin_fma(x, y, z); }
inline f32 fma(f32 x, f32 y, f32 z) { return __builtin_fmaf(x, y, z); }

#endif

WEFT_UNARY(WEFT_SIMD, exp)
WEFT_UNARY(WEFT_SIMD, log)
WEFT_UNARY(WEFT_SIMD, sin)
WEFT_UNARY(WEFT_SIMD, cos)
WEFT_BINARY(WEFT_SIMD, pow)
WEFT_UNARY(WEFT_SIMD2, exp2)
WEFT_UNARY(WEFT_SIMD2, expm1)
WEFT_UNARY(WEFT_SIMD2, log2)
WEFT_UNARY(WEFT_SIMD2, log10)
WEFT_UNARY(WEFT_SIMD2, log1p)
WEFT_UNARY(WEFT_SIMD2, cbrt)
WEFT_UNARY(WEFT_SIMD2, tan)
WEFT_UNARY(WEFT_SIMD2, asin)
WEFT_UNARY(WEFT_SIMD2, acos)
WEFT_UNARY(WEFT_SIMD2, atan)
WEFT_UNARY(WEFT_SIMD2, sinh)
WEFT_UNARY(WEFT_SIMD2, cosh)
WEFT_UNARY(WEFT_SIMD2, tanh)
WEFT_UNARY(WEFT_SIMD2, asinh)
WEFT_UNARY(WEFT_SIMD2, acosh)
WEFT_UNARY(WEFT_SIMD2, atanh)
WEFT_BINARY(WEFT_SIMD2, atan2)
WEFT_BINARY(WEFT_SIMD2, hypot)
WEFT_BINARY(WEFT_PURE, fmod)
WEFT_BUILTIN(sqrt)
WEFT_BUILTIN(floor)
WEFT_BUILTIN(ceil)
WEFT_BUILTIN(trunc)
WEFT_BUILTIN(rint)

// Both values are computed, as the operation says: a call in one arm of `?:` would keep a loop from being vectorised.
template <class T>
WEFT_FN T select(bool c, T x, T y) {
  return c ? x : y;
}

// -- floating -------------------------------------------------------------------------------------------------------

// clang-format off
#define WEFT_FLOAT(T) \
  WEFT_FN bool isnan(T x) { return x != x; } \
  WEFT_FN bool isinf(T x) { return x == (T)__builtin_inf() || x == -(T)__builtin_inf(); } \
  WEFT_FN bool isfinite(T x) { return x - x == 0; } \
  WEFT_FN T sign(T x) { return x != x ? x : (T)((x > 0) - (x < 0)); } \
  WEFT_FN T maximum(T x, T y) { return x >= y || x != x ? x : y; } \
  WEFT_FN T minimum(T x, T y) { return x <= y || x != x ? x : y; } \
  WEFT_FN T fmax(T x, T y) { return x >= y || y != y ? x : y; } \
  WEFT_FN T fmin(T x, T y) { return x <= y || y != y ? x : y; } \
  /* Python's %: the sign of the divisor. A zero remainder has the divisor's sign too. */ \
  WEFT_FN T mod(T x, T y) { \
    T r = fmod(x, y); \
    if (y == 0) return r; \
    return r == 0 ? copysign((T)0, y) : (y < 0) != (r < 0) ? r + y : r; \
  } \
  WEFT_FN T floordiv(T x, T y) { \
    if (y == 0) return x / y; \
    T r = fmod(x, y), q = (x - r) / y; \
    if (r != 0 && (y < 0) != (r < 0)) q -= 1; \
    if (q == 0) return copysign((T)0, x / y); \
    T f = floor(q); \
    return q - f > (T)0.5 ? f + 1 : f; \
  } \
  WEFT_FN T logaddexp(T x, T y) { \
    if (x == y) return x + (T)0.693147180559945309417232121458176568; \
    T d = x - y; \
    return d > 0 ? x + log1p(exp(-d)) : d <= 0 ? y + log1p(exp(d)) : d; \
  }
// clang-format on
WEFT_FLOAT(f64)
WEFT_FLOAT(f32)

// -- integers -------------------------------------------------------------------------------------------------------

// x // 0 and x % 0 are 0; the quotient of the least integer by -1 wraps. A negative exponent gives the truncated
// quotient 1 / x**-n. Shifting by the width or more (or by a negative number) shifts everything out.
template <class T>
inline constexpr bool is_signed = (T)-1 < (T)0;

template <class T>
WEFT_FN T abs(T x) {
  if constexpr (is_signed<T>) return (T)(x < 0 ? -x : x);
  return x;
}
template <class T>
WEFT_FN T sign(T x) {
  if constexpr (is_signed<T>) return (T)((x > 0) - (x < 0));
  return (T)(x > 0);
}
template <class T>
WEFT_FN T maximum(T x, T y) {
  return x >= y ? x : y;
}
template <class T>
WEFT_FN T minimum(T x, T y) {
  return x <= y ? x : y;
}
template <class T>
WEFT_FN T fmax(T x, T y) {
  return x >= y ? x : y;
}
template <class T>
WEFT_FN T fmin(T x, T y) {
  return x <= y ? x : y;
}
template <class T>
WEFT_FN T floordiv(T x, T y) {
  if (y == 0) return 0;
  if constexpr (is_signed<T>) {
    if (y == (T)-1) return (T)-x;
    T q = (T)(x / y);
    return (T)(q - ((x % y != 0) & ((x < 0) != (y < 0))));
  }
  return (T)(x / y);
}
template <class T>
WEFT_FN T fmod(T x, T y) {
  if (y == 0 || (is_signed<T> && y == (T)-1)) return 0;
  return (T)(x % y);
}
template <class T>
WEFT_FN T mod(T x, T y) {
  T r = fmod(x, y);
  if constexpr (is_signed<T>) return r != 0 && (r < 0) != (y < 0) ? (T)(r + y) : r;
  return r;
}
template <class T>
WEFT_FN T pow(T x, T n) {
  if constexpr (is_signed<T>) {
    if (n < 0) return x == 1 ? (T)1 : x == -1 ? (T)(n & 1 ? -1 : 1) : (T)0;
  }
  T p = 1;
  for (;; x = (T)((u64)x * (u64)x)) {
    if (n & 1) p = (T)((u64)p * (u64)x);
    if (!(n = (T)(n >> 1))) return p;
  }
}
template <class T>
WEFT_FN T shl(T x, T n) {
  return (u64)n < 8 * sizeof(T) ? (T)((u64)x << n) : (T)0;
}
template <class T>
WEFT_FN T shr(T x, T n) {
  if ((u64)n < 8 * sizeof(T)) return (T)(x >> n);
  if constexpr (is_signed<T>) return (T)(x < 0 ? -1 : 0);
  return 0;
}

// -- float16 --------------------------------------------------------------------------------------------------------

#ifdef WEFT_HAS_F16
// Through the float whose last bit remembers whether digits were lost, so that rounding happens once.
inline f16 to_f16(f64 x) {
  f32 y = (f32)x;
  union {
    f32 value;
    i32 bits;
  } u = {y};
  if ((f64)y != x && y - y == 0 && !(u.bits & 1)) u.bits += ((f64)y < x) == (x > 0) ? 1 : -1;
  return (f16)u.value;
}
inline f16 to_f16(i64 x) { return to_f16((f64)x); }
inline f16 to_f16(u64 x) { return to_f16((f64)x); }
inline f16 to_f16(i32 x) { return to_f16((f64)x); }
inline f16 to_f16(u32 x) { return to_f16((f64)x); }
inline f16 to_f16(i16 x) { return (f16)(f32)x; }
inline f16 to_f16(u16 x) { return (f16)(f32)x; }
inline f16 to_f16(bool x) { return (f16)(f32)x; }
#endif

#undef WEFT_UNARY
#undef WEFT_BINARY
#undef WEFT_BUILTIN
#undef WEFT_FLOAT

}  // namespace weft

// A program without complex numbers may spare itself 3 ms.
#ifndef WEFT_NO_COMPLEX
#include "complex.h"
#endif
