"""Numbers of events: Poisson, binomial and multinomial distributions, by loops of rejections over whole arrays.

An array's elements are drawn together, round by round, until all are settled; that is what JAX does, and with the same
keys in each round the numbers are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.api.written import written
from weft.numpy.common import array, gather
from weft.random.arguments import dims, dtype_of, number, parameters, shape_of, spread
from weft.random.bits import child, children, unit
from weft.random.keys import words_of

_F32 = np.dtype(np.float32)

# -- Poisson -----------------------------------------------------------------------------------------------------------


@written()
def _few(k0: Any, k1: Any, rate: Any) -> Any:
    """Events of small rates, by Knuth's products of uniform numbers."""
    key = (k0, k1)
    found, log_product = wnp.zeros(rate.shape, np.int64), wnp.zeros(rate.shape, np.float32)
    while wnp.any(log_product > -rate):
        key, subkey = children(key, 2)
        found = wnp.where(log_product > -rate, found + 1, found)
        log_product = log_product + wnp.log(unit(subkey, rate.shape, _F32))
    return found - 1


def _log_factorial(k: Any) -> Any:
    """The logarithm of k! by Stirling's series, of (k + 8)! where k is small: in vectors, as `lgamma` is not."""
    small = k < 8
    product, low = number(1, _F32), wnp.minimum(k, number(8, _F32))
    for i in range(1, 9):
        product = product * (low + i)
    x = wnp.where(small, k + 9, k + 1)
    series = (x - 0.5) * wnp.log(x) - x + 0.9189385332046727 + (1 / 12 - 1 / (360 * x * x)) / x
    return series - wnp.where(small, wnp.log(product), number(0, _F32))


@written()
def _many(k0: Any, k1: Any, rate: Any, idle: Any) -> Any:
    """Events of large rates, by Hörmann's transformed rejection; none if ``idle``."""
    key = (k0, k1)
    log_rate = wnp.log(rate)
    b = 0.931 + 2.53 * wnp.sqrt(rate)
    a = -0.059 + 0.02483 * b
    scale = 1.1239 + 1.1328 / (b - 3.4)
    bound = 0.9277 - 3.6224 / (b - 2)
    found = wnp.full(rate.shape, -1, np.float32)
    waiting = wnp.where(idle, found * 0, found * 0 + 1)  # numbers: with bools loaded, gcc 12 makes no vectors
    while wnp.any(waiting > 0):
        key, u_key, v_key = children(key, 3)
        u, v = unit(u_key, rate.shape, _F32) - 0.5, unit(v_key, rate.shape, _F32)
        edge = 0.5 - wnp.abs(u)
        k = wnp.floor((2 * a / edge + b) * u + rate + 0.43)
        s = wnp.log(v * scale / (a / (edge * edge) + b))
        inside = s <= k * log_rate - rate - _log_factorial(k)
        reject = (k < 0) | ((edge < 0.013) & (v > edge))
        accept = ((edge >= 0.07) & (v <= bound)) | (~reject & inside)
        found = wnp.where(accept, k, found)
        waiting = wnp.where(accept, 0, waiting)
    return found.astype(np.int64)


