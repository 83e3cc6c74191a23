"""Reductions over windows."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft import tree
from weft.lax.basic import stop_gradient
from weft.lax.layouts import Windows, padtype_to_pads, patches, windows_count
from weft.lax.operands import error, same_dtype
from weft.lax.padding import pad
from weft.lax.reductions import call, identity, monoid
from weft.lax.regions import region
from weft.staged.value import Staged

UNROLLED = 16  # places of a window along an axis up to which each is read by a statement of its own


def _config(name: str, ndim: int, dims: Any, strides: Any, padding: Any, spread: Any, dilation: Any, shape: Any) -> Any:
    """The window along each axis: ``(size, step, dilation)``, and the padding with the input's dilation."""

    def numbers(what: str, values: Any) -> list[int]:
        found = [1] * ndim if values is None else [operator.index(v) for v in values]
        if len(found) != ndim:
            raise error(
                TypeError, f"{name} {what} must have one entry for each axis of the operand, got {found} for {ndim}"
            )
        if any([v < 1 for v in found]):
            raise error(TypeError, f"{name} {what} must have every element strictly positive, got {found}.")
        return found

    size, step = numbers("window_dimensions", dims), numbers("window_strides", strides)
    distance, gap = numbers("window_dilation", dilation), numbers("base_dilation", spread)
    if isinstance(padding, str) or hasattr(padding, "name"):
        reach = [(n - 1) * d + 1 for n, d in zip(size, distance, strict=True)]
        padding = padtype_to_pads(shape, reach, step, padding)  # of the array as it is, as in JAX
    pads = [(operator.index(a), operator.index(b), g - 1) for (a, b), g in zip(padding, gap, strict=True)]
    return list(zip(size, step, distance, strict=True)), pads


def _taps(x: Any, windows: Sequence[tuple[int, int, int]]) -> list[Any]:
    """For each place in a window what lies there, over all windows."""
    counts = [windows_count(n, *w) for n, w in zip(x.shape, windows, strict=True)]
    steps = [w[1] for w in windows]
    found = []
    for at in np.ndindex(*[w[0] for w in windows]):
        found.append(region(x, [t * w[2] for t, w in zip(at, windows, strict=True)], counts, steps))
    return found


def _along(x: Any, axis: int, window: tuple[int, int, int], combine: Callable[[Any, Any], Any]) -> Any:
    """A reduction over windows along one axis."""
    windows = [(1, 1, 1)] * x.ndim
    windows[axis] = window
    parts = _taps(x, windows)
    while len(parts) > 1:  # in pairs, so that long windows nest less deeply
        pairs = [combine(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + parts[2 * len(pairs) :]
    return parts[0]


# NaN is chosen apart, without a derivative: the C++ compiler makes vectors of choices one after the other, here and in
# their derivatives, but not of conditions joined by `&`.


def larger(best: Any, new: Any) -> Any:
    """The larger one; of equal ones the first, and NaN before all."""
    return _unless_nan(best, wnp.where(best >= new, best, new))


def smaller(best: Any, new: Any) -> Any:
    """The smaller one; of equal ones the first, and NaN before all."""
    return _unless_nan(best, wnp.where(best <= new, best, new))


def _unless_nan(best: Any, chosen: Any) -> Any:
    return wnp.where(wnp.isnan(best), stop_gradient(best), chosen) if best.dtype.kind == "f" else chosen


def _at_extreme(position: Any) -> Callable[[Any, int], Any]:
    """Reduction to the element at a position that is found along an axis."""

    def reduce(p: Any, axis: int) -> Any:
        where = wnp.expand_dims(position(p, axis=axis), axis)
        return wnp.squeeze(wnp.take_along_axis(p, where, axis=axis), axis)

    return reduce


#: How two elements are combined, and a whole axis, for the operations that are known.
KNOWN: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, int], Any]]] = {
    "add": (lambda a, b: a + b, lambda p, axis: wnp.sum(p, axis=axis, dtype=p.dtype)),
    "mul": (lambda a, b: a * b, lambda p, axis: wnp.prod(p, axis=axis, dtype=p.dtype)),
    "max": (larger, _at_extreme(wnp.argmax)),
    "min": (smaller, _at_extreme(wnp.argmin)),
}


