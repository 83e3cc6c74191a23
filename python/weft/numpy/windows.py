"""Windows for spectra, phases, and sequences spaced by a constant factor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from weft.ir.nodes import lit
from weft.ir.types import f64, is_complex, is_inexact
from weft.numpy.common import (
    Staged,
    array,
    astype,
    axis_of,
    current,
    emit,
    iota,
    new_size,
    number,
    op_error,
    result_dtype,
    select,
    size_of,
    value,
)  # fmt: skip
from weft.numpy.creation import logspace
from weft.numpy.cumulative import cumsum, diff
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc
from weft.staged.indexing import getitem


def _window(M: Any, shape: Callable[[Staged, Staged], Any]) -> Staged:
    """``shape(n, M - 1)`` over ``n = 1 - M, 3 - M, ..., M - 1``; no points if M < 1, and at one point ``n = 0``."""
    m = size_of(M)
    points = max(m, 0) if isinstance(m, int) else size_of(ufunc(np.maximum, M, 0))
    count = astype(array(M), f64)
    last = ufunc(np.subtract, count, 1)
    n = ufunc(np.subtract, ufunc(np.multiply, iota(points, f64), 2), last)
    return shape(n, ufunc(np.maximum, last, 1))  # type: ignore[no-any-return]


def _cosines(n: Staged, last: Staged, *terms: float) -> Staged:
    """``terms[0] + terms[1] cos(pi n / last) + ...``."""
    out: Any = terms[0]
    for k, a in enumerate(terms[1:], 1):
        angle = ufunc(np.divide, ufunc(np.multiply, math.pi * k, n), last)
        out = ufunc(np.add, out, ufunc(np.multiply, a, ufunc(np.cos, angle)))
    return out  # type: ignore[no-any-return]


@implements(np.bartlett, creates=True)
def bartlett(M: Any) -> Any:
    """A triangle that is 0 at both ends."""
    return _window(M, lambda n, last: ufunc(np.subtract, 1, ufunc(np.divide, ufunc(np.absolute, n), last)))


@implements(np.blackman, creates=True)
def blackman(M: Any) -> Any:
    """The Blackman window of ``M`` points."""
    return _window(M, lambda n, last: _cosines(n, last, 0.42, 0.5, 0.08))


@implements(np.hamming, creates=True)
def hamming(M: Any) -> Any:
    """The Hamming window of ``M`` points."""
    return _window(M, lambda n, last: _cosines(n, last, 0.54, 0.46))


@implements(np.hanning, creates=True)
def hanning(M: Any) -> Any:
    """The Hann window of ``M`` points."""
    return _window(M, lambda n, last: _cosines(n, last, 0.5, 0.5))


@implements(np.i0)
def i0(x: Any) -> Any:
    """The modified Bessel function of the first kind and order 0."""
    a = array(x)
    if is_complex(a.dtype):
        raise op_error(TypeError, "i0 not supported for complex values")
    a = a if is_inexact(a.dtype) else astype(a, f64)
    return emit("mul", emit("i0e", a), emit("exp", emit("abs", a)))


@implements(np.kaiser, creates=True)
def kaiser(M: Any, beta: Any) -> Any:
    """The Kaiser window of ``M`` points; ``beta`` says how narrow it is."""

    def shape(n: Staged, last: Staged) -> Any:
        part = ufunc(np.divide, n, last)
        root = ufunc(np.sqrt, ufunc(np.subtract, 1, ufunc(np.multiply, part, part)))
        return ufunc(np.divide, i0(ufunc(np.multiply, array(beta, f64), root)), i0(array(beta, f64)))

    return _window(M, shape)


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: Any = -1, *, period: Any = 6.283185307179586) -> Any:
    """Angles without jumps: multiples of the period are added where neighbours differ by more than half of it."""
    from weft.numpy.joining import concatenate

    x = array(p)
    k = axis_of(axis, x.ndim)
    gap = diff(x, axis=k)
    dtype = result_dtype(gap, value(period))
    half = ufunc(np.floor_divide if dtype.kind in "iu" else np.divide, period, 2)
    limit = ufunc(np.divide, period, 2) if discont is None else discont
    low = ufunc(np.negative, half)
    turned = ufunc(np.add, ufunc(np.remainder, ufunc(np.subtract, gap, low), period), low)
    if dtype.kind not in "iu" or _is_even(period):
        edge = ufunc(np.equal, turned, low) & ufunc(np.greater, gap, 0)
        turned = select(edge, array(half, turned.dtype), turned)
    change = ufunc(np.subtract, turned, gap)
    change = select(ufunc(np.less, ufunc(np.absolute, gap), limit), number(0, change), change)
    lead = (slice(None),) * k
    first, rest = getitem(x, (*lead, slice(None, 1))), getitem(x, (*lead, slice(1, None)))
    out = concatenate([astype(first, dtype), astype(ufunc(np.add, rest, cumsum(change, k)), dtype)], k)
    return out


def _is_even(period: Any) -> bool:
    return int(period) % 2 == 0


@implements(np.geomspace, creates=True)
def geomspace(start: Any, stop: Any, num: Any = 50, endpoint: Any = True, dtype: Any = None, axis: Any = 0) -> Any:
    """``num`` numbers from ``start`` to ``stop``, each the same multiple of the one before."""
    from weft.numpy.common import broadcast_shapes, move, spread, static_bool

    lo, hi = value(start), value(stop)
    kind = result_dtype(lo, hi, 0.0)
    lo, hi = array(lo, kind), array(hi, kind)
    shape = broadcast_shapes("geomspace", lo.sizes, hi.sizes)
    lo, hi = spread(lo, shape), spread(hi, shape)
    if is_complex(kind):
        sign = ufunc(np.sign, lo)
        one = ufunc(np.divide, lo, sign)
        far = ufunc(np.divide, hi, sign)
    else:
        sign = ufunc(np.sign, lo)
        one, far = ufunc(np.multiply, lo, sign), ufunc(np.multiply, hi, sign)
    n, ends = new_size(num), static_bool(endpoint, "endpoint")
    rows = logspace(ufunc(np.log10, one), ufunc(np.log10, far), num, endpoint)
    k = emit("reshape", iota(n), shape=(n, *[1] * len(shape)))
    count = current().builder.size_value(n)
    at_start = ufunc(np.equal, k, 0)
    if ends:
        at_end = ufunc(np.equal, k, emit("sub", count, lit(1))) & ufunc(np.greater, k, 0)
        rows = select(spread(at_end, rows.sizes), spread(far, rows.sizes), rows)
    rows = select(spread(at_start, rows.sizes), spread(one, rows.sizes), rows)
    rows = move(ufunc(np.multiply, rows, sign), 0, axis_of(axis, rows.ndim))
    return rows if dtype is None else astype(rows, np.dtype(dtype))
