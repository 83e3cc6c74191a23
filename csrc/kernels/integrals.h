// Integrals that have names (exponential, sine, Fresnel's, Dawson's, the dilogarithm) and hypergeometric functions, in
// float64; float32 is computed through it.
#pragma once

#include "special.h"

namespace weft {

#define WEFT_PI 3.141592653589793238462643383279502884
#define WEFT_EULER 0.577215664901532860606512090082402431
#define WEFT_INF __builtin_inf()
#define WEFT_NAN __builtin_nan("")

// exp(x^2) erfc(x): from 2 on by its continued fraction.
WEFT_FN f64 erfcx(f64 x) {
  if (x < 2) return x < -26.7 ? WEFT_INF : exp(x * x) * erfc(x);
  f64 value = x;
  for (int k = x > 20 ? 10 : 60; k >= 1; --k) value = x + 0.5 * k / value;
  return 1 / (1.7724538509055159 * value);
}

// Dawson's integral: a series near 0, else Rybicki's sum, whose error is exp(-(pi / 2h)^2).
WEFT_FN f64 dawsn(f64 x) {
  const f64 size = abs(x);
  if (size < 0.5) {
    f64 term = x, total = x;
    for (int k = 1; k < 20; ++k) {
      term *= -2 * x * x / (2 * k + 1);
      total += term;
    }
    return total;
  }
  if (!(size < 1e8)) return 0.5 / x;
  const f64 h = 0.25, even = 2 * rint(0.5 * size / h), rest = size - even * h;
  f64 total = 0;
  for (int n = 1; n < 28; n += 2) {
    const f64 up = rest - n * h, down = rest + n * h;
    total += exp(-up * up) / (even + n) + exp(-down * down) / (even - n);
  }
  return copysign(total / 1.7724538509055159, x);
}

// The exponential integral of order n >= 0: a series up to 1, else the continued fraction.
WEFT_FN f64 expn(f64 n, f64 x) {
  if (!(n >= 0 && x >= 0) || n != floor(n)) return WEFT_NAN;
  if (x == WEFT_INF || n == WEFT_INF) return 0;
  if (x == 0) return n < 2 ? WEFT_INF : 1 / (n - 1);
  if (n == 0) return exp(-x) / x;
  if (x > 1) {
    // Lentz's method
    f64 b = x + n, c = 1e300, d = 1 / b, value = d;
    for (int k = 1; k < 500; ++k) {
      const f64 a = -k * (n - 1 + k);
      b += 2;
      d = 1 / (a * d + b);
      c = b + a / c;
      value *= c * d;
      if (!(abs(c * d - 1) > 1e-16)) break;
    }
    return value * exp(-x);
  }
  f64 total = n == 1 ? -log(x) - WEFT_EULER : 1 / (n - 1), factor = 1;
  for (int k = 1; k < 60; ++k) {
    factor *= -x / k;
    f64 term = -factor / (k - n + 1);
    if (k == n - 1) term = factor * (digamma(n) - log(x));
    total += term;
    if (k > n && abs(term) < 1e-17 * abs(total)) break;
    if (k < n - 1 && k > 30) break;  // the term with the logarithm is too small to count
  }
  return total;
}
WEFT_FN f64 expi(f64 x) {
  if (x <= 0) return x == 0 ? -WEFT_INF : -expn(1, -x);
  if (!(x < WEFT_INF)) return x;
  f64 term = 1, total = 0;
  if (x < 40) {
    for (int k = 1; k < 200; ++k) {
      term *= x / k;
      total += term / k;
      if (term < 1e-17 * total) break;
    }
    return WEFT_EULER + log(x) + total;
  }
  for (int k = 1; k < 41; ++k) {
    total += term;
    term *= k / x;
    if (term < 1e-17) break;
  }
  return exp(x) / x * total;
}

// The dilogarithm of z <= 1/2, by the series in -log(1 - z) with Bernoulli's numbers.
WEFT_FN f64 dilogarithm(f64 z) {
  const f64 u = -log1p(-z), y = u * u;
  const f64 tail =
      1.0 / 36 -
      y * (1.0 / 3600 -
           y * (1.0 / 211680 -
                y * (1.0 / 10886400 -
                     y * (1.0 / 526901760 - y * (691.0 / 16999766784000.0 -
                                                 y * (1.0 / 1120863744000.0 - y * (3617.0 / 181400588328960000.0)))))));
  return u * (1 - u / 4 + y * tail);
}
// Spence's integral: the dilogarithm of 1 - x.
WEFT_FN f64 spence(f64 x) {
  if (!(x >= 0)) return WEFT_NAN;
  if (x == WEFT_INF) return -WEFT_INF;
  const f64 sixth = WEFT_PI * WEFT_PI / 6;
  if (x == 0) return sixth;
  if (x < 0.5) return sixth - log(x) * log1p(-x) - dilogarithm(x);
  if (x <= 1.5) return dilogarithm(1 - x);
  const f64 l = log(x);
  // by inversion; 1/x is below 1/2 or not
  const f64 y = 1 / x;
  const f64 inner = y < 0.5 ? sixth - log(y) * log1p(-y) - dilogarithm(y) : dilogarithm(1 - y);
  return -inner - 0.5 * l * l;
}

struct Pair {
  f64 one, two;
};

// Fresnel's sine and cosine integrals: series up to 1.5, else the complementary error function's continued fraction.
WEFT_FN Pair fresnel(f64 x) {
  const f64 size = abs(x);
  if (x != x) return {x, x};
  if (size > 1e15) return {copysign(0.5, x), copysign(0.5, x)};
  const f64 t = WEFT_PI / 2 * size * size;
  if (size < 1.5) {
    f64 s = 0, c = 0, term = size;
    for (int k = 0; k < 40; ++k) {
      const f64 part = (k % 4 < 2 ? 1 : -1) * term / (2 * k + 1);
      (k % 2 ? s : c) += part;
      term *= t / (k + 1);
    }
    return {copysign(s, x), copysign(c, x)};
  }
  // value = 1 - i pi x^2 + 4k - ..., from the back
  const f64 w = -WEFT_PI * size * size;
  f64 re = 1 + 4 * 80, im = w;
  for (int k = 80; k >= 1; --k) {
    const f64 a = (f64)(2 * k - 1) * (2 * k), norm = re * re + im * im;
    re = 4 * k - 3 - a * re / norm;
    im = w + a * im / norm;
  }
  // (1 + i)/2 (1 - exp(i t) (x - i x) / value)
  const f64 norm = re * re + im * im, p = size * (re - im) / norm, q = -size * (re + im) / norm;
  const f64 cs = cos(t), sn = sin(t);
  const f64 u = 1 - (cs * p - sn * q), v = -(cs * q + sn * p);
  return {copysign((u + v) / 2, x), copysign((u - v) / 2, x)};
}
WEFT_FN f64 fresnel_s(f64 x) { return fresnel(x).one; }
WEFT_FN f64 fresnel_c(f64 x) { return fresnel(x).two; }

// The sine and cosine integrals of |x|: series up to 3, else the exponential integral's continued fraction at ix.
WEFT_FN Pair trigonometric_integrals(f64 x) {
  if (x != x) return {x, x};
  if (x == WEFT_INF) return {WEFT_PI / 2, 0};
  if (x == 0) return {0, -WEFT_INF};
  if (x < 3) {
    f64 term = x, si = x, ci = 0;
    for (int k = 2; k < 40; k += 2) {
      term *= x / k;
      ci += (k % 4 ? -1 : 1) * term / k;
      term *= x / (k + 1);
      si += (k % 4 ? -1 : 1) * term / (k + 1);
    }
    return {si, WEFT_EULER + log(x) + ci};
  }
  f64 re = 2 * 120 + 1, im = x;
  for (int k = 120; k >= 1; --k) {
    const f64 a = (f64)k * k, norm = re * re + im * im;
    re = 2 * k - 1 - a * re / norm;
    im = x + a * im / norm;
  }
  const f64 norm = re * re + im * im, p = re / norm, q = -im / norm, cs = cos(x), sn = sin(x);
  return {WEFT_PI / 2 + (cs * q - sn * p), -(cs * p + sn * q)};
}
WEFT_FN f64 sine_integral(f64 x) { return copysign(trigonometric_integrals(abs(x)).one, x); }
WEFT_FN f64 cosine_integral(f64 x) { return trigonometric_integrals(abs(x)).two; }

// Kummer's function: its series, for negative x through exp(x); its expansion for large |x|.
WEFT_FN f64 hyp1f1_series(f64 a, f64 b, f64 x) {
  f64 term = 1, total = 1;
  for (int k = 0; k < 5000; ++k) {
    term *= (a + k) / (b + k) * x / (k + 1);
    total += term;
    if (!(abs(term) > 1e-17 * abs(total))) break;
  }
  return total;
}
WEFT_FN f64 hyp1f1(f64 a, f64 b, f64 x) {
  if (a != a || b != b || x != x) return WEFT_NAN;
  if (a == 0 || x == 0) return 1;
  if (b <= 0 && b == floor(b)) return a < 0 && a == floor(a) && a >= b ? hyp1f1_series(a, b, x) : WEFT_INF;
  if (a < 0 && a == floor(a) && a > -200) return hyp1f1_series(a, b, x);
  if (a == b) return exp(x);
  if (x > -600 && x < 0) return exp(x) * hyp1f1_series(b - a, b, -x);
  if (x >= 0 && x < 600) return hyp1f1_series(a, b, x);
  const f64 e = x < 0 ? b - a : a;
  if (x < 0 && e <= 0 && e == floor(e)) return exp(x) * hyp1f1_series(e, b, -x);
  // sum of (c)_k (d)_k / (k! y^k) up to its smallest term
  const f64 y = abs(x), c = x < 0 ? a : b - a, d = x < 0 ? a - b + 1 : 1 - a;
  f64 term = 1, total = 1;
  for (int k = 0; k < 300; ++k) {
    const f64 next = term * (c + k) * (d + k) / ((k + 1) * y);
    if (next == 0 || abs(next) < 1e-17 * abs(total)) break;
    if (!(abs(next) <= abs(term))) return x < 0 ? WEFT_NAN : hyp1f1_series(a, b, x);  // too large parameters
    total += next;
    term = next;
  }
  const f64 size = lgamma(b) - lgamma(e) + (x < 0 ? -a * log(y) : x + (a - b) * log(y));
  const bool turned = (b < 0 && floor(b) != 2 * floor(floor(b) / 2)) != (e < 0 && floor(e) != 2 * floor(floor(e) / 2));
  return (turned ? -1 : 1) * exp(size) * total;
}

// Gauss's function for x <= 1: its series, for negative x at x / (x - 1); nan where that takes too long.
WEFT_FN f64 hyp2f1_series(f64 a, f64 b, f64 c, f64 x) {
  f64 term = 1, total = 1;
  for (int k = 0; k < 20000; ++k) {
    term *= (a + k) / (c + k) * (b + k) * x / (k + 1);
    total += term;
    if (!(abs(term) > 1e-17 * abs(total))) return total;
  }
  return WEFT_NAN;
}
WEFT_FN bool is_pole(f64 a) { return a <= 0 && a == floor(a); }
WEFT_FN f64 hyp2f1(f64 a, f64 b, f64 c, f64 x) {
  if (a != a || b != b || c != c || x != x) return WEFT_NAN;
  if (a == 0 || b == 0 || x == 0) return 1;
  if (is_pole(c) && !(is_pole(a) && a >= c) && !(is_pole(b) && b >= c)) return WEFT_INF;
  if ((is_pole(a) && a > -20000) || (is_pole(b) && b > -20000)) return hyp2f1_series(a, b, c, x);
  if (!(x <= 1)) return WEFT_NAN;
  const f64 d = c - a - b;
  if (x == 1) {
    if (!(d > 0)) return WEFT_INF;
    if (is_pole(c - a) || is_pole(c - b)) return 0;
    return tgamma(c) / tgamma(c - a) * (tgamma(d) / tgamma(c - b));
  }
  if (x < 0) return exp(-a * log1p(-x)) * hyp2f1_series(a, c - b, c, x / (x - 1));
  if (d < 0) return exp(d * log1p(-x)) * hyp2f1_series(c - a, c - b, c, x);
  return hyp2f1_series(a, b, c, x);
}

WEFT_FN f32 erfcx(f32 x) { return (f32)erfcx((f64)x); }
WEFT_FN f32 dawsn(f32 x) { return (f32)dawsn((f64)x); }
WEFT_FN f32 expn(f32 n, f32 x) { return (f32)expn((f64)n, (f64)x); }
WEFT_FN f32 expi(f32 x) { return (f32)expi((f64)x); }
WEFT_FN f32 spence(f32 x) { return (f32)spence((f64)x); }
WEFT_FN f32 fresnel_s(f32 x) { return (f32)fresnel_s((f64)x); }
WEFT_FN f32 fresnel_c(f32 x) { return (f32)fresnel_c((f64)x); }
WEFT_FN f32 sine_integral(f32 x) { return (f32)sine_integral((f64)x); }
WEFT_FN f32 cosine_integral(f32 x) { return (f32)cosine_integral((f64)x); }
WEFT_FN f32 hyp2f1(f32 a, f32 b, f32 c, f32 x) { return (f32)hyp2f1((f64)a, (f64)b, (f64)c, (f64)x); }
WEFT_FN f32 hyp1f1(f32 a, f32 b, f32 x) { return (f32)hyp1f1((f64)a, (f64)b, (f64)x); }

#undef WEFT_PI
#undef WEFT_EULER
#undef WEFT_INF
#undef WEFT_NAN

}  // namespace weft
