"""Integrals of sampled functions."""

from __future__ import annotations

from typing import Any

import weft.numpy as wnp
from weft.scipy.arguments import inexact


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral along an axis by the trapezoidal rule.

    Parameters
    ----------
    y
        Values.
    x
        Where they are; if None, ``dx`` apart.
    dx
        The distance between values.
    axis
        The axis.

    Examples
    --------
    >>> from weft.scipy import integrate
    >>> float(integrate.trapezoid([1.0, 2.0, 3.0]))
    4.0
    """
    if x is None:
        y, dx = inexact(y, dx)
        y = wnp.moveaxis(y, axis, -1)
        return 0.5 * wnp.sum(dx * (y[..., 1:] + y[..., :-1]), -1)
    y, x = inexact(y, x)
    if x.ndim > 1:
        x = wnp.moveaxis(x, axis, -1)
    y = wnp.moveaxis(y, axis, -1)
    return 0.5 * wnp.sum((x[..., 1:] - x[..., :-1]) * (y[..., 1:] + y[..., :-1]), -1)


__all__ = ["trapezoid"]
