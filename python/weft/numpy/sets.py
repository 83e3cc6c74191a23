"""Sets of elements: unique ones, unions, intersections, differences.

How many there are depends on the elements; with ``size=`` a result has that many, cut off or filled up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import Gather, Span, Var, lit
from weft.ir.types import bool_, i64, is_inexact
from weft.numpy.common import (
    Staged,
    array,
    astype,
    axis_of,
    common,
    current,
    emit,
    full,
    gather,
    iota,
    move,
    of,
    prim,
    product,
    reshape,
    result_dtype,
    spread,
    static_bool,
)  # fmt: skip
from weft.numpy.hints import ignoring
from weft.numpy.registry import implements
from weft.numpy.search import np_resized, resized
from weft.numpy.sorting import argsort, searchsorted, sort
from weft.numpy.ufuncs import ufunc
from weft.staged.indexing import getitem

# -- results of a size that is given -----------------------------------------------------------------------------------


def least(x: Staged, fill: Any) -> Any:
    """What fills up sorted elements: the first one, or 0 if there are none."""
    if fill is not None:
        return fill
    rest = x.sizes[1:]
    zero = full(lit(0, x.dtype), (1, *rest))
    return reshape(gather(emit("concat", x, zero, axis=0), of(lit(0)), 0, "fast"), rest)


def np_least(x: Any, fill: Any) -> Any:
    """`least` of a NumPy array."""
    return fill if fill is not None else x[0] if len(x) else 0


def chosen(x: Staged, where: Staged) -> Staged:
    """The elements where a condition holds."""
    return gather(x, of(prim("mask_indices")(where.atom)[1]), 0, "fast")


# -- unique ------------------------------------------------------------------------------------------------------------


def _row_order(x: Staged) -> Staged:
    """The positions that sort the rows of a matrix, their first elements first."""
    n, m = x.sizes
    b = current().builder
    start = iota(n)
    k, order = Var(lit(0).type), Var(start.atom.type)
    with b.scope((k, order)) as block:
        column = emit("sub", of(b.size_value(m)), emit("add", of(k), lit(1)))
        spec = (Gather(), Span(1))
        picked = emit("index", x, of(order), column, spec=spec, mode="fast")
        again = emit("argsort", reshape(picked, (n,)), axis=0)
        block.results = (gather(of(order), again, 0, "fast").atom,)
    return of(b.for_(m, (start.atom,), block)[0])


def _flat(x: Any) -> Staged:
    v = array(x)
    return reshape(v, (product(v.sizes),))


def _np_unique(
    ar: Any, return_index: Any = False, return_inverse: Any = False, return_counts: Any = False, axis: Any = None, *,
    equal_nan: Any = True, sorted: Any = True, size: Any = None, fill_value: Any = None,
) -> Any:  # fmt: skip
    found = np.unique(ar, return_index, return_inverse, return_counts, axis, equal_nan=equal_nan)
    if size is None:
        return found
    parts = list(found) if isinstance(found, tuple) else [found]
    rows = parts[0] if axis is None else np.moveaxis(parts[0], axis, 0)
    rows = np_resized(rows, size, np_least(rows, fill_value))
    parts[0] = rows if axis is None else np.moveaxis(rows, 0, axis)
    if return_index:
        parts[1] = np_resized(parts[1], size, np_least(parts[1], None))
    if return_counts:
        parts[-1] = np_resized(parts[-1], size, 0)
    return tuple(parts) if len(parts) > 1 else parts[0]


@implements(np.unique, run=_np_unique)
def unique(
    ar: Any, return_index: Any = False, return_inverse: Any = False, return_counts: Any = False, axis: Any = None, *,
    equal_nan: Any = True, sorted: Any = True, size: Any = None, fill_value: Any = None,
) -> Any:  # fmt: skip
    """The sorted elements without repeats, or the sorted slices along an axis."""
    x = array(ar)
    b = current().builder
    if axis is None:
        shape, k = x.sizes, 0
        x = reshape(x, (product(shape),))
        order = argsort(x)
        rows = gather(x, order, 0, "fast")
    else:
        k = axis_of(axis, x.ndim)
        x = move(x, k, 0)
        shape = (x.sizes[0],)
        order = _row_order(reshape(x, (x.sizes[0], product(x.sizes[1:]))))
        rows = gather(x, order, 0, "fast")
    n = rows.sizes[0]
    early = emit("maximum", emit("sub", iota(n), lit(1)), lit(0))
    before = gather(rows, early, 0, "fast") if n != 0 else rows
    new = emit("ne", rows, before)
    if axis is None and is_inexact(x.dtype) and static_bool(equal_nan, "equal_nan"):
        both = emit("bitand", emit("isnan", rows), emit("isnan", before))
        new = emit("bitand", new, emit("logical_not", both))
    if new.ndim > 1:
        new = emit("reduce_or", new, axes=tuple(range(1, new.ndim)))
    new = emit("bitor", new, emit("eq", iota(n), lit(0)))
    at = of(prim("mask_indices")(new.atom)[1])
    values = gather(rows, at, 0, "fast")
    out = [values if size is None else resized(values, size, least(values, fill_value))]
    out[0] = move(out[0], 0, k) if k else out[0]
    if static_bool(return_index, "return_index"):
        first = gather(order, at, 0, "fast")
        out.append(first if size is None else resized(first, size, least(first, None)))
    if static_bool(return_inverse, "return_inverse"):
        rank = emit("sub", emit("cumsum", astype(new, i64), axis=0, reverse=False), lit(1))
        placed = emit("store", full(lit(0), (n,)), rank, order, spec=(Gather(),), mode="fast")
        out.append(reshape(placed, shape))
    if static_bool(return_counts, "return_counts"):
        ends = emit("concat", at, spread(of(b.size_value(n)), (1,)), axis=0)
        later = emit("index", ends, lit(1), spec=(Span(at.sizes[0]),), mode="fast")
        counts = emit("sub", later, at)
        out.append(counts if size is None else resized(counts, size, 0))
    return out[0] if len(out) == 1 else tuple(out)


def _result(numpy: Any) -> Any:
    """The class of what one of NumPy's functions gives."""
    return type(numpy(np.zeros(1)))


