"""Interpolation on grids."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import weft.numpy as wnp
from weft.scipy.arguments import inexact, quiet


class RegularGridInterpolator:
    """Interpolation of values on a grid of points, which need not be evenly spaced.

    Parameters
    ----------
    points
        The grid's coordinates along each axis: increasing, or decreasing.
    values
        The values: the first axes are the grid's.
    method
        ``"linear"`` or ``"nearest"``.
    bounds_error
        Not there: False, since whether a point lies outside depends on values.
    fill_value
        What is outside of the grid; None extrapolates.

    Examples
    --------
    >>> from weft.scipy.interpolate import RegularGridInterpolator
    >>> f = RegularGridInterpolator([[0.0, 1.0, 3.0]], [0.0, 10.0, 20.0])
    >>> f([[0.5], [2.0]])
    Array([ 5., 15.])
    """

    def __init__(
        self, points: Sequence[Any], values: Any, method: str = "linear", bounds_error: bool = False,
        fill_value: Any = float("nan"),
    ) -> None:  # fmt: skip
        if method not in ("linear", "nearest"):
            raise ValueError(f"RegularGridInterpolator has the methods 'linear' and 'nearest', not {method!r}")
        if bounds_error:
            raise NotImplementedError("RegularGridInterpolator has no bounds_error=True: use fill_value=")
        (self.values,) = inexact(values)
        if len(points) > self.values.ndim:
            raise ValueError(f"there are {len(points)} axes of points, and values of {self.values.ndim}")
        grid = []
        for k, axis in enumerate(points):
            (p,) = inexact(axis)
            if p.ndim != 1 or p.shape[0] != self.values.shape[k]:
                raise ValueError(f"the points of axis {k} must be a vector as long as that axis of values")
            grid.append(p)
        self.grid, self.method, self.fill_value = tuple(grid), method, fill_value

    def __call__(self, xi: Any, method: str | None = None) -> Any:
        """The values at points, whose coordinates are along the last axis (or given one by one)."""
        return _interpolated(self.grid, self.values, xi, method or self.method, self.fill_value)


@quiet
def _interpolated(grid: tuple[Any, ...], values: Any, xi: Any, method: str, fill: Any) -> Any:
    count = len(grid)
    if isinstance(xi, tuple):
        xi = wnp.stack(wnp.broadcast_arrays(*inexact(*xi)), axis=-1)
    (xi,) = inexact(xi)
    if xi.ndim == 1:
        xi = xi[:, None] if count == 1 else xi[None, :]
    elif xi.shape[-1] != count:
        raise ValueError(f"the points have {xi.shape[-1]} coordinates, and the grid {count} axes")
    lead = xi.shape[:-1]
    flat = wnp.reshape(xi, (-1, count))
    sides, outside = [], False
    for k, p in enumerate(grid):
        x, n = flat[:, k], p.shape[0]
        down = p[0] > p[-1]
        rising, at = wnp.where(down, -p, p), wnp.where(down, -x, x)
        low = wnp.clip(wnp.searchsorted(rising, at, side="right") - 1, 0, n - 2)
        part = (at - rising[low]) / (rising[low + 1] - rising[low])
        outside = outside | (at < rising[0]) | (at > rising[-1])
        nearest = low + (part > 0.5)
        sides.append([(nearest, None)] if method == "nearest" else [(low, 1 - part), (low + 1, part)])
    total: Any = None
    for corner in itertools.product(*sides):
        term = values[tuple([index for index, _ in corner])]
        for _, weight in corner:
            if weight is not None:
                term = wnp.reshape(weight, (-1, *[1] * (term.ndim - 1))) * term
        total = term if total is None else total + term
    if fill is not None:
        total = wnp.where(wnp.reshape(outside, (-1, *[1] * (total.ndim - 1))), fill, total)
    return wnp.reshape(total, (*lead, *values.shape[count:]))


__all__ = ["RegularGridInterpolator"]
