// Special functions of float64; float32 is computed through float64 where C's library has no function of its own.
// The NumPy meanings in weft/primitives/special.py and special_numpy.py go the same ways.
#pragma once

#include "scalar.h"

namespace weft {

// clang-format off
#ifdef WEFT_DEVICE
#define WEFT_SPECIAL(attribute, name) \
  WEFT_FN f64 name(f64 x) { return ::name(x); } \
  WEFT_FN f32 name(f32 x) { return ::name##f(x); }
#else
#define WEFT_SPECIAL(attribute, name) \
  extern "C" attribute f64 name(f64) noexcept; \
  extern "C" attribute f32 name##f(f32) noexcept; \
  inline f32 name(f32 x) { return name##f(x); }
#endif
#define WEFT_THROUGH_F64(name) \
  WEFT_FN f32 name(f32 x) { return (f32)name((f64)x); }
// clang-format on
WEFT_SPECIAL(WEFT_SIMD2, erf)
WEFT_SPECIAL(WEFT_SIMD2, erfc)
WEFT_SPECIAL(WEFT_PURE, lgamma)
WEFT_SPECIAL(WEFT_PURE, tgamma)
#undef WEFT_SPECIAL

#define WEFT_PI 3.141592653589793238462643383279502884
#define WEFT_INF __builtin_inf()
#define WEFT_NAN __builtin_nan("")

// -- the logistic function, and products with logarithms --------------------------------------------------------------

template <class T>
WEFT_FN T logistic(T x) {
  const T e = exp(-abs(x));
  return select(x >= 0, (T)1, x < 0 ? e : x) / (1 + e);
}
template <class T>
WEFT_FN T xlogy(T x, T y) {
  return select(x == 0 && y == y, (T)0, x * log(y));
}
template <class T>
WEFT_FN T xlog1py(T x, T y) {
  return select(x == 0 && y == y, (T)0, x * log1p(y));
}

// -- inverse error functions ------------------------------------------------------------------------------------------

// Steps of third order towards erf(x) = p, resp. erfc(x) = p, from a start that is right to a few thousandths.
WEFT_FN f64 erfcinv_tail(f64 p) {
  const f64 t = sqrt(-2 * log(p / 2));
  f64 x = (t - (2.30753 + t * 0.27061) / (1 + t * (0.99229 + t * 0.04481))) / 1.4142135623730951;
  for (int k = 0; k < 3; ++k) {
    const f64 gap = erfc(x) - p, slope = 1.1283791670955126 * exp(-x * x);
    x += gap / (slope - x * gap);
  }
  return x;
}
WEFT_FN f64 erfinv_middle(f64 p) {
  const f64 q = WEFT_PI * p * p;
  f64 x = p * 0.886226925452758 * (1 + q * (1.0 / 12 + q * (7.0 / 480)));
  for (int k = 0; k < 2; ++k) {
    const f64 gap = erf(x) - p, slope = 1.1283791670955126 * exp(-x * x);
    x -= gap / (slope + x * gap);
  }
  return x;
}
WEFT_FN f64 erfinv(f64 p) {
  const f64 size = abs(p);
  if (size <= 0.5) return erfinv_middle(p);
  if (!(size <= 1)) return WEFT_NAN;
  return copysign(size == 1 ? WEFT_INF : erfcinv_tail(1 - size), p);
}
WEFT_FN f64 erfcinv(f64 p) {
  if (p >= 0.5 && p <= 1.5) return erfinv_middle(1 - p);
  if (!(p >= 0 && p <= 2)) return WEFT_NAN;
  if (p == 0 || p == 2) return p == 0 ? WEFT_INF : -WEFT_INF;
  return p < 1 ? erfcinv_tail(p) : -erfcinv_tail(2 - p);
}
WEFT_THROUGH_F64(erfinv)
WEFT_THROUGH_F64(erfcinv)

// -- derivatives of the logarithm of the gamma function ---------------------------------------------------------------

// Up by the recurrence to where Stirling's series is exact.
WEFT_FN f64 digamma_positive(f64 x) {
  f64 low = 0;
  for (; x < 10; x += 1) low += 1 / x;
  const f64 y = 1 / (x * x);
  const f64 tail =
      y * (1.0 / 12 -
           y * (1.0 / 120 -
                y * (1.0 / 252 -
                     y * (1.0 / 240 - y * (1.0 / 132 - y * (691.0 / 32760 - y * (1.0 / 12 - y * (3617.0 / 8160))))))));
  return log(x) - 0.5 / x - tail - low;
}
WEFT_FN f64 digamma(f64 x) {
  if (x > 0) return x == WEFT_INF ? x : digamma_positive(x);
  if (x == 0) return copysign(WEFT_INF, -x);
  const f64 rest = x - rint(x);
  if (!(rest != 0)) return WEFT_NAN;
  return digamma_positive(1 - x) - WEFT_PI / tan(WEFT_PI * rest);
}
WEFT_THROUGH_F64(digamma)

// The sum of (q + k)^-s, for s > 1: terms until they vanish, or until Euler and Maclaurin's formula is exact.
WEFT_FN f64 zeta_positive(f64 s, f64 q) {
  f64 total = pow(q, -s), a = q, last = total;
  while (a < s + 8) {
    a += 1;
    last = pow(a, -s);
    total += last;
    if (!(last > 1e-17 * total)) return total;
  }
  const f64 ratio[12] = {12,
                         -720,
                         30240,
                         -1209600,
                         47900160,
                         -1307674368000.0 / 691,
                         74724249600.0,
                         -10670622842880000.0 / 3617,
                         5109094217170944000.0 / 43867,
                         -802857662698291200000.0 / 174611,
                         14101100039391805440000.0 / 77683,
                         -1693824136731743669452800000.0 / 236364091};
  total += last * a / (s - 1) - last / 2;
  f64 factor = 1, step = last / a;
  for (int k = 0; k < 12; ++k) {
    factor *= s + 2 * k;
    total += factor * step / ratio[k];
    factor *= s + 2 * k + 1;
    step /= a * a;
  }
  return total;
}
WEFT_FN f64 zeta(f64 s, f64 q) {
  if (!(s >= 1) || q != q) return WEFT_NAN;
  if (s == 1) return WEFT_INF;
  if (q > 0) return zeta_positive(s, q);
  if (q == floor(q)) return WEFT_INF;
  if (s != floor(s)) return WEFT_NAN;
  // the terms below zero are, but for their sign, those of a difference of two such sums
  const f64 sign = s / 2 == floor(s / 2) ? 1.0 : -1.0;
  return zeta_positive(s, q - floor(q)) + sign * zeta_positive(s, ceil(q) - q) - sign * zeta_positive(s, 1 - q);
}
WEFT_FN f32 zeta(f32 s, f32 q) { return (f32)zeta((f64)s, (f64)q); }

// -- modified Bessel functions, times exp(-|x|) -----------------------------------------------------------------------

// A power series of positive terms; from 20 on Hankel's series. `order` is 0 or 1.
WEFT_FN f64 bessel_ie(f64 x, int order) {
  if (x < 20) {
    const f64 y = x * x / 4;
    f64 term = order ? x / 2 : 1, total = term;
    for (int k = 1; k < 80; ++k) {
      term *= y / ((f64)k * (k + order));
      total += term;
      if (term < 1e-17 * total) break;
    }
    return total * exp(-x);
  }
  const f64 mu = 4 * order;
  f64 term = 1, total = 1;
  for (int k = 1; k < 24; ++k) {
    term *= ((2 * k - 1) * (2 * k - 1) - mu) / (8 * k * x);
    total += term;
  }
  return total / sqrt(2 * WEFT_PI * x);
}
WEFT_FN f64 i0e(f64 x) { return bessel_ie(abs(x), 0); }
WEFT_FN f64 i1e(f64 x) { return copysign((f64)1, x) * bessel_ie(abs(x), 1); }
WEFT_THROUGH_F64(i0e)
WEFT_THROUGH_F64(i1e)

#undef WEFT_THROUGH_F64
#undef WEFT_PI
#undef WEFT_INF
#undef WEFT_NAN

}  // namespace weft
