"""Sorting, order statistics, searching in sorted arrays, histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import At, Gather, Lit, Span, Var, lit
from weft.ir.types import bool_, f64, i64, is_complex, is_inexact, scalar
from weft.numpy.common import (
    Size,
    Staged,
    agree,
    array,
    astype,
    axes_of,
    axis_of,
    cast,
    check,
    current,
    dim_or_int,
    emit,
    full,
    gather,
    iota,
    kept,
    nonempty,
    number,
    of,
    op_error,
    prim,
    product,
    reshape,
    result_dtype,
    select,
    spread,
    static_bool,
    static_int,
    transpose,
    unsupported,
)  # fmt: skip
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc


def _prepared(a: Any, axis: Any) -> tuple[Staged, int]:
    x = array(a)
    if is_complex(x.dtype):
        raise unsupported("sorting complex numbers", "sort by real parts or absolute values: np.argsort(x.real)")
    if axis is None:
        x, axis = reshape(x, (product(x.sizes),)), 0
    if not x.sizes:
        raise op_error(np.exceptions.AxisError, f"axis {axis} is out of bounds for array of dimension 0")
    return x, axis_of(axis, x.ndim)


@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """A sorted copy."""
    x, k = _prepared(a, axis)
    return emit("sort", x, axis=k)


@implements(np.argsort)
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """The positions that sort an array (stable)."""
    x, k = _prepared(a, axis)
    return emit("argsort", x, axis=k)


@implements(np.partition)
def partition(a: Any, kth: Any, axis: Any = -1) -> Any:
    """A copy with the kth smallest elements in their places (all are sorted)."""
    return sort(a, axis)


@implements(np.argpartition)
def argpartition(a: Any, kth: Any, axis: Any = -1) -> Any:
    """Positions that bring the kth smallest elements to their places (all are sorted)."""
    return argsort(a, axis)


@implements(np.lexsort)
def lexsort(keys: Any, axis: Any = -1) -> Any:
    """The positions that sort by several keys, the last one first."""
    if isinstance(keys, Staged):
        raise unsupported("np.lexsort of an array of keys", "give a tuple of keys")
    rows = [array(k) for k in keys]
    if any(r.ndim != 1 for r in rows):
        raise unsupported("np.lexsort of keys with several axes", "sort one axis at a time")
    order = argsort(rows[0])
    for row in rows[1:]:
        order = gather(order, argsort(gather(row, order, 0, "fast")), 0, "fast")
    return order


# -- order statistics --------------------------------------------------------------------------------------------------


def _flat_axes(x: Staged, axis: Any) -> tuple[Staged, Any]:
    """``x`` with the reduced axes joined and last; and the shape that keepdims gives."""
    axes = axes_of(axis, x.ndim)
    rest = [k for k in range(x.ndim) if k not in axes]
    y = transpose(x, (*rest, *axes))
    n = product([x.sizes[k] for k in axes])
    return reshape(y, (*[x.sizes[k] for k in rest], n)), kept(x.sizes, axes)


def _picked(x: Staged, at: Staged) -> Staged:
    """``x`` at one position of its last axis."""
    spec = (*[Span(n) for n in x.sizes[:-1]], At())
    return emit("index", x, *[lit(0)] * (x.ndim - 1), at, spec=spec, mode="fast")


def _quantile(a: Any, q: Any, axis: Any, keepdims: Any, scale: float, ignore_nan: bool = False) -> Staged:
    """Quantiles by linear interpolation, in the way NumPy rounds."""
    x = array(a)
    if is_complex(x.dtype) or x.dtype == bool_:
        raise op_error(TypeError, f"a quantile of {x.dtype} is not defined")
    x = x if is_inexact(x.dtype) else astype(x, f64)
    qs = ufunc(np.divide, array(q, f64), scale) if scale != 1 else array(q, f64)
    if isinstance(qs.atom, Lit) and not 0 <= float(qs.atom.value) <= 1:
        what = "Percentiles must be in the range [0, 100]" if scale != 1 else "Quantiles must be in the range [0, 1]"
        raise op_error(ValueError, what)
    flat, dims = _flat_axes(x, axis)
    if ignore_nan:
        raise unsupported("a quantile that ignores nan", "np.quantile(x[~np.isnan(x)], q)")
    nonempty(flat, (flat.ndim - 1,), "index -1 is out of bounds for axis 0 with size 0")
    rows = emit("sort", flat, axis=flat.ndim - 1)
    b = current().builder
    last = prim("sub")(b.size_value(rows.sizes[-1]), lit(1))
    bad = emit("isnan", _picked(rows, of(last)))

    def one(t: Staged) -> Staged:
        place = emit("mul", t, cast(last, f64))
        low = emit("floor", place)
        part = astype(emit("sub", place, low), x.dtype)
        i = cast(low.atom, i64)
        j = prim("minimum")(prim("add")(i, lit(1)), last)
        lo, hi = _picked(rows, of(i)), _picked(rows, of(j))
        gap = emit("sub", hi, lo)
        up = emit("add", lo, emit("mul", gap, part))
        down = emit("sub", hi, emit("mul", gap, emit("sub", lit(1, x.dtype), part)))
        out = select(emit("ge", part, lit(0.5, x.dtype)), down, up)
        out = select(bad, number(np.nan, out), out)
        return reshape(out, dims) if static_bool(keepdims, "keepdims") else out

    if not qs.sizes:
        return one(qs)
    if qs.ndim != 1 or not isinstance(qs.sizes[0], int):
        raise unsupported("quantiles at an array of run-time length", "give a list of quantiles")
    from weft.numpy.joining import stack

    out: Staged = stack([one(_picked(qs, of(lit(k)))) for k in range(qs.sizes[0])])
    return out


def _linear(method: Any) -> None:
    if method != "linear":
        raise unsupported(f"a quantile with method={method!r}", "method='linear'")


@implements(np.quantile)
def quantile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, method: Any = "linear",
    keepdims: Any = False,
) -> Any:  # fmt: skip
    """Quantiles over axes, interpolated linearly."""
    _linear(method)
    return _quantile(a, q, axis, keepdims, 1)


@implements(np.percentile)
def percentile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, method: Any = "linear",
    keepdims: Any = False,
) -> Any:  # fmt: skip
    """Percentiles over axes, interpolated linearly."""
    _linear(method)
    return _quantile(a, q, axis, keepdims, 100)


@implements(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, keepdims: Any = False) -> Any:
    """The middle element over axes, or the mean of the two in the middle."""
    x = array(a)
    x = x if is_inexact(x.dtype) else astype(x, f64)
    flat, dims = _flat_axes(x, axis)
    nonempty(flat, (flat.ndim - 1,), "the median of no elements")
    rows = emit("sort", flat, axis=flat.ndim - 1)
    b = current().builder
    n = b.size_value(rows.sizes[-1])
    low, high = prim("floordiv")(prim("sub")(n, lit(1)), lit(2)), prim("floordiv")(n, lit(2))
    total = emit("add", _picked(rows, of(low)), _picked(rows, of(high)))
    odd = emit("eq", low, high)
    out_ = select(odd, _picked(rows, of(low)), emit("mul", total, lit(0.5, x.dtype)))
    bad = emit("isnan", _picked(rows, of(prim("sub")(n, lit(1)))))
    out_ = select(bad, number(np.nan, out_), out_)
    return reshape(out_, dims) if static_bool(keepdims, "keepdims") else out_


# -- searching ---------------------------------------------------------------------------------------------------------


def _less(x: Staged, y: Staged) -> Staged:
    """``x < y`` with nan after everything."""
    out = emit("lt", x, y)
    if is_inexact(x.dtype):
        out = emit("bitor", out, emit("bitand", emit("isnan", y), emit("logical_not", emit("isnan", x))))
    return out


@implements(np.searchsorted)
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


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: Any = False) -> Any:
    """The bin of each element; bins must increase."""
    edges = array(bins)
    if edges.ndim != 1:
        raise op_error(ValueError, "object of too small depth for desired array")
    n = edges.sizes[0]
    if n not in (0, 1):
        from weft.staged.indexing import getitem

        rising = ufunc(np.less_equal, getitem(edges, slice(None, -1)), getitem(edges, slice(1, None)))
        check(
            emit("reduce_and", rising, axes=(0,)), ValueError,
            "bins must increase monotonically (decreasing bins are not compiled: reverse them)",
        )  # fmt: skip
    return searchsorted(edges, x, "left" if static_bool(right, "right") else "right")


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Linear interpolation between points with increasing ``xp``."""
    if period is not None:
        raise unsupported("np.interp with period=", "take x and xp modulo the period, and sort")
    t, px, py = array(x, f64), array(xp, f64), array(fp)
    py = astype(py, result_dtype(py, of(lit(0.0, f64))))
    if is_complex(py.dtype):
        raise unsupported("np.interp of complex numbers", "interpolate real and imaginary parts")
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
    y = select(emit("eq", flat, x0), y0, y)
    y = select(emit("ge", flat, high), end if right is None else array(right, f64), y)
    y = select(emit("eq", flat, high), end, y)
    y = select(emit("lt", flat, low), first if left is None else array(left, f64), y)
    y = select(emit("isnan", flat), flat, y)
    return reshape(y, shape)


