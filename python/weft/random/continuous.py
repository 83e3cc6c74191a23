"""Continuous distributions that are functions of uniform or normal numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.dtypes import default_float
from weft.lax import stop_gradient
from weft.random.arguments import (
    DType,
    Shape,
    dims,
    dtype_of,
    erf,
    erfinv,
    fitting,
    nextafter,
    number,
    parameters,
    shape_of,
)
from weft.random.bits import between, child, random_bits, uniform_of, unit
from weft.random.keys import Words, words_of


def normal_of(words: Words, shape: Shape, dtype: DType) -> Any:
    """`normal`, of words and a checked shape and dtype."""
    if dtype.kind == "c":
        part = np.dtype(f"f{dtype.itemsize // 2}")
        re, im = [normal_of(child(words, i), shape, part) for i in range(2)]
        return (re.astype(dtype) + number(1j, dtype) * im.astype(dtype)) / number(math.sqrt(2), dtype)
    least = np.nextafter(number(-1, dtype), number(0, dtype))
    return number(math.sqrt(2), dtype) * erfinv(uniform_of(words, shape, dtype, least, number(1, dtype)))


def exponential_of(words: Words, shape: Shape, dtype: DType) -> Any:
    """`exponential`, of words and a checked shape and dtype."""
    return wnp.negative(wnp.log1p(wnp.negative(unit(words, shape, dtype))))


def gumbel_of(words: Words, shape: Shape, dtype: DType, mode: str | None = None) -> Any:
    """`gumbel`, of words and a checked shape and dtype."""
    if mode not in (None, "low", "high", "highest"):
        raise ValueError(f"the mode of gumbel is 'low', 'high' or 'highest', not {mode!r}")
    info = np.finfo(dtype)
    if mode == "highest" and dtype == np.float32:
        below, x = _folded(words, shape)
        return wnp.where(below, _gumbel(wnp.negative(wnp.log1p(wnp.negative(x)))), _gumbel(wnp.negative(wnp.log(x))))
    if mode in ("high", "highest"):
        both = unit(words, (2, *shape), dtype)
        x = wnp.where(both[0] >= 0.5, both[0], both[0] + (number(2.0**-info.nmant, dtype) * both[1] + info.tiny))
        return _gumbel(wnp.negative(wnp.log1p(wnp.negative(x))))
    u = uniform_of(words, shape, dtype, info.tiny, number(1, dtype))
    return _gumbel(wnp.negative(wnp.log(u)))


def _gumbel(exponential: Any) -> Any:
    return wnp.negative(wnp.log(exponential))


def _folded(words: Words, shape: Shape) -> tuple[Any, Any]:
    """Numbers of 64 bits in (0, 1), folded at a half so that both ends are fine; whether they were below it."""
    high, low = random_bits(words, (2, *shape), np.dtype(np.uint32))
    below = high < np.uint32(2**31)
    whole = wnp.left_shift(high.astype(np.uint64), np.uint64(32)) | low.astype(np.uint64)
    v = wnp.where(below, whole, wnp.add(wnp.invert(whole), np.uint64(1)))
    # the first 24 of its bits; those that float64 would round are cut first
    cut = wnp.where(v >= np.uint64(2**53), v & np.uint64(2**64 - 2**11), v)
    m, e = wnp.frexp(cut.astype(np.float64))
    x = wnp.ldexp(wnp.floor(m * 2.0**24), e - 88)
    return below, wnp.where(v == 0, 2.0**-65, x).astype(np.float32)


def rademacher_of(words: Words, shape: Shape, dtype: DType) -> Any:
    """`rademacher`, of words and a checked shape and dtype."""
    # as bernoulli(0.5) has it
    return wnp.where(unit(words, shape, default_float()) < 0.5, number(1, dtype), number(-1, dtype))


def normal(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Random numbers of the standard normal distribution.

    Parameters
    ----------
    key
        A random key.
    shape
        The shape of the result.
    dtype
        A floating or complex dtype; the default floating one if not given.

    Examples
    --------
    >>> import weft
    >>> weft.random.normal(weft.random.PRNGKey(0), (2,), "float32")
    Array([1.6226422, 2.0252647], dtype=float32)
    """
    words = words_of("normal", key)
    return normal_of(words, shape_of(shape), dtype_of("normal", dtype, "fc"))


