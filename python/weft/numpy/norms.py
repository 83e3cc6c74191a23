"""Norms of vectors and matrices. At zero, where a norm has no derivative, its derivative is taken to be 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.types import is_complex
from weft.numpy.common import (
    Staged,
    array,
    astype,
    away_from_zero,
    axes_of,
    axis_of,
    emit,
    op_error,
    product,
    reshape,
    static_bool,
    transpose,
    unsupported,
)  # fmt: skip
from weft.numpy.reductions import max, min, sum
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc

LINALG = "weft.numpy.linalg"


def _input(x: Any) -> Staged:
    v = array(x)
    return v if v.dtype.kind in "fc" else astype(v, np.float64)


def _square(v: Staged) -> Staged:
    if is_complex(v.dtype):
        re, im = emit("real", v), emit("imag", v)
        return emit("add", emit("mul", re, re), emit("mul", im, im))
    return emit("mul", v, v)


def _euclidean(v: Staged, axis: Any, keepdims: Any) -> Staged:
    return away_from_zero(sum(_square(v), axis, keepdims=keepdims), lambda x: ufunc(np.sqrt, x))


def _of_vectors(v: Staged, order: Any, axis: Any, keepdims: Any) -> Any:
    if isinstance(order, str):
        raise op_error(ValueError, f"Invalid norm order '{order}' for vectors")
    if order is None or order == 2:
        return _euclidean(v, axis, keepdims)
    size = ufunc(np.absolute, v)
    if order == np.inf:
        return max(size, axis, keepdims=keepdims, initial=0)
    if order == -np.inf:
        return min(size, axis, keepdims=keepdims)
    if order == 0:
        return sum(astype(ufunc(np.not_equal, v, 0), size.dtype), axis, keepdims=keepdims)
    if order == 1:
        return sum(size, axis, keepdims=keepdims)
    total = sum(ufunc(np.power, size, order), axis, keepdims=keepdims)
    if order < 0:
        return ufunc(np.power, total, 1.0 / order)
    return away_from_zero(total, lambda x: ufunc(np.power, x, 1.0 / order))


def _of_matrices(v: Staged, order: Any, axes: tuple[int, int], keepdims: Any) -> Any:
    rows, columns = axes
    if order in (None, "fro", "f"):
        return _euclidean(v, axes, keepdims)
    if order in (1, -1, np.inf, -np.inf):
        summed, over = (rows, columns) if abs(order) == 1 else (columns, rows)
        totals = sum(ufunc(np.absolute, v), summed, keepdims=True)
        out = max(totals, over, keepdims=True, initial=0) if order > 0 else min(totals, over, keepdims=True)
    elif order in (2, -2, "nuc"):
        from weft.numpy.linear import svdvals

        rest = [k for k in range(v.ndim) if k not in axes]
        s = svdvals(transpose(v, (*rest, rows, columns)))
        if order == "nuc":
            out = sum(s, -1)
        else:
            out = max(s, -1, initial=0) if order == 2 else min(s, -1)
    else:
        raise op_error(ValueError, "Invalid norm order for matrices.")
    kept = tuple([1 if k in axes else n for k, n in enumerate(v.sizes)])
    if static_bool(keepdims, "keepdims"):
        return reshape(out, kept)
    return reshape(out, tuple([n for k, n in enumerate(v.sizes) if k not in axes]))


@implements(np.linalg.norm, module=LINALG)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    """The norm of vectors or matrices.

    At zero, where the Euclidean norm has no derivative, its derivative is 0.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> float(wnp.linalg.norm(wnp.array([3.0, 4.0])))
    5.0
    """
    v = _input(x)
    if isinstance(ord, Staged):
        raise unsupported("np.linalg.norm with a run-time order", "give ord as a number")
    if axis is None and (ord is None or (ord == 2 and v.ndim == 1) or (ord in ("f", "fro") and v.ndim == 2)):
        return _euclidean(v, None, keepdims)
    axes = tuple(range(v.ndim)) if axis is None else axis if isinstance(axis, list | tuple) else (axis,)
    axes = tuple([axis_of(k, v.ndim) for k in axes])
    if len(axes) == 1:
        return _of_vectors(v, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise op_error(ValueError, "Improper number of dimensions to norm.")
    if axes[0] == axes[1]:
        raise op_error(ValueError, "Duplicate axes given.")
    return _of_matrices(v, ord, axes, keepdims)  # type: ignore[arg-type]


@implements(np.linalg.vector_norm, module=LINALG)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: Any = False, ord: Any = 2) -> Any:
    """The norm of vectors, which may lie along several axes.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> float(wnp.linalg.vector_norm(wnp.ones((2, 2))))
    2.0
    """
    v = _input(x)
    axes = axes_of(axis, v.ndim)
    if isinstance(ord, Staged):
        raise unsupported("np.linalg.vector_norm with a run-time order", "give ord as a number")
    rest = [k for k in range(v.ndim) if k not in axes]
    flat = reshape(transpose(v, (*axes, *rest)), (product([v.sizes[k] for k in axes]), *[v.sizes[k] for k in rest]))
    out = _of_vectors(flat, ord, 0, False)
    if not static_bool(keepdims, "keepdims"):
        return out
    return reshape(out, tuple([1 if k in axes else n for k, n in enumerate(v.sizes)]))


@implements(np.linalg.matrix_norm, module=LINALG)
def matrix_norm(x: Any, /, *, keepdims: Any = False, ord: Any = "fro") -> Any:
    """The norm of matrices, the last two axes.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> float(wnp.linalg.matrix_norm(wnp.ones((2, 2)), ord="nuc"))
    2.0
    """
    return norm(x, ord, (-2, -1), keepdims)
