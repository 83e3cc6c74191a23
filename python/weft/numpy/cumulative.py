"""Cumulative sums and products, differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import lit
from weft.ir.types import bool_
from weft.numpy.common import (
    Staged,
    array,
    astype,
    axis_of,
    emit,
    number,
    op_error,
    product,
    reshape,
    select,
    static_int,
)  # fmt: skip
from weft.numpy.reductions import summed_dtype
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc


def scan(name: str, a: Any, axis: Any, dtype: Any = None, widen: bool = True) -> Staged:
    """A cumulative primitive along an axis, of the flat array if there is none."""
    x = array(a)
    if dtype is not None or widen:
        x = astype(x, np.dtype(dtype) if dtype is not None else summed_dtype(x.dtype))
    if axis is None:
        x, axis = reshape(x, (product(x.sizes),)), 0
    return emit(name, x, axis=axis_of(axis, x.ndim), reverse=False)


@implements(np.cumsum)
def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Partial sums."""
    return scan("cumsum", a, axis, dtype)


@implements(np.cumprod)
def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Partial products."""
    return scan("cumprod", a, axis, dtype)


def _cumulative(name: str, x: Any, axis: Any, dtype: Any, include_initial: Any, first: int) -> Staged:
    from weft.numpy.common import full, static_bool
    from weft.numpy.joining import concatenate

    v = array(x)
    if axis is None:
        if v.ndim > 1:
            raise op_error(ValueError, "For arrays which have more than one dimension ``axis`` argument is required.")
        axis = 0
    if not v.sizes:
        v = reshape(v, (1,))
    k = axis_of(axis, v.ndim)
    out = scan(name, v, k, dtype)
    if static_bool(include_initial, "include_initial"):
        edge = full(lit(first, out.dtype), (*v.sizes[:k], 1, *v.sizes[k + 1 :]))
        out = concatenate([edge, out], k)
    return out


@implements(np.cumulative_sum)
def cumulative_sum(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: Any = False
) -> Any:
    """Partial sums along an axis; with ``include_initial`` they begin with 0."""
    return _cumulative("cumsum", x, axis, dtype, include_initial, 0)


@implements(np.cumulative_prod)
def cumulative_prod(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: Any = False
) -> Any:
    """Partial products along an axis; with ``include_initial`` they begin with 1."""
    return _cumulative("cumprod", x, axis, dtype, include_initial, 1)


def _ignoring_nan(a: Any, fill: float) -> Staged:
    x = array(a)
    return select(emit("isnan", x), number(fill, x), x) if x.dtype.kind in "fc" else x


@implements(np.nancumsum)
def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Partial sums, ignoring nan."""
    return scan("cumsum", _ignoring_nan(a, 0), axis, dtype)


