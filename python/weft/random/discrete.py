"""Discrete distributions without loops, random orders and choices."""

from __future__ import annotations

from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.random.arguments import Shape, count, dims, dtype_of, number, parameters, shape_of, spread
from weft.random.bits import child, randint_of, random_bits, unit
from weft.random.continuous import gumbel_of
from weft.random.keys import Words, words_of
from weft.staged.value import Staged

_U32 = np.dtype(np.uint32)


def bernoulli(key: Any, p: Any = 0.5, shape: Any = None, mode: str = "low") -> Any:
    """Random bools, true with probability ``p``.

    Parameters
    ----------
    key
        A random key.
    p
        The probability, a floating number or array.
    shape
        The shape of the result, to which ``p`` broadcasts; if not given, that of ``p``.
    mode
        "low", or "high": twice as many bits, for small probabilities.

    Examples
    --------
    >>> import weft
    >>> weft.random.bernoulli(weft.random.PRNGKey(0), 0.5, (4,))
    Array([ True,  True, False, False])
    """
    words = words_of("bernoulli", key)
    if mode not in ("high", "low"):
        raise ValueError(f"got mode={mode!r}, expected 'high' or 'low'")
    p = wnp.asarray(p)
    if p.dtype.kind != "f":
        raise TypeError(f"bernoulli probability `p` must have a floating dtype, got {p.dtype}.")
    sizes, p = parameters("bernoulli", shape, None, p)
    if mode == "low":
        return unit(words, sizes, p.dtype) < p
    both = unit(words, (2, *sizes), p.dtype)
    return both[1] * number(2.0 ** -np.finfo(p.dtype).nmant, p.dtype) < p - both[0]


