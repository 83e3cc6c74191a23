"""Special functions made of elementary ones: logarithms, entropies, integrals in pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.scipy.arguments import as_array, floating, quiet
from weft.scipy.special.primitive import cosine_integral, expn, fresnel_c, fresnel_s, sine_integral, xlogy


@quiet
def logit(x: Any) -> Any:
    """The inverse of `expit`: ``log(x / (1 - x))``.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.logit(0.5))
    0.0
    """
    (x,) = floating("logit", x)
    return wnp.log(x) - wnp.log1p(-x)


@quiet
def log_expit(x: Any) -> Any:
    """``log(expit(x))``, exact for large negative x.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.log_expit(-800.0))
    -800.0
    """
    (x,) = floating("log_expit", x)
    return -wnp.logaddexp(0 * as_array(0.0, x.dtype), -x)


@quiet
def softplus(x: Any) -> Any:
    """``log(1 + exp(x))``, without overflow."""
    (x,) = floating("softplus", x)
    return wnp.logaddexp(x, 0)


@quiet
def entr(x: Any) -> Any:
    """``-x * log(x)``: 0 at 0, -inf below.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.entr(1.0))
    0.0
    """
    (x,) = floating("entr", x)
    low = x < 0
    safe = wnp.where(low, 1, x)
    return wnp.where(low, -np.inf, 0 - xlogy(safe, safe))


def _divergence(name: str, x: Any, y: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Operands, where both are positive, ``x * log(x / y)`` there, and what stands where it is not defined."""
    x, y = floating(name, x, y)
    inside = (x > 0) & (y > 0)
    a, b = wnp.where(inside, x, 1), wnp.where(inside, y, 1)
    outside = wnp.where(wnp.isnan(x) | wnp.isnan(y), np.nan, as_array(np.inf, x.dtype))
    return x, y, inside, a * wnp.log(a / b), outside


@quiet
def rel_entr(p: Any, q: Any) -> Any:
    """``p * log(p / q)``: 0 at p = 0, inf where either is negative."""
    x, y, inside, term, outside = _divergence("rel_entr", p, q)
    return wnp.where(inside, term, wnp.where((x == 0) & (y >= 0), 0, outside))


@quiet
def kl_div(p: Any, q: Any) -> Any:
    """``p * log(p / q) - p + q``."""
    x, y, inside, term, outside = _divergence("kl_div", p, q)
    return wnp.where(inside, term - x + y, wnp.where((x == 0) & (y >= 0), y, outside))


def _power(log: Any, power: Any) -> Any:
    """``(exp(log) ** power - 1) / power``, the logarithm for power 0."""
    zero = power == 0
    safe = wnp.where(zero, 1, power)
    return wnp.where(zero, log, wnp.expm1(safe * log) / safe)


@quiet
def boxcox(x: Any, lmbda: Any) -> Any:
    """``(x**lmbda - 1) / lmbda``, and the logarithm for 0.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.boxcox(1.0, 2.0))
    0.0
    """
    x, lmbda = floating("boxcox", x, lmbda)
    return _power(wnp.log(x), lmbda)


@quiet
def boxcox1p(x: Any, lmbda: Any) -> Any:
    """``boxcox(1 + x, lmbda)``, exact for small x."""
    x, lmbda = floating("boxcox1p", x, lmbda)
    return _power(wnp.log1p(x), lmbda)


def _inverse_power(x: Any, power: Any) -> Any:
    zero = power == 0
    safe = wnp.where(zero, 1, power)
    return wnp.where(zero, x, wnp.log1p(safe * x) / safe)


@quiet
def inv_boxcox(y: Any, lmbda: Any) -> Any:
    """The inverse of `boxcox`."""
    y, lmbda = floating("inv_boxcox", y, lmbda)
    return wnp.exp(_inverse_power(y, lmbda))


@quiet
def inv_boxcox1p(y: Any, lmbda: Any) -> Any:
    """The inverse of `boxcox1p`."""
    y, lmbda = floating("inv_boxcox1p", y, lmbda)
    return wnp.expm1(_inverse_power(y, lmbda))


@quiet
def cosm1(x: Any) -> Any:
    """``cos(x) - 1``, exact for small x."""
    (x,) = floating("cosm1", x)
    return -2 * wnp.square(wnp.sin(x / 2))


@quiet
def exprel(x: Any) -> Any:
    """``(exp(x) - 1) / x``, 1 at 0.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.exprel(0.0))
    1.0
    """
    (x,) = floating("exprel", x)
    small = wnp.abs(x) < 1e-5  # by its series, which can be differentiated at 0
    safe = wnp.where(small, 1, x)
    return wnp.where(small, 1 + x * (0.5 + x * (1 / 6 + x / 24)), wnp.expm1(safe) / safe)


