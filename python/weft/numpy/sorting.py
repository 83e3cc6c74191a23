"""Sorting, order statistics, searching in sorted arrays, histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import Gather, Lit, Var, lit
from weft.ir.types import f64, i64, is_complex, is_inexact, scalar
from weft.numpy.common import (
    Size,
    Staged,
    agree,
    array,
    astype,
    axis_of,
    cast,
    check,
    current,
    dim_or_int,
    emit,
    full,
    gather,
    nonempty,
    of,
    op_error,
    prim,
    product,
    reshape,
    result_dtype,
    select,
    static_bool,
    under,
    unsupported,
)  # fmt: skip
from weft.numpy.hints import ignoring
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc


def _prepared(a: Any, axis: Any) -> tuple[Staged, int]:
    x = array(a)
    if axis is None:
        x, axis = reshape(x, (product(x.sizes),)), 0
    if not x.sizes:
        raise op_error(np.exceptions.AxisError, f"axis {axis} is out of bounds for array of dimension 0")
    return x, axis_of(axis, x.ndim)


def order_along(x: Staged, k: int) -> Staged:
    """The positions that sort along an axis; complex numbers by real, then by imaginary parts, nan last."""
    from weft.numpy.search import take_along_axis

    if not is_complex(x.dtype):
        return emit("argsort", x, axis=k)
    re, im = emit("real", x), emit("imag", x)
    order = emit("argsort", im, axis=k)
    bad = [astype(emit("isnan", v), np.int8) for v in (re, im)]
    for key in (re, emit("add", emit("mul", bad[0], lit(2, bad[0].dtype)), bad[1])):
        order = take_along_axis(order, emit("argsort", take_along_axis(key, order, k), axis=k), k)
    return order


def _reversed(x: Staged, k: int) -> Staged:
    from weft.numpy.shape import flip

    return array(flip(x, k))


def _np_sort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None, descending: Any = False
) -> Any:
    found = np.sort(a, axis, kind, order, stable=stable)
    return np.flip(found, -1 if axis is None else axis) if descending else found


@implements(np.sort, run=_np_sort)
def sort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None, descending: Any = False
) -> Any:
    """A sorted copy; nan comes last, and first in descending order."""
    from weft.numpy.search import take_along_axis

    x, k = _prepared(a, axis)
    rows = take_along_axis(x, order_along(x, k), k) if is_complex(x.dtype) else emit("sort", x, axis=k)
    return _reversed(rows, k) if static_bool(descending, "descending") else rows


def _np_argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None, descending: Any = False
) -> Any:
    # weft's sorting is always stable, so that compiled and eager code agree
    if not descending:
        return np.argsort(a, axis, "stable" if stable is None else None, order, stable=stable or None)
    x, k = (np.ravel(a), 0) if axis is None else (np.asarray(a), axis)
    return x.shape[k] - 1 - np.flip(np.argsort(np.flip(x, k), k, "stable"), k)


@implements(np.argsort, run=_np_argsort)
def argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None, descending: Any = False
) -> Any:
    """The positions that sort an array; equal elements keep their order."""
    x, k = _prepared(a, axis)
    if not static_bool(descending, "descending"):
        return order_along(x, k)
    last = of(current().builder.size_value(x.sizes[k] - 1))
    return emit("sub", last, _reversed(order_along(_reversed(x, k), k), k))


@implements(np.sort_complex)
def sort_complex(a: Any) -> Any:
    """The elements as complex numbers, sorted by real, then by imaginary parts."""
    x = array(a)
    rows = sort(x)
    if is_complex(x.dtype):
        return rows
    return astype(rows, np.complex64 if x.dtype.kind in "iu" and x.dtype.itemsize < 4 else np.complex128)


@implements(np.partition)
def partition(a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> Any:
    """A copy with the kth smallest elements in their places (all are sorted)."""
    return sort(a, axis)


@implements(np.argpartition)
def argpartition(a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> Any:
    """Positions that bring the kth smallest elements to their places (all are sorted)."""
    return argsort(a, axis)


@implements(np.lexsort)
def lexsort(keys: Any, axis: Any = -1) -> Any:
    """The positions that sort by several keys, the last one first."""
    from weft.numpy.joining import _parts
    from weft.numpy.search import take_along_axis

    rows = [array(k) for k in _parts(array(keys) if isinstance(keys, np.ndarray) else keys)]
    if not rows:
        raise op_error(TypeError, "need sequence of keys with len > 0 in lexsort")
    if not rows[0].sizes:
        return of(lit(0))
    k = axis_of(axis, rows[0].ndim)
    order = argsort(rows[0], k)
    for row in rows[1:]:
        order = take_along_axis(order, argsort(take_along_axis(row, order, k), k), k)
    return order


# -- searching ---------------------------------------------------------------------------------------------------------


def _less(x: Staged, y: Staged) -> Staged:
    """``x < y`` with nan after everything."""
    out = emit("lt", x, y)
    if is_inexact(x.dtype):
        out = emit("bitor", out, emit("bitand", emit("isnan", y), emit("logical_not", emit("isnan", x))))
    return out


@ignoring(np.searchsorted, "method")
def searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    """Where elements would be put into a sorted array to keep it sorted."""
    if side not in ("left", "right"):
        raise op_error(ValueError, f"search side must be 'left' or 'right' (got '{side}')")
    x, y = array(a), array(v)
    if sorter is not None:
        x = gather(x, array(sorter), 0)
    if x.ndim != 1:
        raise op_error(ValueError, "object too deep for desired array")
    kind = result_dtype(x, y)
    if is_complex(kind):
        raise unsupported("searching among complex numbers", "search real parts, or absolute values")
    x, y = astype(x, kind), astype(y, kind)
    shape = y.sizes
    flat = reshape(y, (product(shape),))
    found = bisect(x, flat, side)
    return reshape(found, shape)


def bisect(x: Staged, flat: Staged, side: str) -> Staged:
    """Binary search of each element of a row, as a loop over the bits of the length."""
    b = current().builder
    n = b.size_value(x.sizes[0])
    m = flat.sizes[0]
    # each round halves an interval of n places, so bit_length(n) rounds close it
    if isinstance(n, Lit):
        trip: Size = int(n.value).bit_length()
    else:
        bits = prim("floor")(prim("log2")(cast(prim("maximum")(n, lit(1)), f64)))
        trip = dim_or_int(prim("add")(cast(bits, i64), lit(2)))
    if trip == 0:
        return full(lit(0), (m,))
    inits = (full(lit(0), (m,)).atom, full(n, (m,)).atom)
    k, lo, hi = Var(scalar(i64)), Var(inits[0].type), Var(inits[1].type)
    with b.scope((k, lo, hi)) as block:
        middle = emit("shr", emit("add", lo, hi), full(lit(1), (m,)))
        at = emit("minimum", middle, prim("maximum")(prim("sub")(n, lit(1)), lit(0)))
        picked = emit("index", x, at, spec=(Gather(),), mode="fast")
        after = _less(picked, flat) if side == "left" else emit("logical_not", _less(flat, picked))
        opened = emit("lt", lo, hi)
        right = emit("bitand", opened, after)
        left = emit("bitand", opened, emit("logical_not", after))
        block.results = (
            select(right, emit("add", middle, lit(1)), of(lo)).atom,
            select(left, middle, of(hi)).atom,
        )
    return of(b.for_(trip, inits, block)[0])


@ignoring(np.digitize, "method")
def digitize(x: Any, bins: Any, right: Any = False) -> Any:
    """The bin of each element; bins must increase, or decrease."""
    from weft.staged.indexing import getitem

    edges = array(bins)
    if edges.ndim != 1:
        raise op_error(ValueError, "object of too small depth for desired array")
    side = "left" if static_bool(right, "right") else "right"
    n = edges.sizes[0]
    if n in (0, 1):
        return searchsorted(edges, x, side)
    early, late = getitem(edges, slice(None, -1)), getitem(edges, slice(1, None))
    up, down = [
        emit("logical_not", emit("reduce_or", ufunc(worse, late, early), axes=(0,))) for worse in (np.less, np.greater)
    ]
    check(emit("bitor", up, down), ValueError, "bins must be monotonically increasing or decreasing")
    rising = select(up, edges, under(array(getitem(edges, slice(None, None, -1))), edges.sizes))
    found = searchsorted(rising, x, side)
    return select(up, found, emit("sub", current().builder.size_value(n), found))


def _periodic(t: Staged, px: Staged, py: Staged, period: Any) -> tuple[Staged, Staged, Staged]:
    """Points of one period in order, with their neighbours of the periods before and after."""
    from weft.numpy.joining import concatenate
    from weft.staged.indexing import getitem

    width = ufunc(np.absolute, array(period, f64))
    check(emit("ne", width, lit(0.0, f64)), ValueError, "period must be a non-zero value")
    t, px = ufunc(np.remainder, t, width), ufunc(np.remainder, px, width)
    order = argsort(px)
    px, py = gather(px, order, 0, "fast"), gather(py, order, 0, "fast")
    early, late = getitem(px, slice(-1, None)), getitem(px, slice(0, 1))
    px = concatenate([ufunc(np.subtract, early, width), px, ufunc(np.add, late, width)])
    return t, px, concatenate([getitem(py, slice(-1, None)), py, getitem(py, slice(0, 1))])


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Linear interpolation between points with increasing ``xp``."""
    t, px, py = array(x, f64), array(xp, f64), array(fp)
    py = astype(py, result_dtype(py, of(lit(0.0, f64))))
    if is_complex(py.dtype):
        parts = []
        for name in ("real", "imag"):
            ends = [None if e is None else emit(name, array(e, py.dtype)) for e in (left, right)]
            parts.append(interp(t, px, emit(name, py), ends[0], ends[1], period))
        return emit("complex_", *parts)
    if period is not None:
        left = right = None
        t, px, py = _periodic(t, px, py, period)
    shape = t.sizes
    flat = reshape(t, (product(shape),))

    def fail() -> None:
        raise op_error(ValueError, "fp and xp are not of the same length.")

    agree(px.sizes[0], py.sizes[0], fail)
    nonempty(px, (0,), "array of sample points is empty")
    b = current().builder
    last = prim("sub")(b.size_value(px.sizes[0]), lit(1))
    j = emit("sub", bisect(px, flat, "right"), lit(1))
    lo = emit("maximum", emit("minimum", j, prim("maximum")(prim("sub")(last, lit(1)), lit(0))), lit(0))
    hi = emit("minimum", emit("add", lo, lit(1)), last)
    x0, x1, y0, y1 = [gather(p, i, 0, "fast") for p in (px, py) for i in (lo, hi)]
    width = emit("sub", x1, x0)
    slope = emit("div", emit("sub", y1, y0), select(emit("eq", width, lit(0.0, f64)), of(lit(1.0, f64)), width))
    y = emit("add", emit("mul", slope, emit("sub", flat, x0)), y0)
    first, end = gather(py, of(lit(0)), 0, "fast"), gather(py, of(last), 0, "fast")
    low, high = gather(px, of(lit(0)), 0, "fast"), gather(px, of(last), 0, "fast")
    # on a point the slope counts for nothing, even if it is infinite
    steep = emit("logical_not", emit("isfinite", slope))
    y = select(emit("bitand", emit("eq", flat, x0), steep), y0, y)
    y = select(emit("ge", flat, high), end if right is None else array(right, f64), y)
    y = select(emit("eq", flat, high), end, y)
    y = select(emit("lt", flat, low), first if left is None else array(left, f64), y)
    y = select(emit("isnan", flat), flat, y)
    return reshape(y, shape)
