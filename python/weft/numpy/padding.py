"""Borders around arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weft.ir.nodes import Span, lit
from weft.ir.sizes import Shape, Size
from weft.numpy import reductions
from weft.numpy.common import (
    Staged,
    along,
    array,
    astype,
    axis_of,
    cast,
    current,
    emit,
    full,
    gather,
    iota,
    of,
    op_error,
    size_of,
    spread,
)  # fmt: skip
from weft.numpy.elementwise import where
from weft.numpy.joining import concatenate
from weft.numpy.quantiles import median
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc
from weft.staged.indexing import getitem


def _pairs(widths: Any, rank: int) -> list[tuple[Any, Any]]:
    """Amounts before and after each axis, from NumPy's short forms."""
    if isinstance(widths, np.ndarray):
        widths = widths.tolist()
    if isinstance(widths, dict):
        named = {axis_of(k, rank): w for k, w in widths.items()}
        rows: list[Any] = [named.get(k, (0, 0)) for k in range(rank)]
        return [(w, w) if not isinstance(w, list | tuple) else tuple(w) for w in rows]  # type: ignore[misc]
    if not isinstance(widths, list | tuple):
        return [(widths, widths)] * rank
    if not any(isinstance(w, list | tuple) for w in widths):
        pair = tuple(widths) * 2 if len(widths) == 1 else tuple(widths)
        return [pair] * rank  # type: ignore[list-item]
    rows = [tuple(w) * 2 if len(w) == 1 else tuple(w) for w in widths]
    return rows * rank if len(rows) == 1 else rows


#: What each mode may be told more.
_OPTIONS: dict[str, set[str]] = {
    "constant": {"constant_values"}, "linear_ramp": {"end_values"}, "reflect": {"reflect_type"},
    "symmetric": {"reflect_type"}, "maximum": {"stat_length"}, "mean": {"stat_length"}, "median": {"stat_length"},
    "minimum": {"stat_length"}, "edge": set(), "wrap": set(), "empty": set(),
}  # fmt: skip


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """The array with a border, in any of NumPy's modes."""
    x = _array(array)
    widths = [(size_of(a), size_of(b)) for a, b in _pairs(pad_width, x.ndim)]
    if len(widths) != x.ndim:
        raise op_error(ValueError, f"pad_width has {len(widths)} pairs for {x.ndim} axes")
    if any(isinstance(s, int) and s < 0 for w in widths for s in w):
        raise op_error(ValueError, "index can't contain negative values")
    if callable(mode):
        raise op_error(TypeError, "np.pad with a function, which writes: pad with constants, and write the border")
    if mode not in _OPTIONS:
        raise op_error(ValueError, f"mode '{mode}' is not supported")
    extra = set(kwargs) - _OPTIONS[mode]
    if extra:
        raise op_error(ValueError, f"unsupported keyword arguments for mode '{mode}': {extra}")
    if mode in ("constant", "empty"):
        return _pad_constant(x, widths, kwargs.get("constant_values", 0))
    if mode == "linear_ramp":
        return _along_axes(x, widths, _pairs(kwargs.get("end_values", 0), x.ndim), _ramp)
    if mode in _STATISTICS:
        given = kwargs.get("stat_length")
        lengths = [(None, None)] * x.ndim if given is None else _pairs(given, x.ndim)
        return _along_axes(x, widths, lengths, _statistic(_STATISTICS[mode]))
    odd = kwargs.get("reflect_type", "even") == "odd"
    for k, (before, after) in enumerate(widths):
        if before == 0 and after == 0:
            continue
        b = current().builder
        n = x.sizes[k]
        at = emit("sub", iota(n + before + after), b.size_value(before))
        x = _turned(x, at, k, mode) if odd else gather(x, _PAD[mode](at, of(b.size_value(n))), k, "fast")
    return x


def _turned(x: Staged, at: Staged, k: int, mode: str) -> Staged:
    """Reflections in points: beyond an end, twice the end less what is reflected.

    Each turn runs the other way than the one before, and begins where that one ended: higher by the rise of a row.
    """
    n = of(current().builder.size_value(x.sizes[k]))
    last = emit("sub", n, lit(1))
    period = emit("maximum", last, lit(1)) if mode == "reflect" else n
    turns = along(emit("floordiv", at, period), k, x.ndim)
    inner = gather(x, _PAD[mode](at, n), k, "fast")
    first, end = _edge(x, k, False), _edge(x, k, True)
    backwards = ufunc(np.subtract, ufunc(np.add, first, end), inner)
    way = where(ufunc(np.equal, ufunc(np.remainder, turns, 2), 1), backwards, inner)
    level = ufunc(np.multiply, ufunc(np.subtract, end, first), turns)
    return astype(ufunc(np.add, way, level), x.dtype)


