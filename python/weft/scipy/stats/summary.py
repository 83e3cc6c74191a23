"""Ranks, modes, standard errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import weft.numpy as wnp
from weft.dtypes import default_float
from weft.scipy.arguments import as_array, inexact, quiet
from weft.staged.active import staging

_METHODS = ("average", "min", "max", "dense", "ordinal")


class ModeResult(NamedTuple):
    """The most frequent values, and how often each occurs."""

    mode: Any
    count: Any


def _propagates(name: str, nan_policy: str) -> None:
    if nan_policy not in ("propagate", "omit", "raise"):
        raise ValueError(f"{name}(): nan_policy is 'propagate', 'omit' or 'raise', not {nan_policy!r}")
    if nan_policy != "propagate":
        raise NotImplementedError(
            f"{name}() has no nan_policy={nan_policy!r}, for results would depend on values: look for nans before"
        )


def _along(f: Callable[[Any], Any], x: Any, axis: int) -> Any:
    """``f`` of every line along an axis, whose results stand along the last one."""
    from weft.api.vmap import vmap

    lines = wnp.moveaxis(x, axis, -1)
    rows, each = wnp.reshape(lines, (-1, lines.shape[-1])), vmap(f)
    found = each.stage_call((rows,), {}) if staging() else each(rows)
    return found, lines.shape[:-1]


def _ranks(a: Any, method: str) -> Any:
    line = wnp.sort(a)
    if method == "ordinal":
        found = wnp.argsort(wnp.argsort(a, stable=True)) + 1
    elif method == "dense":
        new = wnp.concatenate([wnp.ones(1, bool), line[1:] != line[:-1]])
        found = wnp.cumsum(new)[wnp.searchsorted(line, a)]
    else:
        low, high = wnp.searchsorted(line, a) + 1, wnp.searchsorted(line, a, side="right")
        found = {"min": low, "max": high, "average": 0.5 * (low + high)}[method]
    return wnp.where(wnp.any(wnp.isnan(a)), np.nan, found).astype(default_float())


@quiet
def rankdata(a: Any, method: str = "average", *, axis: int | None = None, nan_policy: str = "propagate") -> Any:
    """The ranks of elements, from 1.

    Parameters
    ----------
    a
        Real numbers.
    method
        What equal elements get: the ``"average"``, ``"min"`` or ``"max"`` of their ranks, ``"dense"`` ranks without
        gaps, or ``"ordinal"`` ones in their order.
    axis
        Rank along it; None ranks all elements together.
    nan_policy
        ``"propagate"``: a nan makes all ranks nan.

    Examples
    --------
    >>> from weft.scipy import stats
    >>> stats.rankdata([3.0, 1.0, 3.0])
    Array([2.5, 1. , 2.5])
    """
    _propagates("rankdata", nan_policy)
    if method not in _METHODS:
        raise ValueError(f"rankdata() has the methods {', '.join(_METHODS)}; not {method!r}")
    a = as_array(a)
    if axis is None:
        return _ranks(wnp.ravel(a), method)
    found, lead = _along(lambda line: _ranks(line, method), a, axis)
    return wnp.moveaxis(wnp.reshape(found, (*lead, a.shape[axis])), -1, axis)


def _most(line: Any) -> tuple[Any, Any]:
    line = wnp.sort(line)
    counts = wnp.searchsorted(line, line, side="right") - wnp.searchsorted(line, line)
    at = wnp.argmax(counts)
    return line[at], counts[at]


@quiet
def mode(a: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False) -> ModeResult:
    """The most frequent elements along an axis (of equally frequent ones the smallest), and their counts.

    Examples
    --------
    >>> from weft.scipy import stats
    >>> float(stats.mode([3.0, 1.0, 3.0]).mode)
    3.0
    """
    _propagates("mode", nan_policy)
    a = wnp.atleast_1d(as_array(a))
    if axis is None:
        values, counts = _most(wnp.ravel(a))
        shape: tuple[Any, ...] = (1,) * a.ndim if keepdims else ()
    else:
        (values, counts), lead = _along(_most, a, axis)
        place = axis % a.ndim
        shape = (*lead[:place], 1, *lead[place:]) if keepdims else lead
    return ModeResult(wnp.reshape(values, shape), wnp.reshape(counts, shape))


@quiet
def sem(a: Any, axis: int | None = 0, ddof: int = 1, nan_policy: str = "propagate", *, keepdims: bool = False) -> Any:
    """The standard error of the mean along an axis.

    Parameters
    ----------
    a
        An array.
    axis
        The axis, or None for all elements.
    ddof
        What is taken off the number of elements in the standard deviation.
    nan_policy
        ``"propagate"``, or ``"omit"``, which leaves nans out.
    keepdims
        Keep the axis, with size 1.

    Examples
    --------
    >>> from weft.scipy import stats
    >>> float(stats.sem([1.0, 3.0]))
    1.0
    """
    (a,) = inexact(a)
    if nan_policy == "propagate":
        size = a.size if axis is None else a.shape[axis]
        return wnp.std(a, axis, ddof=ddof, keepdims=keepdims) / wnp.sqrt(wnp.asarray(size)).astype(a.dtype)
    if nan_policy != "omit":
        raise ValueError(f"sem() has nan_policy='propagate' and 'omit', not {nan_policy!r}")
    count = wnp.sum(~wnp.isnan(a), axis, keepdims=keepdims)
    return wnp.nanstd(a, axis, ddof=ddof, keepdims=keepdims) / wnp.sqrt(count).astype(a.dtype)


__all__ = ["ModeResult", "mode", "rankdata", "sem"]
