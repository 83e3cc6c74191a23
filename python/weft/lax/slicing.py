"""Parts of arrays at places that are known, or computed at run time."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.lax.operands import array, dtype_of, error, is_weak, same_dtype, sizes, text
from weft.lax.regions import is_staged, region, with_region
from weft.staged.value import Staged

# -- known places ------------------------------------------------------------------------------------------------------


def slice(
    operand: Any, start_indices: Sequence[Any], limit_indices: Sequence[Any], strides: Sequence[int] | None = None
) -> Any:
    """The part of an array between corners.

    Parameters
    ----------
    operand
        The array.
    start_indices, limit_indices
        For each axis the first position, and the one before which the part ends.
    strides
        For each axis the step.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.slice(np.arange(6), (1,), (6,), (2,)).tolist()
    [1, 3, 5]
    """
    x = array(operand)
    starts, limits = list(start_indices), list(limit_indices)
    steps = [1] * x.ndim if strides is None else [operator.index(s) for s in strides]
    if not len(starts) == len(limits) == len(steps) == x.ndim:
        raise error(
            TypeError,
            "slice start_indices, limit_indices and strides must have one entry for each axis of the operand, got"
            f" {len(starts)}, {len(limits)} and {len(steps)} for shape {text(x)}.",
        )
    counts: list[Any] = []
    for k, (lo, hi, step) in enumerate(zip(starts, limits, steps, strict=True)):
        n = x.shape[k]
        if step < 1:
            raise error(TypeError, f"slice strides must be positive, got {tuple(steps)}")
        if builtins.bool(lo < 0) or builtins.bool(hi < lo):
            raise error(
                TypeError,
                f"slice limit_indices must be greater than or equal to start_indices, which must not be negative, got"
                f" start_indices {tuple(starts)} and limit_indices {tuple(limits)}.",
            )
        if builtins.bool(hi > n):
            raise error(
                TypeError,
                f"slice limit_indices must be less than or equal to operand shape, got limit_indices {tuple(limits)}"
                f" for operand shape {text(x)}.",
            )
        counts.append(hi - lo if step == 1 else (hi - lo + (step - 1)) // step)
    return region(x, starts, counts, steps)


def slice_in_dim(operand: Any, start_index: Any, limit_index: Any, stride: int = 1, axis: int = 0) -> Any:
    """The part of an array between two positions of an axis.

    Parameters
    ----------
    operand
        The array.
    start_index, limit_index
        The first position and the one before which the part ends; negative ones count from the end, None means the
        ends of the axis.
    stride
        The step.
    axis
        The axis.
    """
    x = array(operand)
    k = _axis(axis, x.ndim)
    n = x.shape[k]

    def position(i: Any, default: Any) -> Any:
        if i is None:
            return default
        i = operator.index(i) if not isinstance(i, Staged) else i
        return i + n if builtins.bool(i < 0) else i

    starts: list[Any] = [0] * x.ndim
    limits, steps = list(x.shape), [1] * x.ndim
    starts[k], limits[k], steps[k] = position(start_index, 0), position(limit_index, n), operator.index(stride)
    return slice(x, starts, limits, steps)


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Any:
    """One position of an axis.

    Parameters
    ----------
    operand
        The array.
    index
        The position, which is known; negative ones count from the end.
    axis
        The axis.
    keepdims
        Keep the axis, with size 1.
    """
    x, i = array(operand), operator.index(index)
    k = _axis(axis, x.ndim)
    n = x.shape[k]
    if builtins.bool(n < (i + 1 if i >= 0 else -i)):
        raise error(IndexError, f"index {i} is out of bounds for axis {k} with size {sizes(x)[k]}")
    at = i if i >= 0 else n + i
    out = slice_in_dim(x, at, at + 1, axis=k)
    return out if keepdims else wnp.squeeze(out, k)


def _axis(axis: Any, ndim: int) -> int:
    k = operator.index(axis)
    if not -ndim <= k < ndim:
        raise error(ValueError, f"axis {k} is out of bounds for array of dimension {ndim}")
    return k % ndim


# -- places computed at run time ---------------------------------------------------------------------------------------


def _starts(x: Any, indices: Any, counts: Sequence[Any], name: str, negative: Any) -> list[Any]:
    """Start positions brought into range: negative ones count from the end, others are limited to what fits."""
    from_end = list(negative) if isinstance(negative, list | tuple) else [builtins.bool(negative)] * x.ndim
    if hasattr(indices, "ndim") and indices.ndim == 1:
        given = [indices[k] for k in range(int(indices.shape[0]))]
    else:
        given = list(indices)
    if len(given) != x.ndim:
        raise error(
            ValueError,
            f"Length of {name} indices must match number of operand dimensions ({len(given)} vs {text(x)})",
        )
    found: list[Any] = []
    for k, (i, m) in enumerate(zip(given, counts, strict=True)):
        n = x.shape[k]
        if is_weak(i) and not isinstance(i, Staged):
            i = operator.index(i)
        elif dtype_of(i).kind not in "iu" or getattr(i, "shape", None):
            raise error(
                TypeError, f"{name} start_indices must be integer scalars, got {i.dtype}{text(i)} at position {k}."
            )
        if not is_staged(i, n, m):
            i = int(i)
            if i < 0 and not from_end[k]:
                raise error(ValueError, f"Index {i} is out of bounds for dimension {k} if allow_negative_indices=False")
            found.append(min(max(i + n if i < 0 else i, 0), n - m))
        elif type(i) is int and i == 0:
            found.append(0)
        else:
            i = wnp.asarray(i).astype(np.int64)
            i = wnp.where(i < 0, i + n, i) if from_end[k] else i
            found.append(wnp.minimum(wnp.maximum(i, 0), n - m))
    return found


def dynamic_slice(
    operand: Any, start_indices: Any, slice_sizes: Sequence[Any], *, allow_negative_indices: Any = True
) -> Any:
    """The part of an array of known size from a position computed at run time.

    Parameters
    ----------
    operand
        The array.
    start_indices
        Integers, one for each axis; negative ones count from the end, and where the part would leave the array it is
        moved into it.
    slice_sizes
        The part's shape.
    allow_negative_indices
        False: negative positions mean the first one (one flag, or one for each axis).

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.dynamic_slice(np.arange(6), (5,), (2,)).tolist()
    [4, 5]
    """
    x = array(operand)
    given: Any = slice_sizes
    counts = list(given) if hasattr(given, "__iter__") else [given]
    counts = [n if isinstance(n, Staged) else operator.index(n) for n in counts]
    if len(counts) != x.ndim:
        raise error(
            TypeError, f"slice slice_sizes must have one entry for each axis, got {tuple(counts)} for shape {text(x)}."
        )
    for n, m in zip(x.shape, counts, strict=True):
        if builtins.bool(n < m) or builtins.bool(m < 0):
            raise error(
                TypeError,
                "slice slice_sizes must be less than or equal to operand shape, got slice_sizes"
                f" {tuple(counts)} for operand shape {text(x)}.",
            )
    return region(x, _starts(x, start_indices, counts, "slice", allow_negative_indices), counts)


def dynamic_update_slice(operand: Any, update: Any, start_indices: Any, *, allow_negative_indices: Any = True) -> Any:
    """An array with a part replaced, at a position computed at run time.

    Parameters
    ----------
    operand
        The array.
    update
        The part, with as many axes.
    start_indices, allow_negative_indices
        As for `dynamic_slice`.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.dynamic_update_slice(np.zeros(4), np.ones(2), (1,)).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    x, part = same_dtype("dynamic_update_slice", (operand, update))
    if x.ndim != part.ndim:
        raise error(
            TypeError,
            f"dynamic_update_slice update must have the same number of axes as operand, got update shape {text(part)}"
            f" for operand shape {text(x)}.",
        )
    for n, m in zip(x.shape, part.shape, strict=True):
        if builtins.bool(n < m):
            raise error(
                TypeError,
                "dynamic_update_slice update shape must be smaller than operand shape, got update shape"
                f" {text(part)} for operand shape {text(x)}.",
            )
    return with_region(x, part, _starts(x, start_indices, part.shape, "dynamic_update_slice", allow_negative_indices))