def geometric(key: Any, p: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Random numbers of trials until a first success of probability ``p``.

    Parameters
    ----------
    key
        A random key.
    p
        The probability, a number or an array.
    shape
        The shape of the result, to which ``p`` broadcasts; if not given, that of ``p``.
    dtype
        An integer dtype; int64 if not given.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.geometric(key, 0.2, (4,))
    Array([4, 7, 1, 3])
    """
    words, dtype = words_of("geometric", key), dtype_of("geometric", dtype, "iu")
    p = wnp.asarray(p)
    sizes, p = parameters("geometric", shape, p.dtype if p.dtype.kind == "f" else dtype_of("geometric", None), p)
    u = unit(words, sizes, p.dtype)
    u = wnp.where(u == 0, number(1, p.dtype), u)
    return (wnp.floor(wnp.log(u) / wnp.log1p(wnp.negative(p))) + number(1, p.dtype)).astype(dtype)


def categorical(
    key: Any, logits: Any, axis: int = -1, shape: Any = None, replace: bool = True, mode: str | None = None
) -> Any:
    """Random indices, with the probabilities ``softmax(logits)``.

    Parameters
    ----------
    key
        A random key.
    logits
        Logarithms of probabilities, up to a constant.
    axis
        The axis of ``logits`` that is chosen from.
    shape
        The shape of the result, which ends with that of ``logits`` without ``axis``; if not given, that.
    replace
        Whether the samples along the leading axes of ``shape`` may repeat.
    mode
        As for `gumbel`.

    Examples
    --------
    >>> import weft, weft.numpy as wnp
    >>> weft.random.categorical(weft.random.PRNGKey(0), wnp.log(wnp.array([0.1, 0.6, 0.3])), shape=(5,))
    Array([2, 1, 1, 1, 1])
    """
    words, logits = words_of("categorical", key), wnp.asarray(logits)
    dtype_of("categorical", logits.dtype)
    sizes = dims(logits)
    at = _axis(axis, len(sizes))
    rest = (*sizes[:at], *sizes[at + 1 :])
    wanted = rest if shape is None else shape_of(shape)
    if shape is not None:
        spread("categorical", wnp.empty(rest), wanted)
    before, own = wanted[: len(wanted) - len(rest)], wanted[len(wanted) - len(rest) :]
    if replace:
        noise = gumbel_of(words, (*before, *own[:at], sizes[at], *own[at:]), logits.dtype, mode)
        return wnp.argmax(noise + logits, axis=at - len(sizes))
    n = count(before)
    _enough(n, sizes[at])
    scores = wnp.moveaxis(logits + gumbel_of(words, sizes, logits.dtype, mode), at, -1)
    return wnp.reshape(wnp.moveaxis(_best(scores, n), -1, 0), wanted)


def _axis(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim


def _best(scores: Any, n: Any) -> Any:
    """The indices of the ``n`` greatest along the last axis, from the greatest on, of equal ones the first."""
    return wnp.argsort(wnp.negative(scores), axis=-1, kind="stable")[..., :n]


def _enough(n: Any, have: Any) -> None:
    if n > have:
        raise ValueError(f"Cannot take a larger sample (size {n}) than population (size {have}) when 'replace=False'")


def permutation(key: Any, x: Any, axis: int = 0, independent: bool = False) -> Any:
    """The elements of an array in random order.

    Parameters
    ----------
    key
        A random key.
    x
        An array; or a number n, for ``arange(n)``.
    axis
        The axis along which elements are moved.
    independent
        Whether each vector along the axis is shuffled by itself.

    Examples
    --------
    >>> import weft
    >>> weft.random.permutation(weft.random.PRNGKey(0), 5)
    Array([0, 1, 4, 3, 2])
    """
    words = words_of("permutation", key)
    n = _population("permutation", x)
    if n is not None:
        _axis(axis, 1)
        return _shuffled(words, wnp.arange(n), 0)
    x = wnp.asarray(x)
    at = _axis(axis, len(dims(x)))
    if independent or len(dims(x)) == 1:
        return _shuffled(words, x, at)
    return wnp.take(x, _shuffled(words, wnp.arange(dims(x)[at]), 0), axis=at)


def _population(name: str, x: Any) -> Any:
    """The number that stands for a range of integers; None for an array."""
    if dims(x) or isinstance(x, list | tuple):
        return None
    dtype = x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype
    if dtype.kind not in "iu":
        raise TypeError(f"{name}: x must be an integer or at least 1-dimensional")
    return x if isinstance(x, Staged) else int(x)


#: Up to these sizes as many sorts by 32 random bits give all orders alike: the cube root of 2^32 - 1, its square, ...
_SORTS = (1, 1625, 2642245, 4294967295)


def _shuffled(words: Words, x: Any, axis: int) -> Any:
    sizes = dims(x)
    if sum(isinstance(s, Staged) for s in sizes) > 1:  # a product of unknown sizes cannot be compared
        sizes = tuple(map(int, sizes))
    size = count(sizes)
    for limit in _SORTS:
        if not size > limit:
            break
        words, once = child(words, 0), child(words, 1)
        order = wnp.argsort(random_bits(once, dims(x), _U32), axis=axis, kind="stable")
        x = wnp.take_along_axis(x, order, axis=axis)
    return x


def choice(
    key: Any, a: Any, shape: Any = (), replace: bool = True, p: Any = None, axis: int = 0, mode: str | None = None
) -> Any:
    """Random elements of an array.

    Parameters
    ----------
    key
        A random key.
    a
        An array; or a number n, for ``arange(n)``.
    shape
        The shape of the sample.
    replace
        Whether an element may be chosen more than once.
    p
        The probabilities of the elements, which are alike if not given.
    axis
        The axis of ``a`` along which is chosen.
    mode
        As for `gumbel`; for choices without replacement by ``p``.

    Examples
    --------
    >>> import weft
    >>> weft.random.choice(weft.random.PRNGKey(0), 10, (3,), replace=False)
    Array([0, 1, 8])
    """
    words = words_of("choice", key)
    if not isinstance(shape, list | tuple):
        raise TypeError(f"shape argument of weft.random.choice must be a sequence, got {shape}")
    wanted, n = shape_of(shape), _population("choice", a)
    array = None if n is not None else wnp.asarray(a)
    at = 0 if array is None else _axis(axis, len(dims(array)))
    have = n if array is None else dims(array)[at]
    draws = count(wanted)
    if draws == 0:
        return wnp.zeros(wanted, np.int64 if array is None else array.dtype)
    if have <= 0:
        raise ValueError("a must be greater than 0 unless no samples are taken")
    if not replace:
        _enough(draws, have)
    if p is None and not replace:
        mixed = permutation(key, have if array is None else array, at)
        found = mixed[(slice(None),) * at + (slice(None, draws),)]
    else:
        chosen = _positions(words, wanted, replace, have, draws, p, mode)
        found = chosen if array is None else wnp.take(array, chosen, axis=at)
    if array is None:
        return wnp.reshape(found, wanted)
    return wnp.reshape(found, (*dims(array)[:at], *wanted, *dims(array)[at + 1 :]))


def _positions(words: Words, shape: Shape, replace: bool, have: Any, draws: Any, p: Any, mode: str | None) -> Any:
    if p is None:
        i64 = np.dtype(np.int64)
        return randint_of(words, shape, wnp.asarray(0), wnp.asarray(have), i64)
    p = wnp.asarray(p)
    p = p if p.dtype.kind == "f" else p.astype(dtype_of("choice", None))
    if len(dims(p)) != 1 or dims(p)[0] != have:
        raise ValueError(
            "p must be None or a 1D vector with the same size as a.shape[axis]. p has shape"
            f" {dims(p)} and a.shape[axis] is {have}."
        )
    if not replace:
        return _best(gumbel_of(words, (have,), p.dtype, mode) + wnp.log(p), draws)
    total = wnp.cumsum(p)
    return wnp.searchsorted(total, total[-1] * (number(1, p.dtype) - unit(words, shape, p.dtype)))
