"""Logarithms of sums of exponentials."""

from __future__ import annotations

from typing import Any

import weft.numpy as wnp
from weft.lax import stop_gradient
from weft.scipy.arguments import inexact, quiet, truth


def peak(x: Any, axis: Any, where: Any = None) -> Any:
    """The largest element along axes, which are kept, without a derivative; 0 where it is not finite."""
    top = wnp.max(x.real, axis, keepdims=True, where=True if where is None else where, initial=-wnp.inf)
    return stop_gradient(wnp.where(wnp.isfinite(top), top, 0))


@quiet
def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False, where: Any = None
) -> Any:
    """``log(sum(b * exp(a)))`` over axes, without overflow.

    Parameters
    ----------
    a
        The exponents.
    axis
        One axis, several, or None for all.
    b
        Factors of the exponentials.
    keepdims
        Keep the axes that are summed over, with size 1.
    return_sign
        Give the logarithm of the sum's size, and the sum's sign; else a negative sum has the logarithm nan.
    where
        What counts among the elements.

    Examples
    --------
    >>> from weft.scipy import special
    >>> float(special.logsumexp([1000.0, -1000.0]))
    1000.0
    """
    if b is None:
        (x,) = inexact(a)
    else:
        x, b = inexact(a, b)
        x = wnp.where(b != 0, x, -wnp.inf)
    if where is not None:
        x = wnp.where(where, x, -wnp.inf)
    top = peak(x, axis)
    parts = wnp.exp(x - top)
    total = wnp.sum(parts if b is None else b * parts, axis, keepdims=keepdims)
    if not truth(keepdims, "keepdims"):
        top = wnp.sum(top, axis)
    if truth(return_sign, "return_sign"):
        return wnp.log(wnp.abs(total)) + top, wnp.sign(total)
    if b is None or x.dtype.kind == "c":
        return wnp.log(total) + top
    return wnp.where(total < 0, wnp.nan, wnp.log(wnp.abs(total)) + top)


@quiet
def softmax(x: Any, axis: Any = None) -> Any:
    """``exp(x)`` scaled to sum to 1 over axes, all by default.

    Examples
    --------
    >>> from weft.scipy import special
    >>> special.softmax([1000.0, 1000.0])
    Array([0.5, 0.5])
    """
    (x,) = inexact(x)
    parts = wnp.exp(x - peak(x, axis))
    return parts / wnp.sum(parts, axis, keepdims=True)


@quiet
def log_softmax(x: Any, axis: Any = None) -> Any:
    """``log(softmax(x))`` over axes, all by default, without losing small values.

    Examples
    --------
    >>> from weft.scipy import special
    >>> special.log_softmax([1000.0, 0.0])
    Array([    0., -1000.])
    """
    (x,) = inexact(x)
    low = x - peak(x, axis)
    return low - wnp.log(wnp.sum(wnp.exp(low), axis, keepdims=True))


__all__ = ["log_softmax", "logsumexp", "peak", "softmax"]