def dynamic_slice_in_dim(operand: Any, start_index: Any, slice_size: Any, axis: int = 0) -> Any:
    """`dynamic_slice` along one axis.

    Parameters
    ----------
    operand
        The array.
    start_index
        The first position.
    slice_size
        How many.
    axis
        The axis.
    """
    x = array(operand)
    k = _axis(axis, x.ndim)
    starts: list[Any] = [0] * x.ndim
    counts = list(x.shape)
    starts[k], counts[k] = start_index, slice_size
    return dynamic_slice(x, starts, counts)


def dynamic_index_in_dim(operand: Any, index: Any, axis: int = 0, keepdims: bool = True) -> Any:
    """One position of an axis, computed at run time.

    Parameters
    ----------
    operand
        The array.
    index
        The position, as for `dynamic_slice`.
    axis
        The axis.
    keepdims
        Keep the axis, with size 1.
    """
    x = array(operand)
    k = _axis(axis, x.ndim)
    out = dynamic_slice_in_dim(x, index, 1, k)
    return out if keepdims else wnp.squeeze(out, k)


def dynamic_update_slice_in_dim(operand: Any, update: Any, start_index: Any, axis: int) -> Any:
    """`dynamic_update_slice` along one axis.

    Parameters
    ----------
    operand, update
        The array and the part.
    start_index
        The part's first position.
    axis
        The axis.
    """
    x = array(operand)
    k = _axis(axis, x.ndim)
    starts: list[Any] = [0] * x.ndim
    starts[k] = start_index
    return dynamic_update_slice(x, update, starts)


def dynamic_update_index_in_dim(operand: Any, update: Any, index: Any, axis: int) -> Any:
    """An array with one position of an axis replaced.

    Parameters
    ----------
    operand
        The array.
    update
        What is put there; it may lack the axis.
    index
        The position.
    axis
        The axis.
    """
    x = array(operand)
    k = _axis(axis, x.ndim)
    part = wnp.asarray(update, dtype=x.dtype) if is_weak(update) else array(update)
    if part.ndim != x.ndim:
        part = wnp.expand_dims(part, k)
    return dynamic_update_slice_in_dim(x, part, index, k)
