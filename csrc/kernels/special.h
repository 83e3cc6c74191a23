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
WEFT_FN f64 erfcinv_middle(f64 p) {
  const f64 q = WEFT_PI * p * p;
  f64 x = p * 0.886226925452758 * (1 + q * (1.0 / 12 + q * (7.0 / 480)));
  for (int k = 0; k < 2; ++k) {
    const f64 gap = erf(x) - p, slope = 1.1283791670955126 * exp(-x * x);
    x -= gap / (slope + x * gap);
  }
  return x;
}
WEFT_FN f64 erfcinv(f64 p) {
  if (p >= 0.5 && p <= 1.5) return erfcinv_middle(1 - p);
  if (!(p >= 0 && p <= 2)) return WEFT_NAN;
  if (p == 0 || p == 2) return p == 0 ? WEFT_INF : -WEFT_INF;
  return p < 1 ? erfcinv_tail(p) : -erfcinv_tail(2 - p);
}
WEFT_THROUGH_F64(erfcinv)

// What vector loops must not call.
#ifdef WEFT_DEVICE
#define WEFT_IN_LINE WEFT_FN
#else
#define WEFT_IN_LINE inline __attribute__((always_inline))
#endif

// Even and odd powers apart, which halves the chain of operations that wait for each other.
template <int n, class T>
WEFT_IN_LINE T every_other(const T* c, T t) {
  if constexpr (n <= 2)
    return c[0];
  else
    return c[0] + t * every_other<n - 2>(c + 2, t);
}
template <int n, class T>
WEFT_IN_LINE T polynomial(const T (&c)[n], T t) {
  return every_other<n>(c, t * t) + t * every_other<n - 1>(c + 1, t * t);
}

// erf's inverse is x times a polynomial in w = -log(1 - x * x), and from some w on in its root. Both are computed
// everywhere, without a branch, so that loops become vectors.
WEFT_IN_LINE f64 erfinv(f64 x) {
  const f64 middle[] = {
      1.6536545626831027,      0.2401581824255883,      -0.00603367087142785,    -0.000740702534154477,
      0.00018673420802464837,  -1.3882523394405316e-05, -1.3654691850603575e-06, 4.234788173782339e-07,
      -2.9070382262927266e-08, -4.11266082002324e-09,   1.0512181539804126e-09,  -5.414287198084716e-11,
      -1.2976885526532075e-11, 2.6304834740560442e-12,  -8.118399443074353e-14,  -4.001237735091896e-14,
      6.596407712420834e-15,   -4.0282154327661744e-17, -1.3016928016796445e-16, 1.557432024623325e-17,
      1.150022252066253e-18,   -3.4996044354754177e-19, -1.113483769832702e-21,  3.240704459379902e-21};
  const f64 tail[] = {4.09222342366813,        1.0099782771612495,      0.0007127499726411186,  -0.0006078940272342853,
                      0.0002121767136128378,   -6.441975333820187e-05,  2.1980125780194924e-05, -1.019765134369075e-05,
                      5.807277134831091e-06,   -3.211168336147729e-06,  1.4901554573214389e-06, -5.151866792925347e-07,
                      9.331839803367859e-08,   2.5521497568051688e-08,  -3.016877014215261e-08, 1.3513974009980061e-08,
                      -3.0498739729553753e-09, -2.3463741592228316e-10, 4.5485706064134684e-10, -1.6826783854212568e-10,
                      3.621108790813761e-11,   -2.776333232620234e-12,  -4.522883995885014e-12, 2.6404862613232787e-12,
                      -2.6652219812516997e-13, -1.481516793458686e-13,  3.208718084652441e-14};
  const f64 w = -log((1 - x) * (1 + x));
  const f64 y = x * select(w < 6.25, polynomial(middle, w - 3.125), polynomial(tail, sqrt(w) - 4.25));
  return select(abs(x) == 1, x * WEFT_INF, y);
}
WEFT_IN_LINE f32 erfinv(f32 x) {
  const f32 middle[] = {1.50140936f,      0.246640279f,     -0.00417739288f, -0.00125272639f, 0.000218349386f,
                        -4.97241969e-06f, -3.46398527e-06f, 4.68131348e-07f, 2.33359672e-08f, -8.93192597e-09f};
  const f32 tail[] = {2.95832013f,     1.00371869f,    0.00704930254f,  -0.00530068545f,  0.0037798545f,
                      -0.00252297627f, 0.00131469595f, -0.00031906782f, -0.000176537188f, 0.000126498115f};
  const f32 w = -log((1 - x) * (1 + x));
  const f32 y = x * select(w < 5.0f, polynomial(middle, w - 2.5f), polynomial(tail, sqrt(w) - 3.125f));
  return select(abs(x) == 1, x * (f32)WEFT_INF, y);
}

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
#undef WEFT_IN_LINE
#undef WEFT_PI
#undef WEFT_INF
#undef WEFT_NAN

}  // namespace weft
