"""Bits of a key, and what follows from them without rounding: integers and uniform numbers.

A key is two words of 32 bits. Element ``i`` of a result is a function of the key and of ``i``, so results are computed
in any order, fused with what uses them, and alike on all devices.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.random.arguments import DType, Shape, dtype_of, fma, number, operation, shape_of, spread
from weft.random.keys import Words, counts, high, low, threefry, words_of

threefry_bits = operation("threefry_bits")

_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def random_bits(words: Words, shape: Shape, dtype: DType) -> Any:
    """Random unsigned integers of ``dtype``."""
    if dtype.itemsize == 8:
        return threefry(*words, *counts(shape))
    found = threefry_bits(*words, *counts(shape))
    return found if dtype.itemsize == 4 else found.astype(dtype)


def unit(words: Words, shape: Shape, dtype: DType) -> Any:
    """Random numbers in [0, 1), multiples of the distance of neighbours in [1, 2)."""
    size = dtype.itemsize
    unsigned = np.dtype(_UNSIGNED[size])
    digits = np.finfo(dtype).nmant
    raw = wnp.right_shift(random_bits(words, shape, unsigned), unsigned.type(8 * size - digits))
    # signed integers are converted faster
    return raw.astype(np.dtype(f"i{size}")).astype(dtype) * number(2.0**-digits, dtype)


def between(u: Any, low: Any, high: Any, dtype: DType) -> Any:
    """Numbers of [0, 1) moved to [low, high)."""
    if _is_number(low) and _is_number(high):
        if low == 0 and high == 1:
            return u
        low, high = number(low, dtype), number(high, dtype)
        if math.frexp(high - low)[0] == 0.5:  # the product is exact
            return wnp.maximum(low, u * (high - low) + low)
    low, high = wnp.asarray(low).astype(dtype), wnp.asarray(high).astype(dtype)
    return wnp.maximum(low, fma(u, high - low, low))


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.generic)


def uniform_of(words: Words, shape: Shape, dtype: DType, minval: Any = 0.0, maxval: Any = 1.0) -> Any:
    """`uniform`, of words and a checked shape and dtype."""
    return between(unit(words, shape, dtype), minval, maxval, dtype)


def bits(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Random bits, as unsigned integers.

    Parameters
    ----------
    key
        A random key.
    shape
        The shape of the result.
    dtype
        An unsigned integer dtype; uint64 if not given.

    Examples
    --------
    >>> import weft
    >>> weft.random.bits(weft.random.PRNGKey(0), (2,), "uint32")
    Array([4070199207, 4202968722], dtype=uint32)
    """
    words = words_of("bits", key)
    dtype = dtype_of("bits", np.uint64 if dtype is None else dtype, "u")
    return random_bits(words, shape_of(shape), dtype)


def uniform(key: Any, shape: Any = (), dtype: Any = None, minval: Any = 0.0, maxval: Any = 1.0) -> Any:
    """Random numbers, uniform in [minval, maxval).

    Parameters
    ----------
    key
        A random key.
    shape
        The shape of the result.
    dtype
        A floating dtype; the default one if not given.
    minval, maxval
        The bounds, numbers or arrays that broadcast to ``shape``.

    Examples
    --------
    >>> import weft
    >>> weft.random.uniform(weft.random.PRNGKey(0), (2,), "float32")
    Array([0.947667 , 0.9785799], dtype=float32)
    """
    words = words_of("uniform", key)
    dtype, sizes = dtype_of("uniform", dtype), shape_of(shape)
    if not _is_number(minval):
        minval = spread("uniform", wnp.asarray(minval).astype(dtype), sizes)
    if not _is_number(maxval):
        maxval = spread("uniform", wnp.asarray(maxval).astype(dtype), sizes)
    return uniform_of(words, sizes, dtype, minval, maxval)


def randint(key: Any, shape: Any, minval: Any, maxval: Any, dtype: Any = None) -> Any:
    """Random integers, uniform in [minval, maxval).

    Parameters
    ----------
    key
        A random key.
    shape
        The shape of the result.
    minval, maxval
        The bounds, integers or arrays of integers that broadcast to ``shape``. Where ``maxval <= minval`` the result is
        ``minval``.
    dtype
        An integer dtype; int64 if not given.

    Examples
    --------
    >>> import weft
    >>> weft.random.randint(weft.random.PRNGKey(0), (5,), 0, 10)
    Array([5, 1, 5, 7, 3])
    """
    words = words_of("randint", key)
    if dtype is not None and np.dtype(dtype).kind not in "iu":
        raise TypeError(f"randint only accepts integer dtypes, got {np.dtype(dtype)}")
    dtype, sizes = dtype_of("randint", dtype, "iu", TypeError), shape_of(shape)
    lo, hi = [_integers(v, sizes) for v in (minval, maxval)]
    info = np.iinfo(dtype)
    if info.bits >= 32:
        return randint_of(words, sizes, lo, hi, dtype)
    lo = wnp.clip(lo.astype(np.int32), info.min, info.max)
    hi = wnp.clip(hi.astype(np.int32), info.min, info.max + 1)
    return randint_of(words, sizes, lo, hi, np.dtype(np.int32)).astype(dtype)


def _integers(x: Any, shape: Shape) -> Any:
    found = wnp.asarray(x)
    return spread("randint", found if found.dtype.kind in "iu" else found.astype(np.int64), shape)


def _clipped(x: Any, dtype: DType) -> Any:
    mine, theirs = np.iinfo(x.dtype), np.iinfo(dtype)
    least, most = max(mine.min, theirs.min), min(mine.max, theirs.max)
    return wnp.clip(x, x.dtype.type(least), x.dtype.type(most)).astype(dtype)


def _rest(x: Any, span: Any) -> Any:
    """``x`` modulo the span, where a span of 0 stands for the whole range."""
    whole = span == 0
    return wnp.where(whole, x, wnp.remainder(x, wnp.where(whole, span.dtype.type(1), span)))


def randint_of(words: Words, shape: Shape, minval: Any, maxval: Any, dtype: DType) -> Any:
    """`randint`, of words, a checked shape, arrays of integers, and a dtype of at least 32 bits."""
    info = np.iinfo(dtype)
    unsigned = np.dtype(_UNSIGNED[dtype.itemsize])
    beyond = maxval > _clipped(wnp.asarray(dtype.type(info.max)), maxval.dtype)
    minval, maxval = _clipped(minval, dtype), _clipped(maxval, dtype)
    one = unsigned.type(1)
    span = wnp.where(maxval <= minval, one, wnp.subtract(maxval, minval).astype(unsigned))
    span = wnp.where(beyond & (maxval > minval), wnp.add(span, one), span)
    # twice as many bits as the dtype has, modulo the span, which is then hardly biased
    upper, lower = [random_bits(w, shape, unsigned) for w in (child(words, 0), child(words, 1))]
    factor = _rest(unsigned.type(2 ** (info.bits // 2)), span)
    factor = _rest(factor * factor, span)
    offset = _rest(wnp.add(wnp.multiply(_rest(upper, span), factor), _rest(lower, span)), span)
    return wnp.add(minval, offset.astype(dtype))


def child(words: Words, i: Any) -> Words:
    """The words of one of the keys that `split` gives (of the first 2**32)."""
    pair = threefry(*words, np.uint32(0), np.uint32(i) if isinstance(i, int) else wnp.asarray(i).astype(np.uint32))
    return high(pair), low(pair)


def children(words: Words, n: int) -> list[Words]:
    """The words of the keys that ``split(key, n)`` gives."""
    return [child(words, i) for i in range(n)]
