"""Order statistics: medians, quantiles and percentiles, also of what is not nan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weft.ir.nodes import Lit, lit
from weft.ir.types import bool_, f64, i64, is_complex, is_inexact
from weft.numpy.common import (
    Staged,
    array,
    astype,
    axes_of,
    broadcast_shapes,
    cast,
    check,
    current,
    emit,
    gather,
    kept,
    nonempty,
    number,
    of,
    op_error,
    product,
    reshape,
    select,
    spread,
    static_bool,
    transpose,
    unsupported,
    value,
)  # fmt: skip
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc


def _columns(x: Staged, axis: Any) -> tuple[Staged, Any]:
    """``x`` with the reduced axes joined and first, sorted along them; and the shape that keepdims gives."""
    axes = axes_of(axis, x.ndim)
    rest = [k for k in range(x.ndim) if k not in axes]
    y = transpose(x, (*axes, *rest))
    n = product([x.sizes[k] for k in axes])
    y = reshape(y, (n, *[x.sizes[k] for k in rest]))
    nonempty(y, (0,), "index -1 is out of bounds for axis 0 with size 0")
    return emit("sort", y, axis=0), kept(x.sizes, axes)


def _counts(rows: Staged, ignore_nan: bool) -> Staged:
    """The number of elements of each column, or of those that are not nan."""
    n = of(current().builder.size_value(rows.sizes[0]))
    if not ignore_nan or not is_inexact(rows.dtype):
        return n
    return emit("reduce_sum", astype(emit("logical_not", emit("isnan", rows)), i64), axes=(0,))


def _picked(rows: Staged, at: Staged, alike: bool) -> Staged:
    """Rows at positions; if not all columns are ``alike``, the positions' last axes are the columns'."""
    if alike:
        return gather(rows, at, 0, "fast")
    from weft.numpy.search import take_along_axis

    rest = rows.sizes[1:]
    lead = at.sizes[: at.ndim - len(rest)]
    flat = reshape(at, (product(lead), *rest))
    return reshape(take_along_axis(rows, flat, 0), at.sizes)


# -- quantiles ---------------------------------------------------------------------------------------------------------


def _affine(alpha: float, beta: float) -> Callable[[Staged, Staged], Staged]:
    """Where a quantile lies among n sorted elements, for interpolation with these two parameters."""

    def place(n: Staged, q: Staged) -> Staged:
        shift = ufunc(np.add, alpha, ufunc(np.multiply, q, 1 - alpha - beta))
        return ufunc(np.subtract, ufunc(np.add, ufunc(np.multiply, n, q), shift), 1)  # type: ignore[no-any-return]

    return place


def _linear(n: Staged, q: Staged) -> Staged:
    return ufunc(np.multiply, ufunc(np.subtract, n, 1), q)  # type: ignore[no-any-return]


def _even(v: Staged) -> Staged:
    return ufunc(np.equal, ufunc(np.remainder, ufunc(np.floor, v), 2), 0)  # type: ignore[no-any-return]


def _step(upper: Callable[[Staged, Staged], Any]) -> Callable[[Staged, Staged], Staged]:
    """A part of the way that is all or nothing: all where ``upper(part, place)``."""
    return lambda part, v: astype(upper(part, v), part.dtype)


def _halfway(part: Staged, v: Staged) -> Staged:
    return select(ufunc(np.equal, part, 0), number(0, part), number(0.5, part))


def _odd_half(part: Staged, v: Staged) -> Any:
    """Upwards, but for halves where the lower position is even."""
    tie = ufunc(np.equal, part, 0.5)
    return ufunc(np.greater, part, 0.5) | (tie & ufunc(np.logical_not, _even(v)))


#: For each method: the place among the sorted elements, the part of the way to the next one, and whether it picks.
_METHODS: dict[str, tuple[Callable[[Staged, Staged], Staged], Any, bool]] = {
    "inverted_cdf": (_affine(0, 1), _step(lambda part, v: ufunc(np.greater, part, 0)), True),
    "averaged_inverted_cdf": (
        _affine(0, 1), lambda part, v: select(ufunc(np.equal, part, 0), number(0.5, part), number(1, part)), False,
    ),
    "closest_observation": (
        lambda n, q: ufunc(np.subtract, _affine(0, 1)(n, q), 0.5),
        _step(lambda part, v: ufunc(np.logical_not, ufunc(np.equal, part, 0) & ufunc(np.logical_not, _even(v)))), True,
    ),
    "interpolated_inverted_cdf": (_affine(0, 1), None, False),
    "hazen": (_affine(0.5, 0.5), None, False),
    "weibull": (_affine(0, 0), None, False),
    "linear": (_linear, None, False),
    "median_unbiased": (_affine(1 / 3, 1 / 3), None, False),
    "normal_unbiased": (_affine(3 / 8, 3 / 8), None, False),
    "lower": (_linear, _step(lambda part, v: ufunc(np.less, part, 0)), True),
    "higher": (_linear, _step(lambda part, v: ufunc(np.greater, part, 0)), True),
    "midpoint": (_linear, _halfway, False),
    "nearest": (_linear, _step(_odd_half), True),
}  # fmt: skip


def _fractions(q: Any, x: Staged, scale: int) -> Staged:
    """The quantiles asked for, as fractions of one; those out of range are refused."""
    v = value(q)
    if scale != 1:
        v = ufunc(np.true_divide, v, number(scale, x) if x.dtype.kind == "f" else scale)
    elif v.flavour == "py":
        v = array(v, x.dtype if x.dtype.kind == "f" else f64)
    v = v if v.dtype.kind == "f" else astype(v, f64)
    what = "Percentiles must be in the range [0, 100]" if scale != 1 else "Quantiles must be in the range [0, 1]"
    if isinstance(v.atom, Lit):
        if not 0 <= float(v.atom.value) <= 1:
            raise op_error(ValueError, what)
        return v
    fine = emit("bitand", emit("ge", v, lit(0, v.dtype)), emit("le", v, lit(1, v.dtype)))
    check(emit("reduce_and", fine, axes=tuple(range(v.ndim))) if v.sizes else fine, ValueError, what)
    return v


def _quantile(
    a: Any, q: Any, axis: Any, keepdims: Any, scale: int, method: Any, weights: Any, ignore_nan: bool = False
) -> Staged:
    if weights is not None:
        raise unsupported("quantiles with weights", "repeat the elements: np.quantile(np.repeat(x, counts), q)")
    if method not in _METHODS:
        raise op_error(ValueError, f"{method!r} is not a valid method. Use one of: {', '.join(_METHODS)}")
    place_of, part_of, picks = _METHODS[method]
    x = array(a)
    if is_complex(x.dtype):
        raise op_error(TypeError, "a must be an array of real numbers")
    if x.dtype == bool_:
        raise op_error(TypeError, "a quantile of bool is not defined")
    qs = _fractions(q, x, scale)
    x = x if is_inexact(x.dtype) or picks else astype(x, f64)
    rows, dims = _columns(x, axis)
    rest, alike = rows.sizes[1:], not ignore_nan or not is_inexact(x.dtype)
    wide = reshape(qs, (*qs.sizes, *[1] * len(rest))) if not alike else qs
    n = astype(_counts(rows, ignore_nan), qs.dtype)
    place = place_of(n, wide)
    low = ufunc(np.floor, place)
    part = ufunc(np.subtract, place, low)
    part = part if part_of is None else part_of(part, place)
    last = ufunc(np.maximum, ufunc(np.subtract, n, 1), 0)
    first = ufunc(np.minimum, ufunc(np.maximum, low, 0), last)
    second = ufunc(np.minimum, ufunc(np.maximum, ufunc(np.add, low, 1), 0), last)
    if picks:
        at = select(ufunc(np.greater, part, 0), second, first)
        out = _picked(rows, _positions(at, place, rest, alike), alike)
    else:
        lo, hi = [_picked(rows, _positions(p, place, rest, alike), alike) for p in (first, second)]
        if alike:
            part = reshape(part, (*part.sizes, *[1] * len(rest)))
        out = _between(lo, hi, part)
    if is_inexact(x.dtype) and not ignore_nan:
        bad = emit("isnan", gather(rows, of(current().builder.size_value(rows.sizes[0] - 1)), 0, "fast"))
        out = select(spread(bad, out.sizes), number(np.nan, out), out)
    return reshape(out, (*qs.sizes, *dims)) if static_bool(keepdims, "keepdims") else out


def _positions(at: Staged, place: Staged, rest: Any, alike: bool) -> Staged:
    whole = of(cast(at.atom, i64))
    return whole if alike else spread(whole, broadcast_shapes("quantile", place.sizes, rest))


def _between(lo: Staged, hi: Staged, part: Staged) -> Staged:
    """The number at this part of the way, in the way NumPy rounds."""
    gap = ufunc(np.subtract, hi, lo)
    up = ufunc(np.add, lo, ufunc(np.multiply, gap, part))
    down = ufunc(np.subtract, hi, ufunc(np.multiply, gap, ufunc(np.subtract, 1, part)))
    return select(spread(ufunc(np.greater_equal, part, 0.5), up.sizes), down, up)


@implements(np.quantile)
def quantile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, method: Any = "linear",
    keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    """Quantiles over axes, interpolated by any of NumPy's methods."""
    return _quantile(a, q, axis, keepdims, 1, method, weights)


