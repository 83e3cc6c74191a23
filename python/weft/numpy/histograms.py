"""Histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Gather, lit
from weft.ir.sizes import Size
from weft.ir.types import f64
from weft.numpy.common import (
    Staged,
    agree,
    along,
    array,
    astype,
    axes_of,
    current,
    emit,
    full,
    of,
    op_error,
    product,
    reshape,
    result_dtype,
    select,
    spread,
    static_bool,
    static_int,
    under,
    unsupported,
    value,
)  # fmt: skip
from weft.numpy.creation import linspace
from weft.numpy.registry import implements
from weft.numpy.sorting import searchsorted
from weft.numpy.ufuncs import ufunc
from weft.staged.indexing import getitem


def _is_edges(bins: Any) -> bool:
    return isinstance(bins, list | tuple | np.ndarray | Staged) and bool(array(bins).sizes)


def _edges(x: Staged, bins: Any, range: Any) -> Staged:
    """The edges of the bins of a row of elements: those given, or some that divide its range evenly."""
    if isinstance(bins, str):
        raise unsupported("a histogram with bins chosen from the data", "give a number of bins, or edges")
    if _is_edges(bins):
        edges = array(bins)
        if edges.ndim != 1:
            raise op_error(ValueError, "`bins` must be 1d, when an array")
        return edges
    count = static_int(bins, "bins")
    if count < 1:
        raise op_error(ValueError, "`bins` must be positive, when an integer")
    if range is None:
        if x.sizes[0] == 0:
            low, high = of(lit(0.0, f64)), of(lit(1.0, f64))
        else:
            low, high = emit("reduce_min", x, axes=(0,)), emit("reduce_max", x, axes=(0,))
    else:
        low, high = array(range[0], f64), array(range[1], f64)
    low, high = array(low, f64), array(high, f64)
    flat = emit("eq", low, high)
    low = select(flat, emit("sub", low, lit(0.5, f64)), low)
    high = select(flat, emit("add", high, lit(0.5, f64)), high)
    edges = linspace(low, high, count + 1)
    if x.dtype.kind == "f":
        edges = astype(edges, x.dtype)
    return edges


def _bins_of(x: Staged, edges: Staged) -> tuple[Staged, Staged]:
    """The bin of each element, and whether it is in any; the last bin takes its right edge too."""
    kind = result_dtype(edges, x)
    wide, y = astype(edges, kind), astype(x, kind)
    at = emit("sub", searchsorted(wide, y, "right"), lit(1))
    n = current().builder.size_value(edges.sizes[0] - 1)
    at = select(emit("eq", y, getitem(wide, -1)), emit("sub", full(n, at.sizes), lit(1)), at)
    return at, emit("bitand", emit("ge", at, lit(0)), emit("lt", at, n))


def _summed_at(at: Staged, inside: Staged, weights: Any, size: Size, shape: Any) -> Staged:
    """The number of elements at each position, or the sum of their weights."""
    w = of(lit(1)) if weights is None else array(weights)
    w = spread(reshape(w, (product(w.sizes),)) if w.ndim > 1 else w, shape)
    values = select(inside, w, of(lit(0, w.dtype)))
    places = select(inside, at, of(lit(0)))
    return emit("accum", full(lit(0, w.dtype), (size,)), values, places, spec=(Gather(),), mode="fast")


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """The edges of the bins that `histogram` would use."""
    x = array(a)
    return _edges(reshape(x, (product(x.sizes),)), bins, range)


@implements(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """How many elements are in each bin, and the edges."""
    x = array(a)
    x = reshape(x, (product(x.sizes),))
    edges = _edges(x, bins, range)
    size = edges.sizes[0] - 1
    at, inside = _bins_of(x, edges)
    counts = _summed_at(at, inside, weights, size, x.sizes)
    if density is None or not static_bool(density, "density"):
        return counts, edges
    width = ufunc(np.subtract, getitem(edges, slice(1, None)), getitem(edges, slice(None, -1)))
    total = astype(emit("reduce_sum", counts, axes=(0,)), f64)
    return ufunc(np.divide, ufunc(np.divide, counts, width), total), edges


def _columns(sample: Any) -> list[Staged]:
    """The coordinates of the points: columns of a matrix, or the rows of a list."""
    if isinstance(sample, list | tuple):
        rows = [array(row) for row in sample]
        for row in rows[1:]:
            agree(row.sizes[0], rows[0].sizes[0], _unequal)
        return [under(row, rows[0].sizes) for row in rows]
    x = array(sample)
    x = reshape(x, (*x.sizes, 1)) if x.ndim == 1 else x
    d = current().fix(x.sizes[1], "the number of coordinates of a histogram")
    return [getitem(x, (slice(None), k)) for k in range(d)]


def _unequal() -> None:
    raise op_error(ValueError, "x and y must have the same length.")


@implements(np.histogramdd)
def histogramdd(sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """How many points are in each cell of a grid, and the edges along each axis."""
    columns = _columns(sample)
    d = len(columns)
    if isinstance(bins, Sequence) and not isinstance(bins, str):
        if len(bins) != d:
            raise op_error(ValueError, "The dimension of bins must be equal to the dimension of the sample x.")
        each = list(bins)
    else:
        each = [bins] * d
    spans = [None] * d if range is None else list(range)
    if len(spans) != d:
        raise op_error(ValueError, "range argument must have one entry per dimension")
    edges = [
        astype(e, result_dtype(value(e), 0.0)) if _is_edges(b) else e
        for e, b in zip([_edges(c, b, r) for c, b, r in zip(columns, each, spans, strict=True)], each, strict=True)
    ]
    place: Any = of(lit(0))
    inside: Any = None
    shape: list[Size] = []
    for column, e in zip(columns, edges, strict=True):
        at, fine = _bins_of(column, e)
        n = e.sizes[0] - 1
        shape.append(n)
        place = emit("add", emit("mul", place, current().builder.size_value(n)), at)
        inside = fine if inside is None else emit("bitand", inside, fine)
    counts = reshape(_summed_at(place, inside, weights, product(shape), columns[0].sizes), tuple(shape))
    counts = astype(counts, f64)
    if density is not None and static_bool(density, "density"):
        total = emit("reduce_sum", counts, axes=axes_of(None, d))
        for k, e in enumerate(edges):
            width = ufunc(np.subtract, getitem(e, slice(1, None)), getitem(e, slice(None, -1)))
            counts = ufunc(np.divide, counts, along(width, k, d))
        counts = ufunc(np.divide, counts, total)
    return counts, tuple(edges)


@implements(np.histogram2d)
def histogram2d(x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """How many points of the plane are in each cell, and the edges along both axes."""
    if isinstance(bins, list | tuple | np.ndarray | Staged):
        n = len(bins) if not isinstance(bins, Staged) else None
        if n not in (1, 2):
            bins = [array(bins), array(bins)]
    counts, edges = histogramdd([array(x), array(y)], bins, range, density, weights)
    return counts, edges[0], edges[1]
