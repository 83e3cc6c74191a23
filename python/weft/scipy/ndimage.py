"""Images at coordinates between their elements."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import weft.numpy as wnp
from weft.scipy.arguments import as_array, quiet

_MODES = {
    "constant": lambda i, n: wnp.clip(i, 0, n - 1),
    "nearest": lambda i, n: wnp.clip(i, 0, n - 1),
    "wrap": lambda i, n: i % n,
    "mirror": lambda i, n: wnp.abs((i + (n - 1)) % wnp.maximum(2 * (n - 1), 1) - (n - 1)),
    "reflect": lambda i, n: (wnp.abs((2 * i + 1 + (2 * n - 1)) % (4 * n) - (2 * n - 1))) // 2,
}


def _round(x: Any) -> Any:
    """To the nearest whole number; halves away from zero."""
    return wnp.where(x < 0, wnp.ceil(x - 0.5), wnp.floor(x + 0.5))


def _nodes(x: Any, order: int) -> list[tuple[Any, Any]]:
    """The indices that a coordinate is interpolated from, and their weights."""
    if order == 0:
        return [((x if x.dtype.kind in "iu" else _round(x)).astype(int), 1)]
    low = wnp.floor(x)
    upper = x - low
    return [(low.astype(int), 1 - upper), (low.astype(int) + 1, upper)]


@quiet
def map_coordinates(input: Any, coordinates: Sequence[Any], order: int, mode: str = "constant", cval: Any = 0.0) -> Any:
    """``input`` at real coordinates.

    Parameters
    ----------
    input
        An array.
    coordinates
        For each of its axes an array of coordinates; all of one shape, which is the result's.
    order
        0: the nearest element; 1: linear interpolation.
    mode
        What is outside: ``"constant"`` (``cval``), ``"nearest"``, ``"wrap"``, ``"mirror"`` or ``"reflect"``.
    cval
        The constant.

    Examples
    --------
    >>> from weft.scipy import ndimage
    >>> ndimage.map_coordinates([0.0, 10.0], [[0.25, 0.5]], order=1)
    Array([2.5, 5. ])
    """
    x = as_array(input)
    places = [as_array(c) for c in coordinates]
    if len(places) != x.ndim:
        raise ValueError(f"map_coordinates(): the input has {x.ndim} axes, and there are {len(places)} coordinates")
    if mode not in _MODES:
        raise NotImplementedError(f"map_coordinates() has the modes {', '.join(_MODES)}; not {mode!r}")
    if order not in (0, 1):
        raise NotImplementedError(f"map_coordinates() has the orders 0 and 1, not {order!r}")
    choices = []
    for place, size in zip(places, x.shape, strict=True):
        row = []
        for index, weight in _nodes(place, order):
            inside = (index >= 0) & (index < size) if mode == "constant" else None
            row.append((_MODES[mode](index, size), inside, weight))
        choices.append(row)
    total: Any = None
    for corner in itertools.product(*choices):
        value = x[tuple([index for index, _, _ in corner])]
        factor: Any = 1
        for _, inside, part in corner:
            if inside is not None:
                value = wnp.where(inside, value, wnp.asarray(cval, dtype=x.dtype))
            factor = factor * part
        term = factor * value
        total = term if total is None else total + term
    return (_round(total) if x.dtype.kind in "iu" else total).astype(x.dtype)


__all__ = ["map_coordinates"]
