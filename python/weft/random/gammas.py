"""Gamma distributions and what is made of them: a loop of rejections for each element."""

from __future__ import annotations

from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.api.custom import custom_jvp
from weft.api.written import written
from weft.random.arguments import DType, Shape, count, digamma, dims, dtype_of, fitting, number, parameters, spread
from weft.random.bits import child, children, unit
from weft.random.continuous import exponential_of, normal_of
from weft.random.keys import Words, words_of

# -- one sample, after Marsaglia and Tsang -----------------------------------------------------------------------------


@written("log_space")
def _one(k0: Any, k1: Any, a: Any, log_space: bool) -> Any:
    """A sample of the gamma distribution of parameter ``a``, or its logarithm.

    A parameter below 1 is raised by 1, and the sample is multiplied by a power of a uniform number.
    """
    dtype = a.dtype
    one = number(1, dtype)
    d = wnp.where(a >= 1, a, a + 1) - 1 / 3
    c = 1 / 3 / wnp.sqrt(d)
    key, boost_key = children((k0, k1), 2)
    square, cube, u = number(0, dtype), one, number(2, dtype)
    while u >= 1 - 0.0331 * (square * square) and wnp.log(u) >= square * 0.5 + d * (1 - cube + wnp.log(cube)):
        key, x_key, u_key = children(key, 3)
        x, v = number(0, dtype), number(-1, dtype)
        while v <= 0:
            x_key, subkey = children(x_key, 2)
            x = normal_of(subkey, (), dtype)
            v = 1 + x * c
        square, cube = x * x, v * v * v
        u = unit(u_key, (), dtype)
    if log_space:
        drawn = -exponential_of(boost_key, (), dtype)
        boost = wnp.where((a >= 1) | (drawn == 0), number(0, dtype), drawn * (1 / a))
        return wnp.log(d) + wnp.log(cube) + boost
    return d * cube * wnp.where(a >= 1, one, (1 - unit(boost_key, (), dtype)) ** (1 / a))


@written("log_space")
def _all(k0: Any, k1: Any, a: Any, log_space: bool) -> Any:
    """A sample for each element of a vector; each has a key of its own."""
    out = np.empty(a.shape, a.dtype)
    for i in range(a.size):
        key = child((k0, k1), i)
        out[i] = _one(key[0], key[1], a[i], log_space)
    return out


# -- derivatives: how a sample moves with the parameter where its distribution function stays as it is -----------------


@written()
def _slope(a: Any, x: Any) -> Any:
    """The derivative by ``a`` of the point ``x`` below which a share of the distribution lies, in float64."""
    if x == 0:  # too small for a number, and so is the derivative
        return x / a
    log_x = wnp.log(x)
    if x < a + 1:
        # the series of the lower incomplete function, term by term
        term, psi, k = 1 / a, digamma(a + 1), a
        total = term * (psi - log_x)
        added = total
        while abs(added) > 1e-17 * abs(total) or psi < log_x:
            k = k + 1
            term = term * (x / k)
            psi = psi + 1 / k
            added = term * (psi - log_x)
            total = total + added
        return x * total
    # the continued fraction of the upper one, and beside each quantity its derivative by a
    b = x + 1 - a
    d, h = 1 / b, 1 / b
    d_a, h_a = d * d, d * d
    c, c_a = b * 0 + 1e300, b * 0
    i, step, step_a = b * 0, b * 0, b * 0 + 1
    while (abs(step - 1) > 1e-16 or abs(step_a) > 1e-16 * abs(h_a)) and i < 100000:
        i = i + 1
        n = i * (a - i)
        b = b + 2
        c_a = i / c - n * (c_a / c) / c - 1
        c = b + n / c
        d_a = i * d + n * d_a - 1
        d = 1 / (b + n * d)
        d_a = -d_a * d * d
        step = c * d
        step_a = c_a * d + c * d_a
        h_a = h_a * step + h * step_a
        h = h * step
        step_a = h * step_a
    return x * (h * (log_x - digamma(a)) + h_a)


@written()
def _slopes(a: Any, x: Any) -> Any:
    out = np.empty(a.shape, a.dtype)
    for i in range(a.size):
        out[i] = _slope(a[i], x[i])
    return out


@custom_jvp
def _samples(k0: Any, k1: Any, a: Any, log_space: bool) -> Any:
    return wnp.asarray(_all(k0, k1, a, log_space))


def _samples_jvp(log_space: bool, primals: Any, tangents: Any) -> Any:
    k0, k1, a = primals
    out = _samples(k0, k1, a, log_space)
    wide, x = a.astype(np.float64), out.astype(np.float64)
    if log_space:
        x = wnp.maximum(wnp.exp(x), np.finfo(a.dtype).tiny)
    slope = wnp.asarray(_slopes(wide, x))
    if log_space:
        slope = slope / x
    return out, slope.astype(a.dtype) * tangents[2]


_samples.nondiff_argnums = (3,)
_samples.defjvp(_samples_jvp)


def gamma_of(words: Words, a: Any, shape: Shape, dtype: DType, log_space: bool = False) -> Any:
    """`gamma`, of words, a parameter, and a checked shape and dtype."""
    a = wnp.broadcast_to(spread("gamma", wnp.asarray(a).astype(dtype), shape), shape)
    return wnp.reshape(_samples(*words, wnp.reshape(a, (count(shape),)), log_space), shape)


