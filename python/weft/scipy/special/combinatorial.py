"""Functions around gamma: beta, binomial coefficients, factorials, polygamma, Bernoulli's numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.lax import stop_gradient
from weft.numpy.common import Staged, check, static_int
from weft.scipy.arguments import as_array, floating, quiet, unsupported
from weft.scipy.special.primitive import digamma, gamma, gammaln, hurwitz


@quiet
def gammasgn(x: Any) -> Any:
    """The sign of the gamma function: nan at its poles, that of a zero at 0.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.gammasgn(-0.5))
    -1.0
    """
    (x,) = floating("gammasgn", x)
    below = wnp.floor(x)
    negative = wnp.where(below == x, np.nan, wnp.where(below % 2 != 0, -1, as_array(1.0, x.dtype)))
    found = wnp.where(x > 0, 1, wnp.where(x == 0, wnp.copysign(as_array(1.0, x.dtype), x), negative))
    return wnp.where(wnp.isnan(x), x, found)


@quiet
def loggamma(x: Any) -> Any:
    """The logarithm of the gamma function; nan for negative x.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.loggamma(1.0))
    0.0
    """
    (x,) = floating("loggamma", x)
    return wnp.where(x >= 0, gammaln(x), np.nan)


@quiet
def betaln(a: Any, b: Any) -> Any:
    """The logarithm of the beta function's size."""
    a, b = floating("betaln", a, b)
    return gammaln(a) + gammaln(b) - gammaln(a + b)


@quiet
def beta(a: Any, b: Any) -> Any:
    """The beta function.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.beta(1.0, 1.0))
    1.0
    """
    a, b = floating("beta", a, b)
    return gammasgn(a) * gammasgn(b) * gammasgn(a + b) * wnp.exp(betaln(a, b))


def zeta(x: Any, q: Any = None) -> Any:
    """The Hurwitz zeta function: the sum of ``(q + k) ** -x``. It has no derivative with respect to ``x``.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.zeta(1.0, 2.0))
    inf
    """
    if q is None:
        raise unsupported("scipy.special.zeta without q, Riemann's function", "zeta(x, 1.0) for x above 1")
    return hurwitz(x, q)


@quiet
def polygamma(n: Any, x: Any) -> Any:
    """The n-th derivative of `digamma`. It has no derivative with respect to ``n``.

    Examples
    --------
    >>> from weft.scipy import special
    >>> round(float(special.polygamma(1, 1.0)), 12)  # pi**2 / 6
    1.644934066848
    """
    n, x = floating("polygamma", n, x)
    n, x = stop_gradient(as_array(n, np.float64)), as_array(x, np.float64)
    size = gamma(n + 1) * hurwitz(wnp.where(n == 0, 2, n + 1), x)
    return wnp.where(n == 0, digamma(x), wnp.where((n + 1) % 2 == 0, size, -size))


@quiet
def multigammaln(a: Any, d: Any) -> Any:
    """The logarithm of the multivariate gamma function of dimension ``d``, a number.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.multigammaln(1.0, 1))
    0.0
    """
    (a,) = floating("multigammaln", a)
    n = static_int(d, "d")
    fine, message = wnp.all(a > 0.5 * (n - 1)), f"condition a > 0.5 * (d-1) ({0.5 * (n - 1)}) not met"
    if isinstance(fine, Staged):
        check(fine, ValueError, message)
    elif not bool(fine):
        raise ValueError(message)
    found = n * (n - 1) * 0.25 * math.log(math.pi)
    for j in range(n):
        found = found + gammaln(a - j / 2)
    return found


def _whole(found: Any, *xs: Any) -> Any:
    """``found`` rounded where all operands are whole, without a change of its derivative."""
    whole = found < 1e15
    for x in xs:
        whole = whole & (x == wnp.floor(x))
    return found + stop_gradient(wnp.where(whole, wnp.rint(found) - found, 0))


@quiet
def factorial(n: Any, exact: bool = False, extend: str = "zero") -> Any:
    """``gamma(n + 1)``, 0 for negative ``n``.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.factorial(4))
    24.0
    """
    if exact or extend != "zero":
        raise unsupported("scipy.special.factorial with exact=True or extend=", "factorial(n), or math.factorial")
    (n,) = floating("factorial", n)
    return wnp.where(n < 0, 0, gamma(wnp.where(n < 0, 0, n) + 1))


