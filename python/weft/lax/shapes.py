"""Arrangement of elements: broadcasting, reshaping, padding, joining, conversion."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.dtypes import default_float
from weft.lax.operands import array, dtype_of, error, same_dtype, sizes, text
from weft.staged.value import Staged


def _axis(name: str, axis: Any, ndim: int) -> int:
    k = operator.index(axis)
    if not -ndim <= k < ndim:
        raise error(ValueError, f"axis {k} is out of bounds for array of dimension {ndim} (in {name})")
    return k % ndim


def _tuple(x: Any) -> tuple[Any, ...]:
    return (x,) if isinstance(x, int | Staged) or not hasattr(x, "__iter__") else tuple(x)


# -- dtypes ------------------------------------------------------------------------------------------------------------


def dtype(x: Any) -> np.dtype[Any]:
    """The dtype of a value.

    Parameters
    ----------
    x
        An array or number.
    """
    return np.dtype(dtype_of(x))


def convert_element_type(operand: Any, new_dtype: Any) -> Any:
    """Elements converted to another dtype.

    Parameters
    ----------
    operand
        An array or number.
    new_dtype
        The dtype; None keeps it.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.convert_element_type(np.array([1.7, -1.7]), np.int32).tolist()
    [1, -1]
    """
    x = array(operand)
    new = x.dtype if new_dtype is None else default_float() if new_dtype is float else np.dtype(new_dtype)
    if x.dtype == new:
        return x
    return (wnp.real(x) if x.dtype.kind == "c" and new.kind not in "cb" else x).astype(new)


# -- new arrays --------------------------------------------------------------------------------------------------------


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """An array of one value.

    Parameters
    ----------
    shape
        Its shape.
    fill_value
        A scalar.
    dtype
        Its dtype; the value's if None.
    """
    if np.ndim(fill_value) if not isinstance(fill_value, Staged) else fill_value.ndim:
        raise error(TypeError, f"full must be called with scalar fill_value, got fill_value.shape {text(fill_value)}.")
    return wnp.full(shape, fill_value, dtype=dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None, shape: Any = None) -> Any:
    """An array of one value, of the shape and dtype of another unless given.

    Parameters
    ----------
    x
        The other array.
    fill_value
        A scalar.
    dtype, shape
        In place of the array's.
    """
    return wnp.full_like(array(x), fill_value, dtype=dtype, shape=shape)


def empty(shape: Any, dtype: Any, *, out_sharding: Any = None) -> Any:
    """An array with any elements (they are zeros).

    Parameters
    ----------
    shape, dtype
        Its shape and dtype.
    out_sharding
        Accepted as None only.
    """
    return wnp.zeros(shape, dtype=dtype)


def iota(dtype: Any, size: int) -> Any:
    """0, 1, 2, ... of a dtype.

    Parameters
    ----------
    dtype
        The dtype.
    size
        How many.
    """
    return wnp.arange(size).astype(default_float() if dtype is float else np.dtype(dtype))


def broadcasted_iota(dtype: Any, shape: Sequence[int], dimension: int) -> Any:
    """An array that counts along one of its axes.

    Parameters
    ----------
    dtype
        The dtype.
    shape
        The shape.
    dimension
        The axis.

    Examples
    --------
    >>> import weft
    >>> weft.lax.broadcasted_iota(int, (2, 3), 1).tolist()
    [[0, 1, 2], [0, 1, 2]]
    """
    shape = tuple(shape)
    k = _axis("broadcasted_iota", dimension, len(shape))
    return broadcast_in_dim(iota(dtype, shape[k]), shape, (k,))


# -- broadcasting ------------------------------------------------------------------------------------------------------


def broadcast(operand: Any, sizes: Sequence[int]) -> Any:
    """An array repeated along new axes in front.

    Parameters
    ----------
    operand
        The array.
    sizes
        The sizes of the new axes.
    """
    x = array(operand)
    return wnp.broadcast_to(x, (*sizes, *x.shape))


def broadcast_in_dim(operand: Any, shape: Sequence[int], broadcast_dimensions: Sequence[int]) -> Any:
    """An array repeated to a shape, its axes being these of the result.

    Parameters
    ----------
    operand
        The array.
    shape
        The result's shape.
    broadcast_dimensions
        For each axis of the array an axis of the result, in increasing order.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.broadcast_in_dim(np.array([1.0, 2.0]), (2, 3), (0,)).tolist()
    [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    """
    x, shape, dims = array(operand), tuple(shape), tuple(broadcast_dimensions)
    if len(dims) != x.ndim:
        raise error(
            TypeError,
            f"broadcast_in_dim broadcast_dimensions must have length equal to operand ndim; got broadcast_dimensions"
            f" {dims} for operand ndim {x.ndim}.",
        )
    if any([not 0 <= d < len(shape) for d in dims]) or list(dims) != sorted(set(dims)):
        raise error(
            TypeError,
            "broadcast_in_dim broadcast_dimensions must be strictly increasing axes of the result; got"
            f" {dims} for shape of rank {len(shape)}",
        )
    spread: list[Any] = [1] * len(shape)
    for d, n in zip(dims, x.shape, strict=True):
        spread[d] = n
    try:
        return wnp.broadcast_to(wnp.reshape(x, tuple(spread)), shape)
    except ValueError:
        raise error(
            TypeError,
            "broadcast_in_dim operand dimension sizes must either be 1, or be equal to their corresponding dimensions"
            f" in the target broadcast shape; got operand of shape {text(x)}, target broadcast shape {shape},"
            f" broadcast_dimensions {dims}",
        ) from None


def broadcast_like(arr: Any, like_arr: Any) -> Any:
    """An array repeated to the shape of another, whose last axes are its own.

    Parameters
    ----------
    arr, like_arr
        The array, and the other one.
    """
    return wnp.broadcast_to(array(arr), array(like_arr).shape)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to."""
    return np.broadcast_shapes(*shapes)


def broadcast_to_rank(x: Any, rank: int) -> Any:
    """An array with axes of size 1 in front, for this many in all.

    Parameters
    ----------
    x
        The array.
    rank
        The number of axes.
    """
    x = array(x)
    if rank < x.ndim:
        raise error(ValueError, f"Operand rank {x.ndim} is greater than {rank=}")
    return x if x.ndim == rank else wnp.reshape(x, (*[1] * (rank - x.ndim), *x.shape))


# -- shapes ------------------------------------------------------------------------------------------------------------


def reshape(operand: Any, new_sizes: Any, dimensions: Sequence[int] | None = None) -> Any:
    """The same elements in another shape.

    Parameters
    ----------
    operand
        The array.
    new_sizes
        The shape; -1 is not allowed.
    dimensions
        The order in which the array's axes are read.
    """
    x, shape = array(operand), _tuple(new_sizes)
    if any([isinstance(n, int) and n < 0 for n in shape]):
        raise error(TypeError, f"Shapes must be 1D sequences of nonnegative sizes, got {shape}.")
    if dimensions is not None:
        x = transpose(x, dimensions)
    if not isinstance(x, Staged) and all([isinstance(n, int) for n in shape]) and math.prod(shape) != x.size:
        raise error(TypeError, f"reshape total size must be unchanged, got new_sizes {shape} for shape {text(x)}.")
    return wnp.reshape(x, shape)


def collapse(operand: Any, start_dimension: int, stop_dimension: int | None = None) -> Any:
    """Neighbouring axes made one.

    Parameters
    ----------
    operand
        The array.
    start_dimension, stop_dimension
        The axes from the first to before the last.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.collapse(np.ones((2, 3, 4)), 1).shape
    (2, 12)
    """
    x = array(operand)
    axes = range(x.ndim)[start_dimension:stop_dimension]
    if not axes:
        raise error(ValueError, f"collapse: no axes from {start_dimension} to {stop_dimension} in rank {x.ndim}")
    whole: Any = 1
    for k in axes:
        whole = whole * x.shape[k]
    return wnp.reshape(x, (*x.shape[: axes[0]], whole, *x.shape[axes[-1] + 1 :]))


def squeeze(array: Any, dimensions: Sequence[int]) -> Any:
    """An array without these axes, whose sizes are 1.

    Parameters
    ----------
    array
        The array.
    dimensions
        The axes.
    """
    x = wnp.asarray(array)
    axes = tuple([_axis("squeeze", k, x.ndim) for k in dimensions])
    if any([sizes(x)[k] not in (1, "?") for k in axes]):
        raise error(
            ValueError,
            "cannot select an axis to squeeze out which has size not equal to one, got"
            f" shape={text(x)} and dimensions={axes}",
        )
    return wnp.squeeze(x, axes)


def expand_dims(array: Any, dimensions: Sequence[int]) -> Any:
    """An array with new axes of size 1.

    Parameters
    ----------
    array
        The array.
    dimensions
        Where the new axes are in the result.
    """
    return wnp.expand_dims(wnp.asarray(array), tuple(dimensions))


def transpose(operand: Any, permutation: Sequence[int]) -> Any:
    """The axes in another order.

    Parameters
    ----------
    operand
        The array.
    permutation
        The axes in the order of the result.
    """
    x, perm = array(operand), tuple([operator.index(k) for k in permutation])
    if sorted(perm) != list(range(x.ndim)):
        raise error(
            TypeError,
            "transpose permutation isn't a permutation of operand dimensions, got permutation"
            f" {perm} for operand shape {text(x)}.",
        )
    return wnp.transpose(x, perm)


def rev(operand: Any, dimensions: Sequence[int]) -> Any:
    """Elements in the opposite order along axes.

    Parameters
    ----------
    operand
        The array.
    dimensions
        The axes.
    """
    x, axes = array(operand), tuple(dimensions)
    if any([not 0 <= k < x.ndim for k in axes]):
        raise error(
            TypeError,
            f"rev dimensions must all be less than operand ndim, got dimensions {axes} for operand ndim {x.ndim}.",
        )
    return wnp.flip(x, axes) if axes else x


# -- joining -----------------------------------------------------------------------------------------------


def concatenate(operands: Sequence[Any], dimension: int) -> Any:
    """Arrays after one another along an axis.

    Parameters
    ----------
    operands
        Arrays of one dtype.
    dimension
        The axis.
    """
    xs = same_dtype("concatenate", list(operands), "weft.numpy.concatenate")
    if not xs:
        raise error(ValueError, "concatenate requires a non-empty sequences of arrays")
    if len({x.ndim for x in xs}) > 1:
        shown = ", ".join([text(x) for x in xs])
        raise error(TypeError, f"Cannot concatenate arrays with different numbers of dimensions: got {shown}.")
    return wnp.concatenate(xs, axis=_axis("concatenate", dimension, xs[0].ndim))


def stack(operands: Sequence[Any], axis: int = 0) -> Any:
    """Arrays side by side along a new axis.

    Parameters
    ----------
    operands
        Arrays of one dtype and shape.
    axis
        The new axis.
    """
    return wnp.stack(same_dtype("stack", list(operands), "weft.numpy.stack"), axis=axis)


def unstack(operand: Any, axis: int = 0) -> tuple[Any, ...]:
    """The parts of an array along an axis.

    Parameters
    ----------
    operand
        The array.
    axis
        The axis, which must have a known size.
    """
    x = wnp.moveaxis(array(operand), axis, 0)
    return tuple([x[k] for k in range(int(x.shape[0]))])


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Any]:
    """Pieces of an array along an axis.

    Parameters
    ----------
    operand
        The array.
    sizes
        The pieces' sizes, which together are the axis's.
    axis
        The axis.

    Examples
    --------
    >>> import numpy as np, weft
    >>> [p.tolist() for p in weft.lax.split(np.arange(4), (1, 3))]
    [[0], [1, 2, 3]]
    """
    x, k = array(operand), _axis("split", axis, np.ndim(operand) if not isinstance(operand, Staged) else operand.ndim)
    ends = np.cumsum([operator.index(n) for n in sizes]).tolist()
    n = x.shape[k]
    if builtins.bool(n != (ends[-1] if ends else 0)):
        raise error(
            ValueError, f"Sum of sizes {sum(sizes)} must be equal to dimension {k} of the operand shape {text(x)}"
        )
    where = [builtins.slice(None)] * k
    return [x[(*where, builtins.slice(lo, hi))] for lo, hi in zip([0, *ends], ends, strict=False)]


def tile(operand: Any, reps: Sequence[int]) -> Any:
    """An array repeated along its axes.

    Parameters
    ----------
    operand
        The array.
    reps
        How often, for each axis.
    """
    return wnp.tile(array(operand), tuple(reps))