def _np_unique_all(x: Any, /, *, size: Any = None, fill_value: Any = None) -> Any:
    parts = _np_unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value)
    return _result(np.unique_all)(*parts)


@implements(np.unique_all, run=_np_unique_all)
def unique_all(x: Any, /, *, size: Any = None, fill_value: Any = None) -> Any:
    """The elements without repeats, where they first are, which of them each element is, and how often they occur."""
    return _result(np.unique_all)(*unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value))


def _np_unique_counts(x: Any, /, *, size: Any = None, fill_value: Any = None) -> Any:
    parts = _np_unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value)
    return _result(np.unique_counts)(*parts)


@implements(np.unique_counts, run=_np_unique_counts)
def unique_counts(x: Any, /, *, size: Any = None, fill_value: Any = None) -> Any:
    """The elements without repeats, and how often they occur."""
    parts = unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value)
    return _result(np.unique_counts)(*parts)


def _np_unique_inverse(x: Any, /, *, size: Any = None, fill_value: Any = None) -> Any:
    parts = _np_unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value)
    return _result(np.unique_inverse)(*parts)


@implements(np.unique_inverse, run=_np_unique_inverse)
def unique_inverse(x: Any, /, *, size: Any = None, fill_value: Any = None) -> Any:
    """The elements without repeats, and which of them each element is."""
    parts = unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value)
    return _result(np.unique_inverse)(*parts)


def _np_unique_values(x: Any, /, *, size: Any = None, fill_value: Any = None) -> Any:
    return _np_unique(x, equal_nan=False, size=size, fill_value=fill_value)


@implements(np.unique_values, run=_np_unique_values)
def unique_values(x: Any, /, *, size: Any = None, fill_value: Any = None) -> Any:
    """The elements without repeats, sorted."""
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


# -- two sets ----------------------------------------------------------------------------------------------------------


def _cut(values: Staged, size: Any, fill: Any) -> Staged:
    return values if size is None else resized(values, size, least(values, fill))


def _np_cut(values: Any, size: Any, fill: Any) -> Any:
    return values if size is None else np_resized(values, size, np_least(values, fill))


@ignoring(np.isin, "method")
def isin(element: Any, test_elements: Any, assume_unique: Any = False, invert: Any = False, *, kind: Any = None) -> Any:
    """Whether each element is among others."""
    x, pool = array(element), array(test_elements)
    dtype = result_dtype(x, pool)
    x, pool = astype(x, dtype), sort(astype(reshape(pool, (product(pool.sizes),)), dtype))
    n = pool.sizes[0]
    if n == 0:
        found = full(lit(False, bool_), x.sizes)
    else:
        # the pool may turn out to be empty: an element that is looked at and does not count stands after it
        end = current().builder.size_value(n)
        longer = emit("concat", pool, full(lit(0, dtype), (1,)), axis=0)
        at = searchsorted(pool, x)
        found = emit("bitand", emit("eq", gather(longer, at, 0, "fast"), x), emit("lt", at, end))
    return emit("logical_not", found) if static_bool(invert, "invert") else found


def _np_union1d(ar1: Any, ar2: Any, *, size: Any = None, fill_value: Any = None) -> Any:
    return _np_cut(np.union1d(ar1, ar2), size, fill_value)


@implements(np.union1d, run=_np_union1d)
def union1d(ar1: Any, ar2: Any, *, size: Any = None, fill_value: Any = None) -> Any:
    """The sorted elements that are in either array."""
    x, y = common(_flat(ar1), _flat(ar2))
    return unique(emit("concat", x, y, axis=0), size=size, fill_value=fill_value)


