"""Special functions by NumPy: the meanings of the primitives in `special`, in the steps of ``csrc/kernels/special.h``.

All compute in float64 (narrower operands are converted there and back) and are right to a few units in the last place,
but next to a zero that is not at 0, where the error is some units of the largest term.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[..., Any]


def through_f64(f: Function) -> Function:
    """``f`` of arrays of float64, for operands of any floating dtype and of shapes that go together."""

    def run(*xs: Any) -> Any:
        dtype = np.asarray(xs[0]).dtype
        wide = np.broadcast_arrays(*[np.asarray(x, np.float64) for x in xs])
        with np.errstate(all="ignore"):
            return np.asarray(f(*wide)).astype(dtype)[()]

    return run


def _each(f: Callable[[float], float]) -> Function:
    """A function of ``math`` on every element."""
    table = np.frompyfunc(f, 1, 1)
    return lambda x: np.asarray(table(x), np.float64)


def _gamma(x: float) -> float:
    try:
        return math.gamma(x)
    except OverflowError:
        return math.copysign(math.inf, x) if x > 0 else math.nan
    except ValueError:
        return math.copysign(math.inf, x) if x == 0 else math.nan


_erf, _erfc = _each(math.erf), _each(math.erfc)
erf, erfc, tgamma = through_f64(_erf), through_f64(_erfc), through_f64(_each(_gamma))

# -- the logistic function, and products with logarithms --------------------------------------------------------------


@through_f64
def logistic(x: Any) -> Any:
    """``1 / (1 + exp(-x))``."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, np.where(x < 0, e, x)) / (1 + e)


@through_f64
def xlogy(x: Any, y: Any) -> Any:
    """``x * log(y)``, 0 where x is 0."""
    return np.where((x == 0) & (y == y), 0.0, x * np.log(y))


@through_f64
def xlog1py(x: Any, y: Any) -> Any:
    """``x * log1p(y)``, 0 where x is 0."""
    return np.where((x == 0) & (y == y), 0.0, x * np.log1p(y))


# -- inverse error functions -------------------------------------------------------------------------------------------


def _erfcinv_tail(p: Any) -> Any:
    t = np.sqrt(-2 * np.log(p / 2))
    x = (t - (2.30753 + t * 0.27061) / (1 + t * (0.99229 + t * 0.04481))) / math.sqrt(2)
    for _ in range(3):
        gap, slope = _erfc(x) - p, 2 / math.sqrt(math.pi) * np.exp(-x * x)
        x = x + gap / (slope - x * gap)
    return x


def _erfcinv_middle(p: Any) -> Any:
    q = math.pi * p * p
    x = p * (math.sqrt(math.pi) / 2) * (1 + q * (1 / 12 + q * (7 / 480)))
    for _ in range(2):
        gap, slope = _erf(x) - p, 2 / math.sqrt(math.pi) * np.exp(-x * x)
        x = x - gap / (slope + x * gap)
    return x


@through_f64
def erfcinv(p: Any) -> Any:
    """The inverse of erfc."""
    inner = (p >= 0.5) & (p <= 1.5)
    small = np.where(p < 1, p, 2 - p)
    tail = np.where(small == 0, np.inf, _erfcinv_tail(np.where(small > 0, small, 0.25)))
    out = np.where(inner, _erfcinv_middle(1 - np.where(inner, p, 1.0)), np.where(p < 1, tail, -tail))
    return np.where((p >= 0) & (p <= 2), out, np.nan)


