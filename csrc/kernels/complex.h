// Complex numbers: C's functions, and NumPy's arithmetic (the plain product, Smith's quotient). Included by scalar.h.
#pragma once

#include "scalar.h"
#ifdef WEFT_DEVICE
#include "complex_device.h"
#endif

namespace weft {

struct c64 {
  f32 re, im;
};
struct c128 {
  f64 re, im;
};

WEFT_FN c64 to_c64(c64 z) { return z; }
WEFT_FN c64 to_c64(c128 z) { return c64{(f32)z.re, (f32)z.im}; }
WEFT_FN c128 to_c128(c64 z) { return c128{z.re, z.im}; }
WEFT_FN c128 to_c128(c128 z) { return z; }

// clang-format off
#ifdef WEFT_DEVICE
#define WEFT_C_FUNCTION(C, T, name, suffix) \
  WEFT_FN C name(C z) { return ComplexFunctions<C, T>::name(z); }
#define WEFT_C_POWER(C, T, suffix) \
  WEFT_FN C general_pow(C x, C y) { return ComplexFunctions<C, T>::pow(x, y); }
#else
#define WEFT_C_FUNCTION(C, T, name, suffix) \
  extern "C" WEFT_PURE _Complex T c##name##suffix(_Complex T) noexcept; \
  inline C name(C z) { \
    _Complex T w; \
    __real__ w = z.re; \
    __imag__ w = z.im; \
    w = c##name##suffix(w); \
    return C{__real__ w, __imag__ w}; \
  }
#define WEFT_C_POWER(C, T, suffix) \
  extern "C" WEFT_PURE _Complex T cpow##suffix(_Complex T, _Complex T) noexcept; \
  inline C general_pow(C x, C y) { \
    _Complex T a, b; \
    __real__ a = x.re; \
    __imag__ a = x.im; \
    __real__ b = y.re; \
    __imag__ b = y.im; \
    a = cpow##suffix(a, b); \
    return C{__real__ a, __imag__ a}; \
  }
#endif
#define WEFT_COMPLEX(C, T, suffix) \
  WEFT_FN C operator+(C x, C y) { return C{x.re + y.re, x.im + y.im}; } \
  WEFT_FN C operator-(C x, C y) { return C{x.re - y.re, x.im - y.im}; } \
  WEFT_FN C operator-(C x) { return C{-x.re, -x.im}; } \
  WEFT_FN C operator*(C x, C y) { return C{x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re}; } \
  WEFT_FN C operator/(C x, C y) { \
    T a = abs(y.re), b = abs(y.im); \
    if (a >= b) { \
      if (a == 0 && b == 0) return C{x.re / a, x.im / a}; \
      T r = y.im / y.re, d = 1 / (y.re + y.im * r); \
      return C{(x.re + x.im * r) * d, (x.im - x.re * r) * d}; \
    } \
    T r = y.re / y.im, d = 1 / (y.im + y.re * r); \
    return C{(x.re * r + x.im) * d, (x.im * r - x.re) * d}; \
  } \
  WEFT_FN C reciprocal(C y) { \
    if (abs(y.im) <= abs(y.re)) { \
      T r = y.im / y.re, d = y.re + y.im * r; \
      return C{1 / d, -r / d}; \
    } \
    T r = y.re / y.im, d = y.re * r + y.im; \
    return C{r / d, -1 / d}; \
  } \
  WEFT_FN bool operator==(C x, C y) { return x.re == y.re && x.im == y.im; } \
  WEFT_FN bool operator!=(C x, C y) { return x.re != y.re || x.im != y.im; } \
  WEFT_FN bool nonzero(C z) { return z.re != 0 || z.im != 0; } \
  WEFT_FN bool isnan(C z) { return isnan(z.re) || isnan(z.im); } \
  WEFT_FN bool isinf(C z) { return isinf(z.re) || isinf(z.im); } \
  WEFT_FN bool isfinite(C z) { return isfinite(z.re) && isfinite(z.im); } \
  WEFT_FN T abs(C z) { return hypot(z.re, z.im); } \
  WEFT_FN C conj(C z) { return C{z.re, -z.im}; } \
  WEFT_C_FUNCTION(C, T, exp, suffix) \
  WEFT_C_FUNCTION(C, T, log, suffix) \
  WEFT_C_FUNCTION(C, T, sqrt, suffix) \
  WEFT_C_FUNCTION(C, T, sin, suffix) \
  WEFT_C_FUNCTION(C, T, cos, suffix) \
  WEFT_C_FUNCTION(C, T, tan, suffix) \
  WEFT_C_FUNCTION(C, T, asin, suffix) \
  WEFT_C_FUNCTION(C, T, acos, suffix) \
  WEFT_C_FUNCTION(C, T, atan, suffix) \
  WEFT_C_FUNCTION(C, T, sinh, suffix) \
  WEFT_C_FUNCTION(C, T, cosh, suffix) \
  WEFT_C_FUNCTION(C, T, tanh, suffix) \
  WEFT_C_FUNCTION(C, T, asinh, suffix) \
  WEFT_C_FUNCTION(C, T, acosh, suffix) \
  WEFT_C_FUNCTION(C, T, atanh, suffix) \
  WEFT_FN C scaled(C z, T k) { return C{z.re * k, z.im * k}; } \
  WEFT_FN C exp2(C z) { return exp(scaled(z, (T)0.693147180559945309417232121458176568)); } \
  WEFT_FN C log2(C z) { return scaled(log(z), (T)1.442695040888963407359924681001892137); } \
  WEFT_FN C log10(C z) { return scaled(log(z), (T)0.434294481903251827651128918916605082); } \
  WEFT_FN C log1p(C z) { \
    T l = hypot(z.re + 1, z.im); \
    return C{log(l), atan2(z.im, z.re + 1)}; \
  } \
  WEFT_FN C expm1(C z) { \
    T a = sin(z.im / 2); \
    return C{expm1(z.re) * cos(z.im) - 2 * a * a, exp(z.re) * sin(z.im)}; \
  } \
  WEFT_C_POWER(C, T, suffix) \
  WEFT_FN C pow(C x, C y) { \
    if (y.re == 0 && y.im == 0) return C{1, 0}; \
    if (x.re == 0 && x.im == 0) { \
      if (y.re > 0 && y.im == 0) return C{0, 0}; \
      return C{(T)__builtin_nan(""), (T)__builtin_nan("")}; \
    } \
    if (y.im == 0 && y.re > -100 && y.re < 100 && y.re == (T)(int)y.re) { \
      int n = (int)y.re, m = n < 0 ? -n : n; \
      C p = C{1, 0}; \
      for (C s = x;; s = s * s) { \
        if (m & 1) p = p * s; \
        if (!(m >>= 1)) return n < 0 ? C{1, 0} / p : p; \
      } \
    } \
    return general_pow(x, y); \
  }
// clang-format on
WEFT_COMPLEX(c64, float, f)
WEFT_COMPLEX(c128, double, )

#undef WEFT_C_FUNCTION
#undef WEFT_C_POWER
#undef WEFT_COMPLEX

}  // namespace weft