def _np_intersect1d(
    ar1: Any, ar2: Any, assume_unique: Any = False, return_indices: Any = False, *, size: Any = None,
    fill_value: Any = None,
) -> Any:  # fmt: skip
    if not return_indices:
        return _np_cut(np.intersect1d(ar1, ar2, assume_unique), size, fill_value)
    values, i, j = np.intersect1d(ar1, ar2, assume_unique, True)
    if size is None:
        return values, i, j
    return _np_cut(values, size, fill_value), np_resized(i, size, np.size(ar1)), np_resized(j, size, np.size(ar2))


@implements(np.intersect1d, run=_np_intersect1d)
def intersect1d(
    ar1: Any, ar2: Any, assume_unique: Any = False, return_indices: Any = False, *, size: Any = None,
    fill_value: Any = None,
) -> Any:  # fmt: skip
    """The sorted elements that are in both arrays; with ``return_indices`` also where they first are."""
    x, y = common(_flat(ar1), _flat(ar2))
    lengths = [current().builder.size_value(v.sizes[0]) for v in (x, y)]
    if static_bool(assume_unique, "assume_unique"):
        first = [iota(v.sizes[0]) for v in (x, y)]
    else:
        (x, i), (y, j) = unique(x, True), unique(y, True)
        first = [i, j]
    both = emit("concat", x, y, axis=0)
    order = argsort(both)
    rows = gather(both, order, 0, "fast")
    late, early = getitem(rows, slice(1, None)), getitem(rows, slice(None, -1))
    twice = ufunc(np.equal, late, early)
    values = chosen(early, twice)
    out = _cut(values, size, fill_value)
    if not static_bool(return_indices, "return_indices"):
        return out
    n = current().builder.size_value(x.sizes[0])
    at = [chosen(getitem(order, part), twice) for part in (slice(None, -1), slice(1, None))]
    found = [gather(first[0], at[0], 0, "fast"), gather(first[1], emit("sub", at[1], n), 0, "fast")]
    if size is not None:
        found = [resized(f, size, of(m)) for f, m in zip(found, lengths, strict=True)]
    return (out, *found)


def _np_setdiff1d(ar1: Any, ar2: Any, assume_unique: Any = False, *, size: Any = None, fill_value: Any = None) -> Any:
    return _np_cut(np.setdiff1d(ar1, ar2, assume_unique), size, 0 if fill_value is None else fill_value)


@implements(np.setdiff1d, run=_np_setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: Any = False, *, size: Any = None, fill_value: Any = None) -> Any:
    """The elements of the first array that are not in the second."""
    x = _flat(ar1)
    x = x if static_bool(assume_unique, "assume_unique") else unique(x)
    out = chosen(x, isin(x, ar2, invert=True))
    return _cut(out, size, 0 if fill_value is None else fill_value)


def _np_setxor1d(ar1: Any, ar2: Any, assume_unique: Any = False, *, size: Any = None, fill_value: Any = None) -> Any:
    return _np_cut(np.setxor1d(ar1, ar2, assume_unique), size, fill_value)


@implements(np.setxor1d, run=_np_setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: Any = False, *, size: Any = None, fill_value: Any = None) -> Any:
    """The sorted elements that are in one of the arrays only."""
    x, y = common(_flat(ar1), _flat(ar2))
    if not static_bool(assume_unique, "assume_unique"):
        x, y = unique(x), unique(y)
    rows = sort(emit("concat", x, y, axis=0))
    apart = ufunc(np.not_equal, getitem(rows, slice(1, None)), getitem(rows, slice(None, -1)))
    edge = full(lit(True, bool_), (1,))
    before, after = [emit("concat", *pair, axis=0) for pair in ((edge, apart), (apart, edge))]
    # of no elements nothing is apart, and one edge is too many
    n = rows.sizes[0]
    alone = emit("bitand", *[getitem(v, slice(None, n)) if n == 0 else v for v in (before, after)])
    alone = getitem(alone, slice(None, rows.shape[0]))
    return _cut(chosen(rows, alone), size, fill_value)


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: Any = "fb", axis: Any = None) -> Any:
    """The array without leading (``f``) and trailing (``b``) slices of zeros along axes."""
    from weft.numpy.common import dim_or_int

    x = array(filt)
    where = trim.lower()
    axes = range(x.ndim) if axis is None else [axis_of(k, x.ndim) for k in np.atleast_1d(axis)]
    for k in axes:
        used = ufunc(np.not_equal, x, 0)
        rest = tuple([j for j in range(x.ndim) if j != k])
        used = emit("reduce_or", used, axes=rest) if rest else used
        n = x.sizes[k]
        if n == 0:
            continue
        some, count = emit("reduce_or", used, axes=(0,)), of(current().builder.size_value(n))
        first = emit("argmax", astype(used, np.int8), axis=0) if "f" in where else of(lit(0))
        back = emit("argmax", astype(getitem(used, slice(None, None, -1)), np.int8), axis=0)
        end = emit("sub", count, back) if "b" in where else count
        nothing = of(lit(0))
        length = emit("select", some, emit("sub", end, first), nothing)
        x = gather(x, emit("add", iota(dim_or_int(length.atom)), first), k, "fast")
    return x
