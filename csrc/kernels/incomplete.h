// Incomplete gamma and beta functions, in float64; float32 is computed through it. Right to about 1e-13 of the value.
#pragma once

#include "special.h"

namespace weft {

#define WEFT_PI 3.141592653589793238462643383279502884
#define WEFT_INF __builtin_inf()
#define WEFT_NAN __builtin_nan("")

// log(y) - (y - 1) of y = `value` and u = y - 1 = `gap`, without cancellation where either is small.
WEFT_FN f64 log_less(f64 value, f64 u) {
  if (!(abs(u) < 0.5)) return log(value) - u;
  const f64 r = u / (2 + u), y = r * r;
  f64 tail = 0;
  for (int k = 31; k >= 3; k -= 2) tail = tail * y + 1.0 / k;
  return r * (2 * y * tail - u);
}

// log(gamma(a)) less Stirling's formula for it, for a >= 10.
WEFT_FN f64 stirling_rest(f64 a) {
  const f64 y = 1 / (a * a);
  return (1.0 / 12 -
          y * (1.0 / 360 - y * (1.0 / 1260 - y * (1.0 / 1680 - y * (1.0 / 1188 - y * (691.0 / 360360 - y / 156)))))) /
         a;
}

// log(gamma(a + b) / gamma(b)), for b >= 10 and a >= 0.
WEFT_FN f64 log_gamma_ratio(f64 a, f64 b) {
  return (a + b - 0.5) * log1p(a / b) + a * log(b) - a + stirling_rest(a + b) - stirling_rest(b);
}
WEFT_FN f64 log_beta(f64 a, f64 b) {
  const f64 small = a < b ? a : b, large = a < b ? b : a;
  if (small >= 10) {
    const f64 part = small / (small + large);
    return 0.5 * log(2 * WEFT_PI / large) + (small - 0.5) * log(part) + large * log1p(-part) + stirling_rest(small) +
           stirling_rest(large) - stirling_rest(small + large);
  }
  if (large >= 10) return lgamma(small) - log_gamma_ratio(small, large);
  return lgamma(small) + (lgamma(large) - lgamma(small + large));
}

// x^a exp(-x) / gamma(a), for finite positive arguments.
WEFT_FN f64 gamma_weight(f64 a, f64 x) {
  if (a < 10) return exp(a * log(x) - x) / tgamma(a);
  return sqrt(a / (2 * WEFT_PI)) * exp(a * log_less(x / a, (x - a) / a) - stirling_rest(a));
}

// Integrals over the density by Gauss and Legendre's rule of 48 points: for a >= 100 it is a smooth bell. The first is
// that of the density from `from` to `to`, the second of its product with log(t) - digamma(a).
struct GammaIntegrals {
  f64 plain, logarithmic;
};
WEFT_FN GammaIntegrals gamma_integrals(f64 a, f64 from, f64 to) {
  const f64 at[24] = {0.03238017096286937, 0.0970046992094627, 0.1612223560688917, 0.22476379039468905,
                      0.28736248735545555, 0.3487558862921607, 0.4086864819907167, 0.4669029047509584,
                      0.523160974722233,   0.5772247260839727, 0.6288673967765136, 0.6778723796326639,
                      0.7240341309238146,  0.7671590325157404, 0.8070662040294426, 0.8435882616243935,
                      0.8765720202742479,  0.9058791367155696, 0.9313866907065543, 0.9529877031604308,
                      0.9705915925462473,  0.9841245837228269, 0.9935301722663508, 0.9987710072524261};
  const f64 weight[24] = {0.06473769681268365,  0.06446616443594982,  0.06392423858464787,  0.06311419228625373,
                          0.06203942315989242,  0.0607044391658936,   0.059114839698395344, 0.057277292100402916,
                          0.05519950369998403,  0.05289018948519344,  0.0503590355538542,   0.04761665849249024,
                          0.04467456085669423,  0.04154508294346455,  0.0382413510658305,   0.034777222564770394,
                          0.031167227832798097, 0.027426509708357034, 0.023570760839324047, 0.019616160457356056,
                          0.015579315722943226, 0.011477234579234614, 0.007327553901276135, 0.0031533460523098414};
  const f64 middle = (from + to) / 2, half = (to - from) / 2, shift = log(a) - digamma(a);
  f64 plain = 0, logarithmic = 0;
  for (int k = 0; k < 48; ++k) {
    const f64 t = k < 24 ? middle - half * at[23 - k] : middle + half * at[k - 24];
    const f64 w = (k < 24 ? weight[23 - k] : weight[k - 24]) * gamma_weight(a, t) / t;
    plain += w;
    logarithmic += w * (log1p((t - a) / a) + shift);
  }
  return {half * plain, half * logarithmic};
}

// What the rest of an integral is below or above: the shorter side is integrated.
WEFT_FN GammaIntegrals gamma_below(f64 a, f64 x) {
  const f64 from = x - 10 * sqrt(a);
  return gamma_integrals(a, from > 0 ? from : 0, x);
}
WEFT_FN GammaIntegrals gamma_above(f64 a, f64 x) { return gamma_integrals(a, x, x + 14 * sqrt(x > a ? x : a)); }

// The series of the lower function over its weight; `slope` is the derivative of its logarithm by a.
WEFT_FN f64 gamma_series(f64 a, f64 x, f64* slope) {
  f64 term = 1 / a, total = term, falling = -1 / a, moved = term * falling;
  for (int k = 1; k < 2000; ++k) {
    term *= x / (a + k);
    falling -= 1 / (a + k);
    total += term;
    moved += term * falling;
    if (term < 1e-17 * total) break;
  }
  *slope = moved / total;
  return total;
}

// The continued fraction of the upper function over its weight, from the back; all denominators are positive.
WEFT_FN f64 gamma_fraction(f64 a, f64 x, f64* slope) {
  const int count = (int)(30 + 100 / x + a);
  f64 value = x + 2 * count + 1 - a, moved = -1;
  for (int k = count; k >= 1; --k) {
    const f64 over = k * (k - a) / value;
    moved = -1 + (k + over * moved) / value;
    value = x + 2 * k - 1 - a - over;
  }
  *slope = -moved / value;
  return 1 / value;
}

// Whether an argument lies on an edge, and the lower function there.
WEFT_FN bool gamma_edge(f64 a, f64 x, f64* lower) {
  *lower = !(a >= 0 && x >= 0) || (a == 0 && x == 0) || (a == WEFT_INF && x == WEFT_INF) ? WEFT_NAN
           : a == 0 || x == WEFT_INF                                                     ? 1
                                                                                         : 0;
  return !(a > 0 && x > 0 && a < WEFT_INF && x < WEFT_INF);
}

// The lower function, or the upper one.
WEFT_FN f64 gamma_part(f64 a, f64 x, bool upper) {
  f64 found, slope;
  if (gamma_edge(a, x, &found)) return upper ? 1 - found : found;
  bool above = x > a;
  if (a >= 100) {
    found = above ? gamma_above(a, x).plain : gamma_below(a, x).plain;
  } else {
    above = x >= a + 1;
    found = gamma_weight(a, x) * (above ? gamma_fraction(a, x, &slope) : gamma_series(a, x, &slope));
  }
  return above == upper ? found : 1 - found;
}
WEFT_FN f64 gammainc(f64 a, f64 x) { return gamma_part(a, x, false); }
WEFT_FN f64 gammaincc(f64 a, f64 x) { return gamma_part(a, x, true); }

// The derivative of the lower function by its first argument.
WEFT_FN f64 gammainc_da(f64 a, f64 x) {
  f64 found, slope;
  if (gamma_edge(a, x, &found)) return found != found || a == 0 ? WEFT_NAN : 0;
  if (a >= 100) return x > a ? -gamma_above(a, x).logarithmic : gamma_below(a, x).logarithmic;
  const f64 weight = gamma_weight(a, x), growth = log(x) - digamma(a);
  if (x >= a + 1) {
    found = weight * gamma_fraction(a, x, &slope);
    return -found * (growth + slope);
  }
  found = weight * gamma_series(a, x, &slope);
  return found * (growth + slope);
}

// x^a (1 - x)^b / beta(a, b), for finite positive arguments and 0 < x < 1.
WEFT_FN f64 beta_weight(f64 a, f64 b, f64 x) {
  if (a >= 10 && b >= 10) {
    const f64 gap = x * b - (1 - x) * a;
    return sqrt(a / (a + b) * b / (2 * WEFT_PI)) *
           exp(a * log_less(x * (a + b) / a, gap / a) + b * log_less((1 - x) * (a + b) / b, -gap / b) +
               stirling_rest(a + b) - stirling_rest(a) - stirling_rest(b));
  }
  return exp(a * log(x) + b * log1p(-x) - log_beta(a, b));
}

// The continued fraction of the incomplete beta function by Lentz's method; it converges fast below (a+1)/(a+b+2).
WEFT_FN f64 beta_fraction(f64 a, f64 b, f64 x) {
  const f64 tiny = 1e-300;
  f64 c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (abs(d) < tiny ? tiny : d);
  f64 value = d;
  for (int k = 1; k < 20000; ++k) {
    f64 over = k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k));
    d = 1 + over * d;
    c = 1 + over / c;
    d = 1 / (abs(d) < tiny ? tiny : d);
    c = abs(c) < tiny ? tiny : c;
    value *= d * c;
    over = -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1));
    d = 1 + over * d;
    c = 1 + over / c;
    d = 1 / (abs(d) < tiny ? tiny : d);
    c = abs(c) < tiny ? tiny : c;
    value *= d * c;
    if (!(abs(d * c - 1) > 1e-16)) break;
  }
  return value;
}