# -- sets and counts ---------------------------------------------------------------------------------------------------


@implements(np.unique)
def unique(
    ar: Any, return_index: Any = False, return_inverse: Any = False, return_counts: Any = False, axis: Any = None, *,
    equal_nan: Any = True,
) -> Any:  # fmt: skip
    """The sorted elements without repeats."""
    if axis is not None:
        raise unsupported("np.unique along an axis")
    x = array(ar)
    shape = x.sizes
    x = reshape(x, (product(shape),))
    order = argsort(x)
    rows = gather(x, order, 0, "fast")
    n = rows.sizes[0]
    b = current().builder
    before = gather(rows, emit("maximum", emit("sub", iota(n), lit(1)), lit(0)), 0, "fast") if n != 0 else rows
    new = emit("ne", rows, before)
    if is_inexact(x.dtype) and static_bool(equal_nan, "equal_nan"):
        new = emit("bitand", new, emit("logical_not", emit("bitand", emit("isnan", rows), emit("isnan", before))))
    new = emit("bitor", new, emit("eq", iota(n), lit(0)))
    at = of(prim("mask_indices")(new.atom)[1])
    out = [gather(rows, at, 0, "fast")]
    if static_bool(return_index, "return_index"):
        out.append(gather(order, at, 0, "fast"))
    if static_bool(return_inverse, "return_inverse"):
        rank = emit("sub", emit("cumsum", astype(new, i64), axis=0, reverse=False), lit(1))
        zeros = full(lit(0), (n,))
        placed = emit("store", zeros, rank, order, spec=(Gather(),), mode="fast")
        out.append(reshape(placed, shape))
    if static_bool(return_counts, "return_counts"):
        ends = emit("concat", at, spread(of(b.size_value(n)), (1,)), axis=0)
        m = at.sizes[0]
        spec_hi = emit("index", ends, lit(1), spec=(Span(m),), mode="fast")
        out.append(emit("sub", spec_hi, at))
    return out[0] if len(out) == 1 else tuple(out)


