// Complex functions from real ones, for devices, which have no library of them: values, branch cuts and the cases of
// infinities and NaN as C99's Annex G has them. Inverse functions follow W. Kahan, "Branch cuts for complex elementary
// functions". Included by complex.h.
#pragma once

#include "scalar.h"

namespace weft {

WEFT_FN f64 multiply_add(f64 x, f64 y, f64 z) { return ::fma(x, y, z); }
WEFT_FN f32 multiply_add(f32 x, f32 y, f32 z) { return ::fmaf(x, y, z); }

// What the formulas must know of a real type: where exp, and where a square, leaves the range; past what argument tanh
// is 1; the largest number, and the least normal one.
template <class T>
struct Range;
template <>
struct Range<f64> {
  static constexpr f64 exp_end = 708, square_end = 1e150, tanh_one = 22, last = 1.7976931348623157e308,
                       least = 2.2250738585072014e-308;
};
template <>
struct Range<f32> {
  static constexpr f32 exp_end = 87, square_end = 1e18f, tanh_one = 10, last = 3.4028235e38f, least = 1.1754944e-38f;
};

template <class C, class T>
struct ComplexFunctions {
  static constexpr T half_pi = (T)1.570796326794896619231321691639751442;

  WEFT_FN static T infinity() { return (T)__builtin_inf(); }
  WEFT_FN static T nothing() { return (T)__builtin_nan(""); }
  WEFT_FN static C turned(C z) { return C{-z.im, z.re}; }  // i z
  WEFT_FN static C back(C z) { return C{z.im, -z.re}; }    // -i z

  WEFT_FN static C exp(C z) {
    const T x = z.re, y = z.im;
    if (y == 0) return C{weft::exp(x), y};
    if (!isfinite(y)) {
      if (x == -infinity()) return C{0, copysign((T)0, y)};
      return C{x == infinity() ? x : nothing(), nothing()};
    }
    if (x <= Range<T>::exp_end || !isfinite(x)) return scale(weft::exp(x), y);
    const T e = weft::exp(x / 2);  // the whole may fit where exp(x) does not
    const C w = scale(e, y);
    return C{w.re * e, w.im * e};
  }
  WEFT_FN static C scale(T r, T angle) { return C{r * weft::cos(angle), r * weft::sin(angle)}; }

  WEFT_FN static C log(C z) {
    T a = abs(z.re), b = abs(z.im), r;
    if (a < b) {
      const T other = a;
      a = b;
      b = other;
    }
    const T near = a * a + b * b;
    if (near > (T)0.5 && near < 2) {  // log1p(a^2 + b^2 - 1) / 2 to the last digit, though all may cancel
      const T aa = a * a, bb = b * b, less = multiply_add(a, a, -aa) + multiply_add(b, b, -bb);
      const T head = aa - 1, sum = head + bb, tail = sum - head;
      r = weft::log1p(sum + ((head - (sum - tail)) + (bb - tail) + less)) / 2;
    } else if (a > Range<T>::last / 4 && isfinite(a)) {
      r = weft::log(hypot(a / 4, b / 4)) + (T)1.386294361119890618834464242916353136;
    } else if (a < Range<T>::least && a > 0) {
      r = weft::log(hypot(a * (T)(1ll << 54), b * (T)(1ll << 54))) - (T)37.42994775023704671977656450300344;
    } else {
      r = weft::log(hypot(a, b));
    }
    return C{r, atan2(z.im, z.re)};
  }

  WEFT_FN static C sqrt(C z) {
    const T x = z.re, y = z.im;
    if (x == 0 && y == 0) return C{0, y};
    if (isinf(y)) return C{infinity(), y};
    if (isnan(x)) return C{x, nothing()};
    if (isinf(x)) {
      const T other = isnan(y) ? y : (T)0;
      return x > 0 ? C{x, isnan(y) ? y : copysign(other, y)} : C{other, copysign(infinity(), y)};
    }
    T k = 1, a = abs(x), b = y;
    if (a > Range<T>::last / 8 || abs(y) > Range<T>::last / 8) {
      k = 2, a /= 4, b /= 4;
    } else if (a < Range<T>::least * 4 && abs(y) < Range<T>::least * 4) {
      k = (T)(1.0 / (1 << 27)), a *= (T)(1ll << 54), b *= (T)(1ll << 54);
    }
    const T t = weft::sqrt((a + hypot(a, b)) / 2), u = abs(b) / (2 * t);
    return x >= 0 ? C{k * t, copysign(k * u, y)} : C{k * u, copysign(k * t, y)};
  }

  // -- hyperbolic and circular functions: sin z = -i sinh iz, and so on