// The regularised incomplete beta function.
WEFT_FN f64 betainc(f64 a, f64 b, f64 x) {
  if (!(a >= 0 && b >= 0 && x >= 0 && x <= 1)) return WEFT_NAN;
  if ((a == 0 && b == 0) || (a == WEFT_INF && b == WEFT_INF)) return WEFT_NAN;
  if (a == 0 || b == WEFT_INF) return x > 0 ? 1 : 0;
  if (b == 0 || a == WEFT_INF) return x < 1 ? 0 : 1;
  if (x == 0 || x == 1) return x;
  const f64 weight = beta_weight(a, b, x);
  if (x < (a + 1) / (a + b + 2)) return weight * beta_fraction(a, b, x) / a;
  return 1 - weight * beta_fraction(b, a, 1 - x) / b;
}

WEFT_FN f32 gammainc(f32 a, f32 x) { return (f32)gammainc((f64)a, (f64)x); }
WEFT_FN f32 gammaincc(f32 a, f32 x) { return (f32)gammaincc((f64)a, (f64)x); }
WEFT_FN f32 gammainc_da(f32 a, f32 x) { return (f32)gammainc_da((f64)a, (f64)x); }
WEFT_FN f32 betainc(f32 a, f32 b, f32 x) { return (f32)betainc((f64)a, (f64)b, (f64)x); }

#undef WEFT_PI
#undef WEFT_INF
#undef WEFT_NAN

}  // namespace weft