# -- public ------------------------------------------------------------------------------------------------------------


def gamma(key: Any, a: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of the gamma distribution of scale 1.

    They have derivatives by ``a``: how a sample moves if its place in the distribution stays.

    Parameters
    ----------
    key
        A random key.
    a
        Its parameter, a positive number or array.
    shape
        The shape of the result, to which ``a`` broadcasts; if not given, that of ``a``.
    dtype
        A floating dtype; the default one if not given.

    Examples
    --------
    >>> import weft
    >>> weft.random.gamma(weft.random.PRNGKey(0), 3.0, (2,)).shape
    (2,)
    """
    words, dtype = words_of("gamma", key), dtype_of("gamma", dtype)
    sizes, a = parameters("gamma", shape, dtype, a)
    return gamma_of(words, a, sizes, dtype)


def loggamma(key: Any, a: Any, shape: Any = None, dtype: Any = None) -> Any:
    """The logarithm of `gamma`'s samples, exact also where they are too small for a number; arguments as there.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.loggamma(key, 0.01, (2,))
    Array([-111.95421555, -228.98216108])
    """
    words, dtype = words_of("loggamma", key), dtype_of("loggamma", dtype)
    sizes, a = parameters("loggamma", shape, dtype, a)
    return gamma_of(words, a, sizes, dtype, log_space=True)


def beta(key: Any, a: Any, b: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of the beta distribution.

    Parameters
    ----------
    key
        A random key.
    a, b
        Its parameters, positive numbers or arrays.
    shape
        The shape of the result, to which the parameters broadcast; if not given, theirs.
    dtype
        A floating dtype; the default one if not given.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.beta(key, 2.0, 3.0, (2,))
    Array([0.32795607, 0.61380901])
    """
    words, dtype = words_of("beta", key), dtype_of("beta", dtype)
    fitting("beta", dtype, a, b)
    sizes, a, b = parameters("beta", shape, dtype, a, b)
    log_a = gamma_of(child(words, 0), a, sizes, dtype, log_space=True)
    log_b = gamma_of(child(words, 1), b, sizes, dtype, log_space=True)
    top = wnp.maximum(log_a, log_b)
    part_a, part_b = wnp.exp(log_a - top), wnp.exp(log_b - top)
    return part_a / (part_a + part_b)


def chisquare(key: Any, df: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of the chi-square distribution of ``df`` degrees of freedom; other arguments as for `gamma`.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.chisquare(key, 4.0, (2,))
    Array([2.70406159, 2.2487189 ])
    """
    words, dtype = words_of("chisquare", key), dtype_of("chisquare", dtype)
    fitting("chisquare", dtype, df)
    sizes, df = parameters("chisquare", shape, dtype, df)
    return _chisquare(words, df, sizes, dtype)


def _chisquare(words: Words, df: Any, shape: Shape, dtype: DType) -> Any:
    return wnp.exp(gamma_of(words, df / number(2, dtype), shape, dtype, log_space=True)) * number(2, dtype)


def f(key: Any, dfnum: Any, dfden: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of the F distribution of these degrees of freedom; other arguments as for `gamma`.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.f(key, 3.0, 5.0, (2,))
    Array([1.54798047, 0.35745633])
    """
    words, dtype = words_of("f", key), dtype_of("f", dtype)
    fitting("f", dtype, dfnum, dfden)
    sizes, dfnum, dfden = parameters("f", shape, dtype, dfnum, dfden)
    over = _chisquare(child(words, 1), dfnum, sizes, dtype) / dfnum
    return over / (_chisquare(child(words, 0), dfden, sizes, dtype) / dfden)


def t(key: Any, df: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of Student's t distribution of ``df`` degrees of freedom; other arguments as for `gamma`.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.t(key, 4.0, (2,))
    Array([ 1.43881401, -0.57618965])
    """
    words, dtype = words_of("t", key), dtype_of("t", dtype)
    fitting("t", dtype, df)
    sizes, df = parameters("t", shape, dtype, df)
    half = df / number(2, dtype)
    g = gamma_of(child(words, 1), half, sizes, dtype)
    return normal_of(child(words, 0), sizes, dtype) * wnp.sqrt(half / g)


def dirichlet(key: Any, alpha: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random vectors of the Dirichlet distribution.

    Parameters
    ----------
    key
        A random key.
    alpha
        Its parameters, positive, of shape ``(..., n)``.
    shape
        The leading axes of the result; if not given, those of ``alpha``.
    dtype
        A floating dtype; the default one if not given.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.dirichlet(key, weft.numpy.ones(3))
    Array([0.15755158, 0.11547349, 0.72697493])
    """
    words, dtype = words_of("dirichlet", key), dtype_of("dirichlet", dtype)
    alpha = wnp.asarray(alpha).astype(dtype)
    if not dims(alpha):
        raise ValueError("dirichlet requires alpha.ndim >= 1, got alpha.ndim == 0")
    n = dims(alpha)[-1]
    if shape is None:
        sizes = dims(alpha)
    else:
        sizes = (*parameters("dirichlet", shape, dtype, alpha[..., 0])[0], n)
    drawn = gamma_of(words, alpha, sizes, dtype, log_space=True)
    parts = wnp.exp(drawn - wnp.max(drawn, axis=-1, keepdims=True))
    return parts / wnp.sum(parts, axis=-1, keepdims=True)