@implements(np.isin)
def isin(element: Any, test_elements: Any, assume_unique: Any = False, invert: Any = False) -> Any:
    """Whether each element is among others."""
    x, pool = array(element), array(test_elements)
    kind = result_dtype(x, pool)
    x, pool = astype(x, kind), sort(astype(reshape(pool, (product(pool.sizes),)), kind))
    n = pool.sizes[0]
    if n == 0:
        found = full(lit(False, bool_), x.sizes)
    else:
        last = prim("maximum")(prim("sub")(current().builder.size_value(n), lit(1)), lit(0))
        at = emit("minimum", searchsorted(pool, x), last)
        found = emit("eq", gather(pool, at, 0, "fast"), x)
    return emit("logical_not", found) if static_bool(invert, "invert") else found


@implements(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """How many elements are in each bin, and the edges."""
    from weft.numpy.creation import linspace
    from weft.staged.indexing import getitem

    x = array(a)
    x = reshape(x, (product(x.sizes),))
    if isinstance(bins, str):
        raise unsupported("np.histogram with bins chosen from the data", "give a number of bins, or edges")
    edges = array(bins) if isinstance(bins, list | tuple | np.ndarray | Staged) and array(bins).sizes else None
    if edges is None:
        count = static_int(bins, "bins")
        if range is None:
            low, high = emit("reduce_min", x, axes=(0,)), emit("reduce_max", x, axes=(0,))
        else:
            low, high = array(range[0], f64), array(range[1], f64)
        low, high = array(low, f64), array(high, f64)
        flat = emit("eq", low, high)
        low = select(flat, emit("sub", low, lit(0.5, f64)), low)
        high = select(flat, emit("add", high, lit(0.5, f64)), high)
        edges = linspace(low, high, count + 1)
        if x.dtype.kind == "f":
            edges = astype(edges, result_dtype(edges, x) if x.dtype == f64 else x.dtype)
        size: Size = count
    else:
        size = edges.sizes[0] - 1
    kind = result_dtype(edges, x)
    wide = astype(edges, kind)
    y = astype(x, kind)
    at = emit("sub", searchsorted(wide, y, "right"), lit(1))
    end = getitem(wide, -1)
    n = current().builder.size_value(size)
    at = select(emit("eq", y, end), emit("sub", full(n, at.sizes), lit(1)), at)
    inside = emit("bitand", emit("ge", at, lit(0)), emit("lt", at, n))
    w = of(lit(1)) if weights is None else array(weights)
    w = spread(w, x.sizes)
    zero = lit(0, w.dtype)
    counts = _summed_at(select(inside, at, of(lit(0))), select(inside, w, of(zero)), size)
    if static_bool(density, "density") if density is not None else False:
        width = ufunc(np.subtract, getitem(edges, slice(1, None)), getitem(edges, slice(None, -1)))
        total = astype(emit("reduce_sum", counts, axes=(0,)), f64)
        return ufunc(np.divide, ufunc(np.divide, counts, width), total), edges
    return counts, edges


def _summed_at(at: Staged, values: Staged, size: Size) -> Staged:
    """The sum of values at each position, positions being in range."""
    zeros = full(lit(0, values.dtype), (size,))
    return emit("accum", zeros, values, at, spec=(Gather(),), mode="fast")
