"""Distribution functions: the normal one and its logarithm and inverse, and those that are incomplete integrals."""

from __future__ import annotations

import math
from typing import Any

import weft.numpy as wnp
from weft.scipy.arguments import floating, quiet
from weft.scipy.special.primitive import betainc, erfc, erfcinv, erfcx, gammainc, gammaincc


@quiet
def ndtr(x: Any) -> Any:
    """The distribution function of the standard normal distribution.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.ndtr(0.0))
    0.5
    """
    (x,) = floating("ndtr", x)
    return 0.5 * erfc(x * -math.sqrt(0.5))


@quiet
def ndtri(p: Any) -> Any:
    """The inverse of `ndtr`.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.ndtri(0.5))
    0.0
    """
    (p,) = floating("ndtri", p)
    return 0 - math.sqrt(2) * erfcinv(2 * p)


@quiet
def log_ndtr(x: Any, series_order: int = 3) -> Any:
    """The logarithm of `ndtr`, exact for large negative x.

    Parameters
    ----------
    x
        Real numbers.
    series_order
        Has no effect: no series is cut off.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.log_ndtr(float("-inf")))
    -inf
    """
    (x,) = floating("log_ndtr", x)
    low = x < 0
    below, above = wnp.where(low, x, -1), wnp.where(low, 1, x)
    tail = wnp.log(0.5 * erfcx(below * -math.sqrt(0.5))) - 0.5 * below * below
    return wnp.where(low, tail, wnp.log1p(-0.5 * erfc(above * math.sqrt(0.5))))


@quiet
def gdtr(a: Any, b: Any, x: Any) -> Any:
    """The gamma distribution function with rate ``a`` and shape ``b``."""
    return gammainc(b, wnp.multiply(a, x))


@quiet
def gdtrc(a: Any, b: Any, x: Any) -> Any:
    """``1 - gdtr(a, b, x)``, exact for large x."""
    return gammaincc(b, wnp.multiply(a, x))


@quiet
def chdtr(v: Any, x: Any) -> Any:
    """The chi-square distribution function of ``v`` degrees of freedom."""
    v, x = floating("chdtr", v, x)
    return gammainc(v / 2, x / 2)


@quiet
def chdtrc(v: Any, x: Any) -> Any:
    """``1 - chdtr(v, x)``, exact for large x."""
    v, x = floating("chdtrc", v, x)
    return gammaincc(v / 2, x / 2)


@quiet
def pdtr(k: Any, m: Any) -> Any:
    """The Poisson distribution function of mean ``m``."""
    k, m = floating("pdtr", k, m)
    return gammaincc(wnp.floor(k) + 1, m)


@quiet
def pdtrc(k: Any, m: Any) -> Any:
    """``1 - pdtr(k, m)``, exact for large k."""
    k, m = floating("pdtrc", k, m)
    return gammainc(wnp.floor(k) + 1, m)


@quiet
def bdtr(k: Any, n: Any, p: Any) -> Any:
    """The binomial distribution function of ``n`` trials with probability ``p``."""
    k, n, p = floating("bdtr", k, n, p)
    k = wnp.floor(k)
    return betainc(n - k, k + 1, 1 - p)


@quiet
def fdtr(dfn: Any, dfd: Any, x: Any) -> Any:
    """Fisher's F distribution function."""
    dfn, dfd, x = floating("fdtr", dfn, dfd, x)
    return betainc(dfn / 2, dfd / 2, dfn * x / (dfd + dfn * x))


@quiet
def stdtr(df: Any, t: Any) -> Any:
    """Student's t distribution function."""
    df, t = floating("stdtr", df, t)
    tail = 0.5 * betainc(df / 2, 0.5, df / (df + t * t))
    return wnp.where(t > 0, 1 - tail, tail)


__all__ = [
    "bdtr", "chdtr", "chdtrc", "fdtr", "gdtr", "gdtrc", "log_ndtr", "ndtr", "ndtri", "pdtr", "pdtrc", "stdtr",
]  # fmt: skip