def poisson(key: Any, lam: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of the Poisson distribution.

    Parameters
    ----------
    key
        A random key.
    lam
        The rate, a number or an array; where it is not finite, the result is -1.
    shape
        The shape of the result, to which ``lam`` broadcasts; if not given, that of ``lam``.
    dtype
        An integer dtype; int64 if not given.

    Examples
    --------
    >>> import weft
    >>> weft.random.poisson(weft.random.PRNGKey(0), 3.0, (4,)).shape
    (4,)
    """
    words, dtype = words_of("poisson", key), dtype_of("poisson", dtype, "iu")
    sizes, lam = parameters("poisson", shape, _F32, lam)
    lam = wnp.broadcast_to(lam, sizes)
    finite = wnp.isfinite(lam)
    few = (lam < 10) | ~finite
    low = _few(*words, wnp.where(few, wnp.where(finite, lam, number(-1, _F32)), number(0, _F32)))
    high = _many(*words, wnp.where(few, number(1e5, _F32), lam), wnp.all(few))
    return wnp.where(lam == 0, 0, wnp.where(few, low, high)).astype(dtype)


# -- binomial ----------------------------------------------------------------------------------------------------------

_TAILS = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.010411265261972, 0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def _tail(k: Any) -> Any:
    """What Stirling's formula leaves of the logarithm of k!; JAX's, which holds k at 9 also in the formula."""
    held = wnp.where(k > 0, wnp.minimum(k, 9), 0)  # in the table, whatever k is: the place needs no check
    known = gather(array(np.array(_TAILS, k.dtype)), wnp.floor(held).astype(np.int64), 0, "fast")
    square = (held + 1) * (held + 1)
    return wnp.where(k <= 9, known, (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (held + 1))


@written()
def _few_of(k0: Any, k1: Any, n: Any, p: Any) -> Any:
    """Successes where few are expected: by the distances between them."""
    key = (k0, k1)
    scale = wnp.log1p(-p)
    found, total = n * 0, n * 0
    while wnp.any(total <= n):
        subkey, key = children(key, 2)
        found = wnp.where(total <= n, found + 1, found)
        total = total + wnp.ceil(wnp.log(unit(subkey, n.shape, n.dtype)) / scale)
    return found - 1


@written()
def _many_of(k0: Any, k1: Any, n: Any, p: Any, idle: Any) -> Any:
    """Successes where many are expected, by Hörmann's transformed rejection; none if ``idle``."""
    key = (k0, k1)
    deviation = wnp.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = n * p + 0.5
    bound = 0.92 - 4.2 / b
    r = p / (1 - p)
    scale = (2.83 + 5.1 / b) * deviation
    m = wnp.floor((n + 1) * p)
    fixed = _tail(m) + _tail(n - m)
    found = n * 0 - 1
    waiting = wnp.where(idle, n * 0, n * 0 + 1)
    while wnp.any(waiting > 0):
        key, u_key, v_key = children(key, 3)
        u, v = unit(u_key, n.shape, n.dtype) - 0.5, unit(v_key, n.shape, n.dtype)
        edge = 0.5 - wnp.abs(u)
        k = wnp.floor((2 * a / edge + b) * u + c)
        reject = (k < 0) | (k > n)
        limit = (
            (m + 0.5) * wnp.log((m + 1) / (r * (n - m + 1)))
            + (n + 1) * wnp.log((n - m + 1) / (n - k + 1))
            + (k + 0.5) * wnp.log(r * (n - k + 1) / (k + 1))
            + (fixed - _tail(k) - _tail(n - k))
        )  # fmt: skip
        inside = wnp.log(v * scale / (a / (edge * edge) + b)) <= limit
        accept = ((edge >= 0.07) & (v <= bound)) | (~reject & inside)
        found = wnp.where(accept, k, found)
        waiting = wnp.where(accept, 0, waiting)
    return found


def _binomial(words: Any, n: Any, p: Any, dtype: Any) -> Any:
    own = p.dtype
    small = p < 0.5
    q = wnp.where(small, p, 1 - p)
    bad_n, endless, bad_q = wnp.isnan(n) | (n < 0), wnp.isinf(n), wnp.isnan(q)
    negative = q < 0
    q = wnp.where(bad_q | negative, number(0.01, own), q)
    few = bad_n | (n * q <= 10)
    n = wnp.floor(n)
    low = _few_of(*words, wnp.where(few, wnp.where(bad_n, number(-1, own), n), number(0, own)), q)
    big = few | endless
    high = _many_of(*words, wnp.where(big, number(1e4, own), n), wnp.where(big, number(0.5, own), q), wnp.all(big))
    found = wnp.where(few, low, high).astype(dtype)
    invalid = negative | bad_q | bad_n
    found = wnp.where(invalid, number(np.nan, dtype), found)
    found = wnp.where(endless & ~invalid, number(np.inf, dtype), found)
    return wnp.where(small | bad_n | bad_q | endless, found, n.astype(dtype) - found)


def binomial(key: Any, n: Any, p: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of the binomial distribution, as floating numbers.

    Parameters
    ----------
    key
        A random key.
    n
        The number of trials, a number or an array.
    p
        The probability of a success, a number or an array.
    shape
        The shape of the result, to which the parameters broadcast; if not given, theirs.
    dtype
        A floating dtype; the default one if not given.

    Examples
    --------
    >>> import weft
    >>> weft.random.binomial(weft.random.PRNGKey(0), 10, 0.5, (4,)).shape
    (4,)
    """
    words, dtype = words_of("binomial", key), dtype_of("binomial", dtype)
    p = wnp.asarray(p)
    own = p.dtype if p.dtype.kind == "f" else dtype_of("binomial", None)
    sizes, n, p = parameters("binomial", shape, own, n, p)
    return _binomial(words, wnp.broadcast_to(n, sizes), wnp.broadcast_to(p, sizes), dtype)


@written()
def _counts(k0: Any, k1: Any, n: Any, ratios: Any) -> Any:
    """The categories one after the other, each from what the former ones have left."""
    found, left = np.empty(ratios.shape, ratios.dtype), n
    for i in range(ratios.shape[0]):
        drawn = _binomial(child((k0, k1), i), left, wnp.clip(ratios[i], 0, 1), n.dtype)
        left = left - drawn
        found[i] = drawn
    return wnp.asarray(found)


def multinomial(key: Any, n: Any, p: Any, *, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of the multinomial distribution, as floating numbers.

    Parameters
    ----------
    key
        A random key.
    n
        The number of trials, a number or an array.
    p
        The probabilities of the outcomes, along the last axis.
    shape
        The shape of the result, to which ``p`` broadcasts; if not given, that of ``p``.
    dtype
        A floating dtype; the default one if not given.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.multinomial(key, 10, weft.numpy.array([0.2, 0.3, 0.5]))
    Array([1., 4., 5.])
    """
    words = words_of("multinomial", key)
    n, p = wnp.asarray(n), wnp.asarray(p)
    floats = [x.dtype for x in (n, p) if x.dtype.kind == "f"]
    own = np.result_type(*floats) if floats else dtype_of("multinomial", None)
    dtype = dtype_of("multinomial", dtype)
    sizes = dims(p) if shape is None else shape_of(shape)
    n = wnp.broadcast_to(spread("multinomial", n.astype(own), sizes[:-1]), sizes[:-1])
    p = wnp.moveaxis(wnp.broadcast_to(spread("multinomial", p.astype(own), sizes), sizes), -1, 0)
    remaining = wnp.flip(wnp.cumsum(wnp.flip(p, 0), 0), 0)
    ratios = p / wnp.where(remaining == 0, number(1, own), remaining)
    return wnp.moveaxis(_counts(*words, n, ratios), 0, -1).astype(dtype)