def _known_reduction(x: Any, windows: Sequence[tuple[int, int, int]], name: str) -> Any:
    """A reduction over windows, one axis after the other, the last first."""
    combine, whole = KNOWN[name]
    for axis in reversed(range(x.ndim)):
        size, step, distance = window = windows[axis]
        if window == (1, 1, 1):
            continue
        if size <= UNROLLED:
            x = _along(x, axis, window, combine)
            continue
        w = {axis: Windows(windows_count(x.shape[axis], size, step, distance), size, step, distance)}
        order = [("out", axis) if k == axis else k for k in range(x.ndim)]
        x = whole(patches(x, [*order[: axis + 1], ("tap", axis), *order[axis + 1 :]], w), axis + 1)
    return x


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable[[Any, Any], Any],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """What lies under each of a grid of windows, combined.

    Parameters
    ----------
    operand
        An array, or a tree of arrays of one shape.
    init_value
        What stands outside the array, and what a combination begins with: of the tree's structure.
    computation
        ``computation(a, b)``, elementwise and associative. `lax.add`, `lax.mul`, `lax.max` and `lax.min` (and NumPy's
        functions of that meaning) are known, others are called for each place in a window.
    window_dimensions, window_strides
        The windows' sizes, and the steps between them, for each axis.
    padding
        ``"SAME"``, ``"VALID"``, ``"SAME_LOWER"``, or for each axis how much comes before and after.
    base_dilation, window_dilation
        The distance of neighbouring elements of the array, and of the places in a window.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.reduce_window(np.arange(6.0), -np.inf, weft.lax.max, (2,), (2,), "VALID").tolist()
    [1.0, 3.0, 5.0]
    """
    leaves, structure = tree.flatten(operand)
    starts = tree.leaves(init_value)
    if not leaves:
        raise error(ValueError, "reduce_window must have at least one operand.")
    if len(starts) != len(leaves):
        raise error(ValueError, "Operands must have the same tree structure as init_values: there are"
                    f" {len(leaves)} arrays and {len(starts)} initial values")  # fmt: skip
    pairs = [same_dtype("reduce_window", (x, v)) for x, v in zip(leaves, starts, strict=True)]
    if any([v.ndim for _, v in pairs]):
        raise error(TypeError, "reduce_window init_value must be a scalar")
    first = pairs[0][0]
    windows, pads = _config(
        "reduce_window", first.ndim, window_dimensions, window_strides, padding, base_dilation, window_dilation,
        first.shape,
    )  # fmt: skip
    xs = [pad(x, v, pads) for x, v in pairs]
    name = monoid(computation)
    if len(xs) == 1 and name in KNOWN:
        found = _known_reduction(xs[0], windows, name)
        start = pairs[0][1]
        out = KNOWN[name][0](wnp.broadcast_to(start, found.shape), found) if not _is_identity(name, start) else found
        return tree.unflatten(structure, [out])
    taps = [_taps(x, windows) for x in xs]
    total: Any = [wnp.broadcast_to(v, t[0].shape) for (_, v), t in zip(pairs, taps, strict=True)]
    for parts in zip(*taps, strict=True):
        if len(xs) == 1:
            total = [call(computation, total[0], parts[0])]
        else:
            total = tree.leaves(call(computation, tree.unflatten(structure, total), tree.unflatten(structure, parts)))
    return tree.unflatten(structure, total)


def _is_identity(name: str, start: Any) -> bool:
    """Whether a start value is known to change nothing."""
    if isinstance(start, Staged):
        from weft.ir.nodes import Lit

        if not isinstance(start.atom, Lit):
            return False
        start = start.atom.value
    return bool(np.asarray(start)[()] == identity(name, np.asarray(start).dtype))


def reduce_window_shape_tuple(
    operand_shape: Any, window_dimensions: Any, window_strides: Any, padding: Any, base_dilation: Any = None,
    window_dilation: Any = None,
) -> tuple[int, ...]:  # fmt: skip
    """The shape of a reduction over windows of an array of this shape."""
    windows, pads = _config(
        "reduce_window", len(operand_shape), window_dimensions, window_strides, padding, base_dilation,
        window_dilation, operand_shape,
    )  # fmt: skip
    sizes = [
        max((n - 1) * (g + 1) + 1, 0) + a + b if n else a + b for n, (a, b, g) in zip(operand_shape, pads, strict=True)
    ]
    return tuple([windows_count(n, *w) for n, w in zip(sizes, windows, strict=True)])