@implements(np.nancumprod)
def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Partial products, ignoring nan."""
    return scan("cumprod", _ignoring_nan(a, 1), axis, dtype)


def _sides(x: Staged, axis: int) -> tuple[Staged, Staged]:
    from weft.staged.indexing import getitem

    lead = (slice(None),) * axis
    return getitem(x, (*lead, slice(1, None))), getitem(x, (*lead, slice(None, -1)))


@implements(np.diff)
def diff(a: Any, n: Any = 1, axis: Any = -1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours, taken ``n`` times."""
    from weft.numpy.joining import concatenate
    from weft.numpy.shape import broadcast_to

    x, times = array(a), static_int(n, "n")
    if times < 0:
        raise op_error(ValueError, f"order must be non-negative but got {times}")
    if x.ndim == 0:
        raise op_error(ValueError, "diff requires input that is at least one dimensional")
    k = axis_of(axis, x.ndim)
    parts = []
    for extra in (prepend, None, append):
        if extra is None:
            continue
        v = array(extra)
        parts.append(v if v.sizes else broadcast_to(v, [1 if j == k else s for j, s in enumerate(x.shape)]))
    if prepend is not None or append is not None:
        parts.insert(1 if prepend is not None else 0, x)
        x = concatenate(parts, k)
    for _ in range(times):
        late, early = _sides(x, k)
        x = ufunc(np.not_equal if x.dtype == bool_ else np.subtract, late, early)
    return x


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours of the flat array, with numbers before and after them."""
    from weft.numpy.joining import concatenate

    x = array(ary)
    out = diff(reshape(x, (product(x.sizes),)))
    ends = [None if v is None else array(v, x.dtype) for v in (to_begin, to_end)]
    begin, end = [None if v is None else reshape(v, (product(v.sizes),)) for v in ends]
    parts = [p for p in (begin, out, end) if p is not None]
    return concatenate(parts) if len(parts) > 1 else out


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Any:
    """The integral by the trapezoidal rule."""
    from weft.numpy.reductions import sum
    from weft.numpy.shape import moveaxis

    v = array(y)
    k = axis_of(axis, v.ndim)
    late, early = _sides(v, k)
    if x is None:
        width: Any = dx
    else:
        width = diff(array(x), axis=-1 if array(x).ndim == 1 else k)
        if width.ndim == 1 and v.ndim > 1:
            width = moveaxis(reshape(width, (*width.sizes, *[1] * (v.ndim - 1))), 0, k)
    return sum(ufunc(np.divide, ufunc(np.multiply, width, ufunc(np.add, late, early)), 2.0), k)


def _three_points(rows: Any, h1: Any, h2: Any, at: int) -> Any:
    """The slope at one of three points, ``h1`` and ``h2`` apart, of the parabola through their values."""
    both = ufunc(np.add, h1, h2)
    outer, inner = ufunc(np.multiply, h1, both), ufunc(np.multiply, h2, both)
    middle = ufunc(np.multiply, h1, h2)
    if at == 0:
        weights = [
            (ufunc(np.negative, ufunc(np.add, both, h1)), outer),
            (both, middle),
            (ufunc(np.negative, h1), inner),
        ]
    elif at == 1:
        weights = [(ufunc(np.negative, h2), outer), (ufunc(np.subtract, h2, h1), middle), (h1, inner)]
    else:
        weights = [(h2, outer), (ufunc(np.negative, both), middle), (ufunc(np.add, both, h2), inner)]
    terms = [ufunc(np.multiply, ufunc(np.divide, *w), r) for w, r in zip(weights, rows, strict=True)]
    return ufunc(np.add, ufunc(np.add, terms[0], terms[1]), terms[2])


def _slopes(x: Staged, k: int, h: Staged, order: int) -> Staged:
    """Differences along an axis, ``h`` apart: a number, or the gaps between the points."""
    from weft.numpy.common import along
    from weft.numpy.joining import concatenate
    from weft.staged.indexing import getitem

    def part(start: Any, stop: Any) -> Any:
        return getitem(x, (*[slice(None)] * k, slice(start, stop)))

    def gap(start: Any, stop: Any) -> Any:
        return h if not h.sizes else along(getitem(h, slice(start, stop)), k, x.ndim)

    if h.sizes:
        inner = _three_points((part(None, -2), part(1, -1), part(2, None)), gap(None, -1), gap(1, None), 1)
    else:
        inner = ufunc(np.divide, ufunc(np.subtract, part(2, None), part(None, -2)), ufunc(np.multiply, 2.0, h))
    if order == 1:
        first = ufunc(np.divide, ufunc(np.subtract, part(1, 2), part(0, 1)), gap(0, 1))
        last = ufunc(np.divide, ufunc(np.subtract, part(-1, None), part(-2, -1)), gap(-1, None))
    else:
        first = _three_points((part(0, 1), part(1, 2), part(2, 3)), gap(0, 1), gap(1, 2), 0)
        last = _three_points((part(-3, -2), part(-2, -1), part(-1, None)), gap(-2, -1), gap(-1, None), 2)
    out: Staged = concatenate([first, inner, last], k)
    return out


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    """Central differences, one-sided at the ends; spacing a number per axis, or the coordinates of its points."""
    from weft.numpy.common import agree, axes_of

    x = array(f)
    if x.dtype.kind not in "fc":
        x = astype(x, np.float64)
    order = static_int(edge_order, "edge_order")
    if order not in (1, 2):
        raise op_error(ValueError, "'edge_order' greater than 2 not supported")
    axes = axes_of(axis, x.ndim) if not isinstance(axis, list | tuple) else tuple([axis_of(k, x.ndim) for k in axis])
    one = len(varargs) == 1 and not array(varargs[0]).sizes
    steps = list(varargs) * len(axes) if one else list(varargs) or [1.0] * len(axes)
    if len(steps) != len(axes):
        raise op_error(TypeError, "invalid number of arguments")
    out = []
    for k, step in zip(axes, steps, strict=True):
        h = array(step)
        if h.sizes:
            if h.ndim != 1:
                raise op_error(ValueError, "distances must be either scalars or 1d")
            agree(h.sizes[0], x.sizes[k], _unequal)
            h = diff(h if h.dtype.kind == "f" else astype(h, np.float64))
        out.append(_slopes(x, k, h, order))
    return out[0] if len(out) == 1 else tuple(out)


def _unequal() -> None:
    raise op_error(ValueError, "when 1d, distances must match the length of the corresponding dimension")