@quiet
def factorial2(n: Any, exact: bool = False) -> Any:
    """The product of ``n, n - 2, n - 4, ...`` down to 1 or 2; 1 for 0 and -1, 0 for other negative numbers.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.factorial2(7))
    105.0
    """
    if exact:
        raise unsupported("scipy.special.factorial2 with exact=True", "factorial2(n)")
    (n,) = floating("factorial2", n)
    odd = n % 2 == 1
    found = wnp.exp2(n / 2) * gamma(n / 2 + 1) * wnp.where(odd, math.sqrt(2 / math.pi), 1.0).astype(n.dtype)
    return wnp.where(n < -1, 0, wnp.where(n <= 0, 1, _whole(found, n)))


def _binomial(n: Any, k: Any) -> Any:
    fine = (k <= n) & (n >= 0) & (k >= 0)
    a, b = wnp.where(fine, n, 0), wnp.where(fine, k, 0)
    found = wnp.exp(gammaln(a + 1) - gammaln(b + 1) - gammaln(a + 1 - b))
    return wnp.where(fine, _whole(found, a, b), 0)


@quiet
def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:
    """How many subsets of ``k`` among ``N`` there are; 0 outside of ``0 <= k <= N``.

    Parameters
    ----------
    N, k
        Numbers.
    exact
        Not there: it would give Python's integers.
    repetition
        Elements may be taken more than once.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.comb(5, 2))
    10.0
    """
    if exact:
        raise unsupported("scipy.special.comb with exact=True", "comb(N, k), or math.comb")
    n, k = floating("comb", N, k)
    if repetition:
        return wnp.where((k == 0) & (n >= 0), 1, _binomial(n + k - 1, k))
    return _binomial(n, k)


@quiet
def binom(x: Any, y: Any) -> Any:
    """The binomial coefficient ``gamma(x + 1) / (gamma(y + 1) * gamma(x - y + 1))``, of real numbers.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.binom(5.0, 2.0))
    10.0
    """
    x, y = floating("binom", x, y)
    rest = x - y

    def pole(v: Any) -> Any:
        return (v < 0) & (v == wnp.floor(v))

    zero = (pole(y) | pole(rest)) & ~pole(x)
    a, b, c = [wnp.where(zero, 1, v) for v in (x, y, rest)]
    size = wnp.exp(gammaln(a + 1) - gammaln(b + 1) - gammaln(c + 1))
    found = gammasgn(a + 1) * gammasgn(b + 1) * gammasgn(c + 1) * size
    return wnp.where(zero, 0, wnp.where(pole(x), np.nan, _whole(found, a, b)))


@quiet
def poch(z: Any, m: Any) -> Any:
    """``gamma(z + m) / gamma(z)``: the rising factorial.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.poch(3.0, 2.0))
    12.0
    """
    z, m = floating("poch", z, m)
    none = m == 0
    safe = wnp.where(none, 1, z)
    up = safe + m
    size = wnp.exp(gammaln(up) - gammaln(safe))
    return wnp.where(none, 1, gammasgn(up) * gammasgn(safe) * size)


def bernoulli(n: Any) -> Any:
    """Bernoulli's numbers from 0 to ``n``, a number known while staging.

    Examples
    --------
    >>> from weft.scipy import special
    >>> special.bernoulli(2)
    Array([ 1.        , -0.5       ,  0.16666667])
    """
    n = static_int(n, "n")
    if n < 0:
        raise ValueError("bernoulli(n) wants n >= 0")
    rows, found = [Fraction(0)] * (n + 1), []
    for m in range(n + 1):
        rows[m] = Fraction(1, m + 1)
        for j in range(m, 0, -1):
            rows[j - 1] = j * (rows[j - 1] - rows[j])
        found.append(float(rows[0]))
    if n >= 1:
        found[1] = -0.5
    from weft.dtypes import default_float

    return wnp.asarray(np.asarray(found, default_float()))


__all__ = [
    "bernoulli", "beta", "betaln", "binom", "comb", "factorial", "factorial2", "gammasgn", "loggamma", "multigammaln",
    "poch", "polygamma", "zeta",
]  # fmt: skip
