"""Sorting."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.lax.operands import array, error, sizes, text


def _axis(dimension: Any, ndim: int) -> int:
    k = operator.index(dimension)
    if not -ndim <= k < ndim:
        raise error(ValueError, f"dimension {k} is out of bounds for array of dimension {ndim}")
    return k % ndim


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """Arrays sorted along an axis, NaN last.

    Parameters
    ----------
    operand
        An array, or a sequence of arrays of one shape that are sorted together.
    dimension
        The axis.
    is_stable
        Accepted for compatibility: equal elements always keep their order.
    num_keys
        How many of the arrays decide the order, the first one first.

    Examples
    --------
    >>> import numpy as np, weft
    >>> keys, values = weft.lax.sort((np.array([2, 1, 2]), np.array([5.0, 6.0, 4.0])), num_keys=2)
    >>> keys.tolist(), values.tolist()
    ([1, 2, 2], [6.0, 4.0, 5.0])
    """
    if not isinstance(operand, list | tuple):
        x = array(operand)
        return wnp.sort(x, axis=_axis(dimension, x.ndim))
    xs, count = [array(v) for v in operand], operator.index(num_keys)
    if not xs:
        raise error(TypeError, "Sort requires at least one operand")
    if not 1 <= count <= len(xs):
        raise error(ValueError, f"num_keys={count} must be between 1 and len(operand)={len(xs)}")
    if len({tuple(sizes(x)) for x in xs}) > 1:
        raise error(TypeError, f"Arguments to sort must have equal shapes, got {', '.join(map(text, xs))}")
    axis = _axis(dimension, xs[0].ndim)
    if len(xs) == 1:
        return (wnp.sort(xs[0], axis=axis),)
    order: Any = None
    for key in reversed(xs[:count]):
        if order is None:
            order = wnp.argsort(key, axis=axis, stable=True)
            continue
        step = wnp.argsort(wnp.take_along_axis(key, order, axis=axis), axis=axis, stable=True)
        order = wnp.take_along_axis(order, step, axis=axis)
    return tuple([wnp.take_along_axis(x, order, axis=axis) for x in xs])


def sort_key_val(keys: Any, values: Any, dimension: int = -1, is_stable: bool = True) -> tuple[Any, Any]:
    """Keys sorted along an axis, and values in their keys' order.

    Parameters
    ----------
    keys, values
        Arrays of one shape.
    dimension
        The axis.
    is_stable
        Accepted for compatibility: equal keys always keep their order.
    """
    k, v = sort((keys, values), dimension=dimension, num_keys=1)
    return k, v


def top_k(operand: Any, k: int, *, axis: int = -1) -> list[Any]:
    """The largest elements along an axis, and where they are.

    Parameters
    ----------
    operand
        An array; NaN counts as the largest, and of equal elements the first comes first.
    k
        How many.
    axis
        The axis.

    Returns
    -------
    list
        The elements, and their positions (int32).

    Examples
    --------
    >>> import numpy as np, weft
    >>> [v.tolist() for v in weft.lax.top_k(np.array([3.0, 1.0, 2.0]), 2)]
    [[3.0, 2.0], [0, 2]]
    """
    x, n = array(operand), operator.index(k)
    if not x.ndim:
        raise error(TypeError, "top_k operand must have >= 1 dimension, got ()")
    at = _axis(axis, x.ndim)
    if n < 0:
        raise error(ValueError, f"k argument to top_k must be nonnegative, got {n}")
    if bool(x.shape[at] < n):
        raise error(
            ValueError,
            f"k argument to top_k must be no larger than size along axis; got k={n} with shape={sizes(x)} and"
            f" axis={at}",
        )
    last = wnp.moveaxis(x, at, -1)
    # equal elements stand the other way round in the flipped array, and again after the second flip
    order = wnp.flip(wnp.argsort(wnp.flip(last, -1), axis=-1, stable=True), -1)
    where = (last.shape[-1] - 1 - order)[..., :n]
    values = wnp.take_along_axis(last, where, axis=-1)
    return [wnp.moveaxis(values, -1, at), wnp.moveaxis(where.astype(np.int32), -1, at)]


def approx_max_k(
    operand: Any, k: int, reduction_dimension: int = -1, recall_target: float = 0.95,
    reduction_input_size_override: int = -1, aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:  # fmt: skip
    """The largest elements along an axis, and where they are: exactly, as `top_k`.

    Parameters
    ----------
    operand
        A floating array.
    k
        How many.
    reduction_dimension
        The axis.
    recall_target, reduction_input_size_override, aggregate_to_topk
        Accepted for compatibility.
    """
    values, where = top_k(operand, k, axis=reduction_dimension)
    return values, where


def approx_min_k(
    operand: Any, k: int, reduction_dimension: int = -1, recall_target: float = 0.95,
    reduction_input_size_override: int = -1, aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:  # fmt: skip
    """The smallest elements along an axis, and where they are: exactly.

    Parameters
    ----------
    operand
        A floating array.
    k
        How many.
    reduction_dimension
        The axis.
    recall_target, reduction_input_size_override, aggregate_to_topk
        Accepted for compatibility.
    """
    values, where = top_k(wnp.negative(array(operand)), k, axis=reduction_dimension)
    return wnp.negative(values), where