@quiet
def exp10(x: Any) -> Any:
    """``10**x``."""
    (x,) = floating("exp10", x)
    return wnp.power(as_array(10.0, x.dtype), x)


exp2, expm1, log1p, cbrt = wnp.exp2, wnp.expm1, wnp.log1p, wnp.cbrt


@quiet
def huber(delta: Any, r: Any) -> Any:
    """``r**2 / 2`` up to delta, and linear beyond; inf for negative delta."""
    delta, r = floating("huber", delta, r)
    size = wnp.abs(r)
    found = wnp.where(size <= delta, 0.5 * r * r, delta * (size - 0.5 * delta))
    return wnp.where(delta < 0, np.inf, found)


@quiet
def pseudo_huber(delta: Any, r: Any) -> Any:
    """``delta**2 * (sqrt(1 + (r / delta)**2) - 1)``."""
    delta, r = floating("pseudo_huber", delta, r)
    safe = wnp.where(delta == 0, 1, delta)
    ratio = r / safe
    found = r * ratio / (wnp.sqrt(1 + ratio * ratio) + 1) * safe
    return wnp.where((delta == 0) | (r == 0), 0, wnp.where(delta < 0, np.inf, found))


@quiet
def exp1(x: Any) -> Any:
    """The exponential integral of order 1.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.exp1(0.0))
    inf
    """
    return expn(1, x)


@quiet
def fresnel(x: Any) -> tuple[Any, Any]:
    """The integrals of ``sin(pi * t**2 / 2)`` and ``cos(pi * t**2 / 2)`` from 0 to x.

    Examples
    --------
    >>> from weft.scipy import special
    >>> [float(v) for v in special.fresnel(float("inf"))]
    [0.5, 0.5]
    """
    return fresnel_s(x), fresnel_c(x)


@quiet
def sici(x: Any) -> tuple[Any, Any]:
    """The sine integral, of ``sin(t) / t`` from 0 to x, and the cosine integral (of x's size).

    Examples
    --------
    >>> from weft.scipy import special
    >>> [float(v) for v in special.sici(0.0)]
    [0.0, -inf]
    """
    (x,) = floating("sici", x)
    return sine_integral(x), wnp.where(x == -np.inf, np.nan, cosine_integral(x))


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


def _owens_inside(h: Any, a: Any) -> Any:
    """For ``0 <= a <= 1``: its integral by Gauss and Legendre's rule."""
    t = (0.5 * (wnp.asarray(_NODES, dtype=h.dtype) + 1)) * a[..., None]
    values = wnp.exp(-0.5 * (h * h)[..., None] * (1 + t * t)) / (1 + t * t)
    return wnp.sum(values * wnp.asarray(_WEIGHTS, dtype=h.dtype), -1) * (a / (4 * math.pi))


@quiet
def owens_t(h: Any, a: Any) -> Any:
    """Owen's function: the integral of ``exp(-h**2 * (1 + t**2) / 2) / (1 + t**2)`` from 0 to a, over 2 pi.

    Examples
    --------
    >>> from weft.scipy import special
    >>> round(float(special.owens_t(0.0, 1.0)), 12)
    0.125
    """
    from weft.scipy.special.distributions import ndtr

    h, a = floating("owens_t", h, a)
    h, size = wnp.broadcast_arrays(wnp.abs(h), wnp.abs(a))
    inside = size <= 1
    safe = wnp.where(inside, 1, size)
    below = _owens_inside(h, wnp.where(inside, size, 1))
    # T(h, a) of a > 1 by T(ah, 1/a); with upper tails, which are small together
    upper, far = ndtr(-h), ndtr(-safe * h)
    above = 0.5 * (upper + far) - upper * far - _owens_inside(safe * h, wnp.where(safe == np.inf, 0, 1 / safe))
    above = wnp.where(safe == np.inf, 0.5 * upper, above)
    found = wnp.where(inside, below, above)
    return wnp.where(a < 0, -found, found)


__all__ = [
    "boxcox",
    "boxcox1p",
    "cbrt",
    "cosm1",
    "entr",
    "exp1",
    "exp2",
    "exp10",
    "expm1",
    "exprel",
    "fresnel",
    "huber",
    "inv_boxcox",
    "inv_boxcox1p",
    "kl_div",
    "log1p",
    "log_expit",
    "logit",
    "owens_t",
    "pseudo_huber",
    "rel_entr",
    "sici",
    "softplus",
]  # fmt: skip
