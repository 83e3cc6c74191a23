"""Functions along axes: softmax, normalisation, one-hot rows."""

from __future__ import annotations

from typing import Any

import weft.numpy as wnp
from weft.dtypes import default_float
from weft.lax import stop_gradient
from weft.scipy.arguments import as_array, inexact, quiet
from weft.scipy.sums import logsumexp


def _shifted(x: Any, axis: Any, where: Any) -> tuple[Any, Any]:
    """``x`` (-inf where it does not count) less its maximum along axes, and the sum of its exponentials."""
    if where is not None:
        x = wnp.where(where, x, -wnp.inf)
    low = x - stop_gradient(wnp.max(x, axis, keepdims=True, initial=-wnp.inf))
    return low, wnp.sum(wnp.exp(low), axis, keepdims=True)


@quiet
def softmax(x: Any, axis: Any = -1, where: Any = None) -> Any:
    """``exp(x)`` scaled to sum to 1 along axes.

    Parameters
    ----------
    x
        An array.
    axis
        One axis, several, or None for all.
    where
        What counts among the elements; the others give 0.

    Examples
    --------
    >>> from weft import nn
    >>> nn.softmax([1000.0, 1000.0, 0.0])
    Array([0.5, 0.5, 0. ])
    """
    (x,) = inexact(x)
    low, total = _shifted(x, axis, where)
    found = wnp.exp(low) / total
    return found if where is None else wnp.where(where, found, 0)


@quiet
def log_softmax(x: Any, axis: Any = -1, where: Any = None) -> Any:
    """``log(softmax(x))``, without losing small values.

    Parameters
    ----------
    x
        An array.
    axis
        One axis, several, or None for all.
    where
        What counts among the elements; the others give -inf.

    Examples
    --------
    >>> from weft import nn
    >>> nn.log_softmax([1000.0, 0.0])
    Array([    0., -1000.])
    """
    (x,) = inexact(x)
    low, total = _shifted(x, axis, where)
    found = low - wnp.log(total)
    return found if where is None else wnp.where(where, found, -wnp.inf)


@quiet
def logmeanexp(x: Any, axis: Any = None, where: Any = None, keepdims: bool = False) -> Any:
    """``log(mean(exp(x)))`` over axes, without overflow.

    Examples
    --------
    >>> from weft import nn
    >>> float(nn.logmeanexp([1000.0, 1000.0]))
    1000.0
    """
    (x,) = inexact(x)
    counted = wnp.ones_like(x) if where is None else wnp.broadcast_to(as_array(where, x.dtype), x.shape)
    total = logsumexp(x, axis=axis, where=where, keepdims=keepdims)
    return total - wnp.log(wnp.sum(counted, axis, keepdims=keepdims))


@quiet
def standardize(
    x: Any, axis: Any = -1, mean: Any = None, variance: Any = None, epsilon: Any = 1e-5, where: Any = None, *,
    algorithm: str = "fast",
) -> Any:  # fmt: skip
    """``x`` shifted and scaled along axes to mean 0 and variance 1.

    Parameters
    ----------
    x
        An array.
    axis
        One axis, several, or None for all.
    mean, variance
        These, instead of those of ``x``.
    epsilon
        Added to the variance.
    where
        What counts in the mean and the variance.
    algorithm
        ``"fast"``: the mean of squares less the square of the mean, as JAX has it by default; ``"stable"``: the mean
        of squared differences from the mean.

    Examples
    --------
    >>> from weft import nn
    >>> nn.standardize([1.0, 3.0], epsilon=0.0)
    Array([-1.,  1.])
    """
    (x,) = inexact(x)
    counts = True if where is None else where
    if mean is None:
        mean = wnp.mean(x, axis, keepdims=True, where=counts)
    if variance is None:
        if algorithm == "stable":
            variance = wnp.mean(wnp.square(x - mean), axis, keepdims=True, where=counts)
        elif algorithm == "fast":
            gap = wnp.mean(wnp.square(x), axis, keepdims=True, where=counts) - wnp.square(mean)
            variance = wnp.where(gap < 0, 0, gap)
        else:
            raise ValueError(f"standardize() has the algorithms 'fast' and 'stable', not {algorithm!r}")
    return (x - mean) / wnp.sqrt(variance + epsilon)


@quiet
def one_hot(x: Any, num_classes: int, *, dtype: Any = None, axis: int = -1) -> Any:
    """Each index as a vector with 1 at its place; all zeros for an index out of range.

    Parameters
    ----------
    x
        Integers.
    num_classes
        The length of the vectors.
    dtype
        Of the result; the default float if None.
    axis
        Where the vectors' axis is in the result.

    Examples
    --------
    >>> from weft import nn
    >>> nn.one_hot([0, 2], 3)
    Array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    x = as_array(x)
    if not -x.ndim - 1 <= axis <= x.ndim:
        raise ValueError(f"one_hot(): axis {axis} is out of bounds for a result of {x.ndim + 1} axes")
    place = axis % (x.ndim + 1)
    classes = wnp.arange(num_classes, dtype=x.dtype)
    rows = wnp.reshape(classes, (*[1] * place, num_classes, *[1] * (x.ndim - place)))
    return (wnp.expand_dims(x, place) == rows).astype(default_float() if dtype is None else dtype)


__all__ = ["log_softmax", "logmeanexp", "one_hot", "softmax", "standardize"]
