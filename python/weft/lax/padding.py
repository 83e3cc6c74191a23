"""Padding: before, after and between elements."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import weft.numpy as wnp
from weft.lax.operands import error, same_dtype, text
from weft.lax.regions import region, with_region


def pad(operand: Any, padding_value: Any, padding_config: Sequence[tuple[int, int, int]]) -> Any:
    """An array with a value around and between its elements.

    Parameters
    ----------
    operand
        The array.
    padding_value
        A scalar of the same dtype.
    padding_config
        For each axis how many values come before, after and between elements; negative numbers before and after take
        elements away.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.pad(np.array([1.0, 2.0, 3.0]), 0.0, [(-1, 2, 1)]).tolist()
    [0.0, 2.0, 0.0, 3.0, 0.0, 0.0]
    """
    x, value = same_dtype("pad", (operand, padding_value))
    config = [tuple(map(operator.index, c)) for c in padding_config]
    if len(config) != x.ndim:
        raise error(
            ValueError,
            f"length of padding_config must equal the number of axes of operand, got padding_config {tuple(config)} for"
            f" operand shape {text(x)}",
        )
    if value.ndim:
        raise error(ValueError, f"padding_value must be a scalar; got shape {text(value)}")
    if any([c[2] < 0 for c in config]):
        raise error(ValueError, f"interior padding in padding_config must be nonnegative, got padding_config {config}")
    if not any([k for c in config for k in c]):
        return x
    shape: list[Any] = []
    firsts: list[int] = []
    counts: list[Any] = []
    starts: list[int] = []
    for n, (low, high, interior) in zip(x.shape, config, strict=True):
        step = interior + 1
        size = low + high + (n + (n - 1) * interior if interior and bool(n > 0) else n)
        if (low < 0 or high < 0) and bool(size < 0):
            raise error(ValueError, f"padding takes away more elements than there are: {config} for shape {text(x)}")
        first, lost = max(-(low // step), 0), max(-(high // step), 0)
        count = n - first - lost
        if (first or lost) and bool(count <= 0):
            return wnp.full(_padded(x.shape, config), value)
        shape.append(size)
        firsts.append(first)
        counts.append(count)
        starts.append(low + first * step)
    steps = [c[2] + 1 for c in config]
    inner = region(x, firsts, counts) if any([c[0] < 0 or c[1] < 0 for c in config]) else x
    return with_region(wnp.full(tuple(shape), value), inner, starts, steps)


def _padded(shape: Sequence[Any], config: Sequence[tuple[int, ...]]) -> tuple[Any, ...]:
    """The shape of a padded array."""
    return tuple(
        [
            low + high + (n + (n - 1) * interior if interior and bool(n > 0) else n)
            for n, (low, high, interior) in zip(shape, config, strict=True)
        ]
    )