  WEFT_FN static C sinh(C z) {
    const T x = z.re, y = z.im;
    if (y == 0) return C{weft::sinh(x), y};
    if (x == 0) return C{isfinite(y) ? x * weft::cos(y) : x, weft::sin(y)};
    if (!isfinite(y)) return C{isinf(x) ? x : nothing(), nothing()};
    if (abs(x) <= Range<T>::exp_end || !isfinite(x))
      return C{weft::sinh(x) * weft::cos(y), weft::cosh(x) * weft::sin(y)};
    const T e = weft::exp(abs(x) / 2), h = e / 2;
    return C{copysign(h, x) * weft::cos(y) * e, h * weft::sin(y) * e};
  }
  WEFT_FN static C cosh(C z) {
    const T x = z.re, y = z.im;
    if (y == 0) return C{weft::cosh(x), isnan(x) ? y : copysign((T)1, x) * y};
    if (x == 0) return C{weft::cos(y), isfinite(y) ? x * weft::sin(y) : x};
    if (!isfinite(y)) return C{isinf(x) ? infinity() : nothing(), nothing()};
    if (abs(x) <= Range<T>::exp_end || !isfinite(x))
      return C{weft::cosh(x) * weft::cos(y), weft::sinh(x) * weft::sin(y)};
    const T e = weft::exp(abs(x) / 2), h = e / 2;
    return C{h * weft::cos(y) * e, copysign(h, x) * weft::sin(y) * e};
  }
  WEFT_FN static C tanh(C z) {
    const T x = z.re, y = z.im;
    if (y == 0) return C{weft::tanh(x), y};
    if (x == 0) return C{x, weft::tan(y)};
    if (isinf(x)) return C{copysign((T)1, x), copysign((T)0, isfinite(y) ? weft::sin(2 * y) : y)};
    if (!isfinite(y)) return C{nothing(), nothing()};
    if (abs(x) > Range<T>::tanh_one) {
      const T e = weft::exp(-abs(x));
      return C{copysign((T)1, x), 4 * weft::sin(y) * weft::cos(y) * e * e};
    }
    const T t = weft::tan(y), s = weft::sinh(x), beta = 1 + t * t, rho = weft::sqrt(1 + s * s), d = 1 + beta * s * s;
    return C{beta * rho * s / d, t / d};
  }
  WEFT_FN static C sin(C z) { return back(sinh(turned(z))); }
  WEFT_FN static C cos(C z) { return cosh(turned(z)); }
  WEFT_FN static C tan(C z) { return back(tanh(turned(z))); }

  // -- their inverses

  WEFT_FN static C acos(C z) {
    const T x = z.re, y = z.im;
    if (!isfinite(x) || !isfinite(y)) {
      if (isinf(x) || isinf(y)) return C{atan2(abs(y), x), -copysign(infinity(), y)};
      return C{x == 0 ? half_pi : nothing(), nothing()};
    }
    const C a = sqrt(C{1 - x, -y}), b = sqrt(C{1 + x, y});
    return C{2 * atan2(a.re, b.re), weft::asinh(b.re * a.im - b.im * a.re)};
  }
  WEFT_FN static C asin(C z) {
    const T x = z.re, y = z.im;
    if (!isfinite(x) || !isfinite(y)) {
      if (isinf(x) || isinf(y)) return C{atan2(x, abs(y)), copysign(infinity(), y)};
      return C{x == 0 ? x : nothing(), nothing()};
    }
    const C a = sqrt(C{1 - x, -y}), b = sqrt(C{1 + x, y});
    return C{atan2(x, a.re * b.re - a.im * b.im), weft::asinh(a.re * b.im - a.im * b.re)};
  }
  WEFT_FN static C acosh(C z) {
    const T x = z.re, y = z.im;
    if (!isfinite(x) || !isfinite(y)) {
      if (isinf(x) || isinf(y)) return C{infinity(), atan2(y, x)};
      return C{nothing(), x == 0 ? half_pi : nothing()};
    }
    const C a = sqrt(C{x - 1, y}), b = sqrt(C{x + 1, y});
    return C{weft::asinh(a.re * b.re + a.im * b.im), 2 * atan2(a.im, b.re)};
  }
  WEFT_FN static C atanh(C z) {
    const T x = z.re, y = z.im, a = abs(x), b = abs(y);
    if (isnan(x) || isnan(y)) {
      const T r = isinf(x) || isinf(y) || x == 0 ? copysign((T)0, x) : nothing();
      return C{r, isinf(y) ? copysign(half_pi, y) : nothing()};
    }
    if (a > Range<T>::square_end || b > Range<T>::square_end) {
      const T h = isinf(a) || isinf(b) ? infinity() : hypot(x / 2, y / 2);
      return C{isinf(h) ? copysign((T)0, x) : x / h / h / 4, copysign(half_pi, y)};
    }
    const T less = 1 - a;
    return C{copysign(weft::log1p(4 * a / (less * less + y * y)) / 4, x), atan2(2 * y, less * (1 + a) - y * y) / 2};
  }
  WEFT_FN static C asinh(C z) { return back(asin(turned(z))); }
  WEFT_FN static C atan(C z) { return back(atanh(turned(z))); }

  WEFT_FN static C pow(C x, C y) {
    const C l = log(x);
    return exp(C{y.re * l.re - y.im * l.im, y.re * l.im + y.im * l.re});
  }
};

}  // namespace weft