Border = Callable[[Staged, int, Size, Any, bool], Any]


def _along_axes(x: Staged, widths: Any, options: Any, border: Border) -> Staged:
    """A border made along each axis in turn, of these widths, with options for both sides."""
    for k, ((before, after), (first, last)) in enumerate(zip(widths, options, strict=True)):
        rows = [border(x, k, before, first, False), x, border(x, k, after, last, True)]
        x = concatenate([astype(r, x.dtype) for r in rows], k)
    return x


def _edge(x: Staged, k: int, after: bool) -> Staged:
    out: Staged = getitem(x, (*[slice(None)] * k, slice(-1, None) if after else slice(0, 1)))
    return out


def _ramp(x: Staged, k: int, width: Size, end: Any, after: bool) -> Any:
    """Even steps between an end value and the edge."""
    n, step = of(current().builder.size_value(width)), iota(width)
    if after:
        step = emit("sub", emit("sub", n, lit(1)), step)
    part = ufunc(np.true_divide, along(step, k, x.ndim), ufunc(np.maximum, n, 1))
    target = array(end, x.dtype)
    ramp = ufunc(np.add, target, ufunc(np.multiply, ufunc(np.subtract, _edge(x, k, after), target), part))
    return ufunc(np.floor, ramp) if x.dtype.kind in "iu" else ramp


_STATISTICS: dict[str, Any] = {
    "maximum": reductions.max, "minimum": reductions.min, "mean": reductions.mean, "median": median,
}  # fmt: skip


def _statistic(function: Any) -> Border:
    def border(x: Staged, k: int, width: Size, length: Any, after: bool) -> Any:
        rows = x
        if length is not None:
            part = slice(-length, None) if after else slice(None, length)
            rows = getitem(x, (*[slice(None)] * k, part))
        value = function(rows, k, keepdims=True)
        value = ufunc(np.rint, value) if x.dtype.kind in "iu" else value
        return spread(array(value), (*x.sizes[:k], width, *x.sizes[k + 1 :]))

    return border


_array = array


def _pad_constant(x: Staged, widths: list[tuple[Size, Size]], fill: Any) -> Staged:
    b = current().builder
    fills = _pairs(fill, x.ndim)
    if len({id(v) if isinstance(v, Staged) else v for pair in fills for v in pair}) <= 1:
        shape: Shape = tuple([n + p + q for n, (p, q) in zip(x.sizes, widths, strict=True)])
        value = cast(_array(fills[0][0] if fills else 0).atom, x.dtype)
        base = full(value, shape)
        starts = [b.size_value(p) for p, _ in widths]
        return emit("store", base, x, *starts, spec=tuple([Span(n) for n in x.sizes]), mode="fast") if shape else x
    for k, ((p, q), (u, v)) in enumerate(zip(widths, fills, strict=True)):
        parts = []
        for n, c in ((p, u), (q, v)):
            parts.append(full(cast(_array(c).atom, x.dtype), (*x.sizes[:k], n, *x.sizes[k + 1 :])))
        x = emit("concat", parts[0], x, parts[1], axis=k)
    return x


def _clipped(at: Staged, n: Staged) -> Staged:
    return emit("maximum", emit("minimum", at, emit("sub", n, lit(1))), lit(0))


def _reflected(at: Staged, n: Staged) -> Staged:
    last = emit("sub", n, lit(1))
    period = emit("maximum", emit("mul", last, lit(2)), lit(1))
    k = emit("mod", at, period)
    return emit("minimum", k, emit("sub", period, k))


def _symmetric(at: Staged, n: Staged) -> Staged:
    period = emit("mul", n, lit(2))
    k = emit("mod", at, period)
    return emit("minimum", k, emit("sub", emit("sub", period, lit(1)), k))


_PAD = {
    "edge": _clipped,
    "wrap": lambda at, n: emit("mod", at, n),
    "reflect": _reflected,
    "symmetric": _symmetric,
}