def truncated_normal(key: Any, lower: Any, upper: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of the standard normal distribution between two bounds.

    Parameters
    ----------
    key
        A random key.
    lower, upper
        The bounds, numbers or arrays.
    shape
        The shape of the result, to which the bounds broadcast; if not given, theirs.
    dtype
        A floating dtype; the default one if not given.

    Examples
    --------
    >>> import weft
    >>> weft.random.truncated_normal(weft.random.PRNGKey(0), -1.0, 1.0, (2,), "float32")
    Array([0.86185956, 0.9412885 ], dtype=float32)
    """
    words, dtype = words_of("truncated_normal", key), dtype_of("truncated_normal", dtype)
    sizes, lower, upper = parameters("truncated_normal", shape, dtype, lower, upper)
    root = number(math.sqrt(2), dtype)
    u = between(unit(words, sizes, dtype), erf(lower / root), erf(upper / root), dtype)
    inf = number(math.inf, dtype)
    least, most = nextafter(stop_gradient(lower), inf), nextafter(stop_gradient(upper), -inf)
    return wnp.minimum(wnp.maximum(root * erfinv(u), least), most)


def exponential(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Random numbers of the exponential distribution of rate 1.

    Parameters
    ----------
    key
        A random key.
    shape
        The shape of the result.
    dtype
        A floating dtype; the default one if not given.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.exponential(key, (2,))
    Array([0.54207056, 0.24372319])
    """
    words, dtype = words_of("exponential", key), dtype_of("exponential", dtype)
    return exponential_of(words, shape_of(shape), dtype)


def gumbel(key: Any, shape: Any = (), dtype: Any = None, mode: str | None = None) -> Any:
    """Random numbers of the standard Gumbel distribution.

    Parameters
    ----------
    key
        A random key.
    shape
        The shape of the result.
    dtype
        A floating dtype; the default one if not given.
    mode
        "low" (also None); or "high", with twice as many bits, for a longer tail; or "highest", for long tails at both
        ends (as "high", but for float32).

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.gumbel(key, (2,))
    Array([ 0.13790566, -0.42599294])
    """
    words, dtype = words_of("gumbel", key), dtype_of("gumbel", dtype)
    return gumbel_of(words, shape_of(shape), dtype, mode)


def laplace(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Random numbers of the standard Laplace distribution; arguments as for `exponential`.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.laplace(key, (2,))
    Array([0.17803369, 0.83796278])
    """
    words, dtype, sizes = words_of("laplace", key), dtype_of("laplace", dtype), shape_of(shape)
    u = uniform_of(words, sizes, dtype, number(-1.0 + np.finfo(dtype).epsneg, dtype), number(1, dtype))
    return wnp.sign(u) * wnp.log1p(wnp.negative(wnp.abs(u)))


def logistic(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Random numbers of the standard logistic distribution; arguments as for `exponential`.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.logistic(key, (2,))
    Array([-0.32911032, -1.28738678])
    """
    words, dtype, sizes = words_of("logistic", key), dtype_of("logistic", dtype), shape_of(shape)
    u = uniform_of(words, sizes, dtype, np.finfo(dtype).tiny, number(1, dtype))
    return wnp.log(u) - wnp.log1p(wnp.negative(u))


def cauchy(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Random numbers of the standard Cauchy distribution; arguments as for `exponential`.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.cauchy(key, (2,))
    Array([-0.26192951, -1.23784602])
    """
    words, dtype, sizes = words_of("cauchy", key), dtype_of("cauchy", dtype), shape_of(shape)
    u = uniform_of(words, sizes, dtype, np.finfo(dtype).eps, number(1, dtype))
    return wnp.tan(number(math.pi, dtype) * (u - number(0.5, dtype)))


def rademacher(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Random signs, -1 or 1.

    Parameters
    ----------
    key
        A random key.
    shape
        The shape of the result.
    dtype
        A numeric dtype; int64 if not given.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.rademacher(key, (4,))
    Array([ 1,  1, -1, -1])
    """
    words = words_of("rademacher", key)
    return rademacher_of(words, shape_of(shape), np.dtype(np.int64 if dtype is None else dtype))


def maxwell(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Random numbers of the Maxwell distribution of scale 1; arguments as for `exponential`.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.maxwell(key, (2,))
    Array([1.98906991, 0.42460738])
    """
    words, dtype, sizes = words_of("maxwell", key), dtype_of("maxwell", dtype), shape_of(shape)
    return _maxwell(words, sizes, dtype)


def _maxwell(words: Words, shape: Shape, dtype: DType) -> Any:
    x = normal_of(words, (*shape, 3), dtype)
    return wnp.sqrt(wnp.sum(x * x, axis=-1))


def double_sided_maxwell(key: Any, loc: Any, scale: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Random numbers of the two-sided Maxwell distribution.

    Parameters
    ----------
    key
        A random key.
    loc, scale
        Its place and scale, numbers or arrays.
    shape
        Put before the shape of the parameters; if it is empty, theirs is put there.
    dtype
        A floating dtype; the default one if not given.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.double_sided_maxwell(key, 0.0, 2.0, (2,))
    Array([ 3.96922408, -4.9564148 ])
    """
    words, dtype = words_of("double_sided_maxwell", key), dtype_of("double_sided_maxwell", dtype)
    own = dims(wnp.broadcast_arrays(wnp.asarray(loc), wnp.asarray(scale))[0])
    sizes = (*(shape_of(shape) or own), *own)
    sign = rademacher_of(child(words, 1), sizes, dtype)
    return sign * _maxwell(child(words, 0), sizes, dtype) * scale + loc


def pareto(key: Any, b: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of the Pareto distribution.

    Parameters
    ----------
    key
        A random key.
    b
        The exponent, a number or an array.
    shape
        The shape of the result, to which the parameters broadcast; if not given, theirs.
    dtype
        A floating dtype; the default one if not given.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.pareto(key, 3.0, (2,))
    Array([1.19804395, 1.08463233])
    """
    words, dtype = words_of("pareto", key), dtype_of("pareto", dtype)
    fitting("pareto", dtype, b)
    sizes, b = parameters("pareto", shape, dtype, b)
    return wnp.exp(exponential_of(words, sizes, dtype) / b)


def rayleigh(key: Any, scale: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of the Rayleigh distribution of this scale; other arguments as for `pareto`.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.rayleigh(key, 2.0, (2,))
    Array([2.63997102, 3.49983995])
    """
    words, dtype = words_of("rayleigh", key), dtype_of("rayleigh", dtype)
    fitting("rayleigh", dtype, scale)
    sizes, scale = parameters("rayleigh", shape, dtype, scale)
    return scale * wnp.sqrt(wnp.log(unit(words, sizes, dtype)) * number(-2, dtype))


def lognormal(key: Any, sigma: Any = 1.0, shape: Any = None, dtype: Any = None) -> Any:
    """The exponential of normal random numbers of standard deviation ``sigma``; other arguments as for `pareto`.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.lognormal(key, 0.5, (2,))
    Array([0.90219818, 0.67544544])
    """
    words, dtype = words_of("lognormal", key), dtype_of("lognormal", dtype, "fc")
    fitting("lognormal", dtype, sigma)
    sizes, sigma = parameters("lognormal", shape, dtype, sigma)
    return wnp.exp(normal_of(words, sizes, dtype) * sigma)


def triangular(key: Any, left: Any, mode: Any, right: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of a triangular distribution on [left, right] with its top at ``mode``.

    Other arguments are as for `pareto`.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.triangular(key, 0.0, 1.0, 4.0, (2,))
    Array([1.35831216, 0.9301515 ])
    """
    words, dtype = words_of("triangular", key), dtype_of("triangular", dtype)
    fitting("triangular", dtype, left, mode, right)
    sizes, left, mode, right = parameters("triangular", shape, dtype, left, mode, right)
    u = unit(words, sizes, dtype)
    width = right - left
    low = left + wnp.sqrt(u * width * (mode - left))
    high = right - wnp.sqrt((number(1, dtype) - u) * width * (right - mode))
    return wnp.where(u < (mode - left) / width, low, high)


def wald(key: Any, mean: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of the Wald distribution of this mean; other arguments as for `pareto`.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.wald(key, 2.0, (2,))
    Array([0.22327945, 3.90085525])
    """
    words, dtype = words_of("wald", key), dtype_of("wald", dtype)
    fitting("wald", dtype, mean)
    sizes, mean = parameters("wald", shape, dtype, mean)
    v, z = normal_of(child(words, 0), sizes, dtype), unit(child(words, 1), sizes, dtype)
    y = v * v
    square = mean * mean
    root = wnp.sqrt(number(4, dtype) * mean * y + square * (y * y))
    x = mean + square * y / number(2, dtype) - mean / number(2, dtype) * root
    return wnp.where(z <= mean / (mean + x), x, square / x)


def weibull_min(key: Any, scale: Any, concentration: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Random numbers of the Weibull distribution.

    Parameters
    ----------
    key
        A random key.
    scale, concentration
        Its parameters, numbers or arrays.
    shape
        The shape of the underlying uniform numbers, with which the parameters are broadcast.
    dtype
        A floating dtype; the default one if not given.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.weibull_min(key, 1.0, 1.5, (2,))
    Array([0.6648197, 0.3901796])
    """
    words, dtype = words_of("weibull_min", key), dtype_of("weibull_min", dtype)
    return wnp.power(exponential_of(words, shape_of(shape), dtype), 1.0 / concentration) * scale