#: The inverse of erf is x times a polynomial in ``w = -log(1 - x * x)``, and from some w on in its root: per dtype the
#: limit, the middles and the coefficients.
_ERFINV: dict[str, Any] = {
    "d": (
        6.25, 3.125, 4.25,
        (1.6536545626831027, 0.2401581824255883, -0.00603367087142785, -0.000740702534154477,
         0.00018673420802464837, -1.3882523394405316e-05, -1.3654691850603575e-06, 4.234788173782339e-07,
         -2.9070382262927266e-08, -4.11266082002324e-09, 1.0512181539804126e-09, -5.414287198084716e-11,
         -1.2976885526532075e-11, 2.6304834740560442e-12, -8.118399443074353e-14, -4.001237735091896e-14,
         6.596407712420834e-15, -4.0282154327661744e-17, -1.3016928016796445e-16, 1.557432024623325e-17,
         1.150022252066253e-18, -3.4996044354754177e-19, -1.113483769832702e-21, 3.240704459379902e-21),
        (4.09222342366813, 1.0099782771612495, 0.0007127499726411186, -0.0006078940272342853,
         0.0002121767136128378, -6.441975333820187e-05, 2.1980125780194924e-05, -1.019765134369075e-05,
         5.807277134831091e-06, -3.211168336147729e-06, 1.4901554573214389e-06, -5.151866792925347e-07,
         9.331839803367859e-08, 2.5521497568051688e-08, -3.016877014215261e-08, 1.3513974009980061e-08,
         -3.0498739729553753e-09, -2.3463741592228316e-10, 4.5485706064134684e-10, -1.6826783854212568e-10,
         3.621108790813761e-11, -2.776333232620234e-12, -4.522883995885014e-12, 2.6404862613232787e-12,
         -2.6652219812516997e-13, -1.481516793458686e-13, 3.208718084652441e-14),
    ),
    "f": (
        5.0, 2.5, 3.125,
        (1.50140936, 0.246640279, -0.00417739288, -0.00125272639, 0.000218349386, -4.97241969e-06,
         -3.46398527e-06, 4.68131348e-07, 2.33359672e-08, -8.93192597e-09),
        (2.95832013, 1.00371869, 0.00704930254, -0.00530068545, 0.0037798545, -0.00252297627, 0.00131469595,
         -0.00031906782, -0.000176537188, 0.000126498115),
    ),
}  # fmt: skip


def _polynomial(t: Any, coefficients: Any) -> Any:
    total = np.full_like(t, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total *= t
        total += c
    return total


def erfinv(x: Any) -> Any:
    """The inverse of erf."""
    x = np.asarray(x)
    if x.dtype.char not in _ERFINV:
        return erfinv(x.astype(np.float32)).astype(x.dtype)
    limit, middle, tail_middle, coefficients, tail_coefficients = _ERFINV[x.dtype.char]
    with np.errstate(all="ignore"):
        w = np.atleast_1d(-np.log((1 - x) * (1 + x)))
        factor = _polynomial(w - x.dtype.type(middle), coefficients)
        far = w >= limit
        factor[far] = _polynomial(np.sqrt(w[far]) - x.dtype.type(tail_middle), tail_coefficients)
        return np.where(np.abs(x) == 1, x * x.dtype.type(np.inf), x * factor.reshape(x.shape))


# -- the logarithm of the gamma function, and its derivatives ----------------------------------------------------------

#: B[2k] / (2k), of which Stirling's series are made.
_STIRLING = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160)
#: (2k)! / B[2k], for Euler and Maclaurin's formula.
_BERNOULLI = (
    12, -720, 30240, -1209600, 47900160, -1307674368000 / 691, 74724249600, -10670622842880000 / 3617,
    5109094217170944000 / 43867, -802857662698291200000 / 174611, 14101100039391805440000 / 77683,
    -1693824136731743669452800000 / 236364091,
)  # fmt: skip


@functools.cache
def _taylor_of_lgamma() -> tuple[float, ...]:
    """``(-1)**k * (zeta(k) - 1) / k`` from k = 2 on."""
    return tuple([float(_zeta_positive(np.float64(k), np.float64(2))) * (-1) ** k / k for k in range(2, 40)])


def _lgamma_near_two(z: Any) -> Any:
    """lgamma(2 + z) for z in [-0.5, 0.5]: its Taylor series, whose coefficients are ``(zeta(k) - 1) / k``."""
    total = np.zeros_like(z)
    for factor in reversed(_taylor_of_lgamma()):
        total = (factor + total) * z
    return z * (1 - np.euler_gamma) + total * z


def _lgamma_positive(x: Any) -> Any:
    big = np.where(x > 10, x, 10.0)
    y = 1 / (big * big)
    tail = np.zeros_like(big)
    for k in reversed(range(8)):
        tail = tail * y + _STIRLING[k] / (2 * k + 1)
    far = (big - 0.5) * (np.log(big) - 1) - 0.5 + 0.5 * math.log(2 * math.pi) + tail / big
    far = np.where(x == np.inf, np.inf, far)
    low = np.where(x > 10, 2.0, x)
    # up by one or two, with the logarithms of what is multiplied on the way
    start = np.where(low < 0.5, low + 2, np.where(low < 1.5, low + 1, low))
    extra = np.where(low < 1.5, -np.where(low < 0.5, np.log(low) + np.log1p(low), np.log1p(low - 1)), 0.0)
    down = np.ones_like(low)
    for _ in range(8):
        above = start > 2.5
        start = np.where(above, start - 1, start)
        down = np.where(above, down * start, down)
    near = _lgamma_near_two(np.where(low < 0.5, low, np.where(low < 1.5, low - 1, start - 2)))
    return np.where(x > 10, far, near + extra + np.log(down))