@implements(np.percentile)
def percentile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, method: Any = "linear",
    keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    """Percentiles over axes, interpolated by any of NumPy's methods."""
    return _quantile(a, q, axis, keepdims, 100, method, weights)


@implements(np.nanquantile)
def nanquantile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, method: Any = "linear",
    keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    """Quantiles over axes, ignoring nan."""
    return _quantile(a, q, axis, keepdims, 1, method, weights, True)


@implements(np.nanpercentile)
def nanpercentile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, method: Any = "linear",
    keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    """Percentiles over axes, ignoring nan."""
    return _quantile(a, q, axis, keepdims, 100, method, weights, True)


# -- medians -----------------------------------------------------------------------------------------------------------


def _median(a: Any, axis: Any, keepdims: Any, ignore_nan: bool) -> Staged:
    x = array(a)
    x = x if is_inexact(x.dtype) else astype(x, f64)
    rows, dims = _columns(x, axis)
    rest, alike = rows.sizes[1:], not ignore_nan
    n = _counts(rows, ignore_nan)
    low = ufunc(np.maximum, ufunc(np.floor_divide, ufunc(np.subtract, n, 1), 2), 0)
    high = ufunc(np.minimum, ufunc(np.floor_divide, n, 2), ufunc(np.maximum, ufunc(np.subtract, n, 1), 0))
    below, above = [_picked(rows, k if alike else spread(k, (1, *rest)), alike) for k in (low, high)]
    mean = emit("mul", emit("add", below, above), lit(0.5, x.dtype))
    odd = ufunc(np.equal, low, high)
    odd = odd if alike else spread(odd, (1, *rest))
    out = select(odd, below, mean)
    if not ignore_nan:
        bad = emit("isnan", gather(rows, ufunc(np.subtract, n, 1), 0, "fast"))
        out = select(bad, number(np.nan, out), out)
    return reshape(out, dims if static_bool(keepdims, "keepdims") else rest)


@implements(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, keepdims: Any = False) -> Any:
    """The middle element over axes, or the mean of the two in the middle."""
    return _median(a, axis, keepdims, False)


@implements(np.nanmedian)
def nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, keepdims: Any = False) -> Any:
    """The median over axes, ignoring nan."""
    return _median(a, axis, keepdims, True)