@through_f64
def lgamma(x: Any) -> Any:
    """The logarithm of the absolute value of the gamma function."""
    x = np.asarray(x)
    positive = _lgamma_positive(np.where(x > 0, x, 1.0))
    whole = np.floor(x)
    rest = np.where(x < 0, x - np.rint(x), 0.5)
    turned = np.log(math.pi / np.abs(np.sin(math.pi * rest) * x)) - _lgamma_positive(np.where(x < 0, -x, 1.0))
    negative = np.where(x == whole, np.inf, turned)
    return np.where(np.isnan(x), x, np.where(x > 0, positive, negative))


def _digamma_positive(x: Any) -> Any:
    low = np.zeros_like(x)
    for _ in range(10):
        small = x < 10
        low = np.where(small, low + 1 / x, low)
        x = np.where(small, x + 1, x)
    y = 1 / (x * x)
    tail = np.zeros_like(x)
    for b in reversed(_STIRLING):
        tail = (tail + b) * y
    return np.log(x) - 0.5 / x - tail - low


@through_f64
def digamma(x: Any) -> Any:
    """The derivative of `lgamma`."""
    rest = x - np.rint(x)
    inner = (rest != 0) & (x > -np.inf)
    turned = _digamma_positive(np.where(x < 0, 1 - x, 1.0)) - math.pi / np.tan(math.pi * np.where(inner, rest, 0.5))
    negative = np.where(x == 0, np.copysign(np.inf, -x), np.where(inner, turned, np.nan))
    return np.where(x > 0, np.where(x == np.inf, x, _digamma_positive(np.where(x > 0, x, 1.0))), negative)


def _zeta_positive(s: Any, q: Any) -> Any:
    total, a = np.asarray(q**-s), np.asarray(q + 0.0)
    last, far = total, s + 8
    going, done = np.asarray(a < far), np.zeros(np.shape(total), bool)
    while going.any():
        a = np.where(going, a + 1, a)
        last = np.where(going, a**-s, last)
        total = np.where(going, total + last, total)
        done = done | (going & ~(last > 1e-17 * total))
        going = going & ~done & (a < far)
    rest = total + last * a / (s - 1) - last / 2
    factor, step = np.ones_like(total), last / a
    for k, ratio in enumerate(_BERNOULLI):
        factor = factor * (s + 2 * k)
        rest = rest + factor * step / ratio
        factor = factor * (s + 2 * k + 1)
        step = step / (a * a)
    return np.where(done, total, rest)


@through_f64
def zeta(s: Any, q: Any) -> Any:
    """The sum of ``(q + k) ** -s`` over k = 0, 1, ...; also for negative q that are not whole, if s is whole."""
    fine = s > 1
    power = np.where(fine, s, 2.0)
    positive = _zeta_positive(power, np.where(q > 0, q, 1.0))
    turned = np.where((q < 0) & (q > -np.inf), q, -0.5)
    whole = turned == np.floor(turned)
    above, below = [np.where(whole, 0.5, r) for r in (turned - np.floor(turned), np.ceil(turned) - turned)]
    sign = np.where(power / 2 == np.floor(power / 2), 1.0, -1.0)
    negative = _zeta_positive(power, above) + sign * _zeta_positive(power, below)
    negative = negative - sign * _zeta_positive(power, 1 - turned)
    negative = np.where(q == np.floor(q), np.inf, np.where(s == np.floor(s), negative, np.nan))
    out = np.where(s == 1, np.inf, np.where(q > 0, positive, negative))
    return np.where((s >= 1) & (q == q), out, np.nan)


# -- modified Bessel functions, times exp(-|x|) ------------------------------------------------------------------------


def _bessel_ie(x: Any, order: int) -> Any:
    low = np.where(x < 20, x, 1.0)
    y = low * low / 4
    term = low / 2 if order else np.ones_like(low)
    total = term
    for k in range(1, 80):
        term = term * (y / (k * (k + order)))
        total = total + term
    high = np.where(x < 20, 20.0, x)
    series = part = np.ones_like(high)
    for k in range(1, 24):
        part = part * (((2 * k - 1) ** 2 - 4 * order) / (8 * k * high))
        series = series + part
    return np.where(x < 20, total * np.exp(-low), series / np.sqrt(2 * math.pi * high))


@through_f64
def i0e(x: Any) -> Any:
    """``exp(-|x|)`` times the modified Bessel function of order 0."""
    return _bessel_ie(np.abs(x), 0)


@through_f64
def i1e(x: Any) -> Any:
    """``exp(-|x|)`` times the modified Bessel function of order 1."""
    return np.copysign(_bessel_ie(np.abs(x), 1), x)
