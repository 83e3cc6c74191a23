"""Products and diagonals as `numpy.linalg` has them: over the last two axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.numpy import products
from weft.numpy.common import array, astype, op_error, size_object, spread, static_int
from weft.numpy.creation import eye
from weft.numpy.hints import hinted
from weft.numpy.linear import inv, square
from weft.numpy.norms import LINALG
from weft.numpy.reductions import sum
from weft.numpy.registry import implements
from weft.numpy.shape import diagonal as diagonal_view


@implements(np.linalg.multi_dot, module=LINALG)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """The product of several matrices, from the left."""
    total = arrays[0]
    for m in arrays[1:]:
        total = products.dot(total, m)
    return total


@implements(np.linalg.matrix_power, module=LINALG)
def matrix_power(a: Any, n: Any) -> Any:
    """A square matrix to a whole power; a negative one inverts it first."""
    x, k = square(array(a)), static_int(n, "n")
    if k < 0:
        x, k = inv(x), -k
    if k == 0:
        return spread(astype(eye(size_object(x.sizes[-1])), x.dtype), x.sizes)
    out = None
    while k:
        if k & 1:
            out = x if out is None else products.matmul(out, x)
        k >>= 1
        x = products.matmul(x, x) if k else x
    return out


@hinted(np.linalg.matmul, module=LINALG)
def matmul(x1: Any, x2: Any, /) -> Any:
    """The matrix product ``x1 @ x2``."""
    return products.matmul(x1, x2)


@hinted(np.linalg.tensordot, module=LINALG)
def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """The product summed over pairs of axes."""
    return products.tensordot(x1, x2, axes)


@hinted(np.linalg.vecdot, module=LINALG)
def vecdot(x1: Any, x2: Any, /, *, axis: Any = -1) -> Any:
    """The dot product along one axis."""
    return products.vecdot(x1, x2, axis=axis)


@implements(np.linalg.outer, module=LINALG)
def outer(x1: Any, x2: Any, /) -> Any:
    """All products of two vectors."""
    x, y = array(x1), array(x2)
    if x.ndim != 1 or y.ndim != 1:
        raise op_error(
            ValueError, f"Input arrays must be one-dimensional, but they are x1.ndim={x.ndim} and x2.ndim={y.ndim}."
        )
    return products.outer(x, y)


@implements(np.linalg.cross, module=LINALG)
def cross(x1: Any, x2: Any, /, *, axis: Any = -1) -> Any:
    """The cross product of vectors of three components."""
    return products.cross(x1, x2, axis=axis)


@implements(np.linalg.trace, module=LINALG)
def trace(x: Any, /, *, offset: Any = 0, dtype: Any = None) -> Any:
    """The sum of a diagonal of the last two axes."""
    return sum(diagonal_view(array(x), offset, -2, -1), -1, dtype)


@implements(np.linalg.diagonal, module=LINALG)
def diagonal(x: Any, /, *, offset: Any = 0) -> Any:
    """A diagonal of the last two axes."""
    return diagonal_view(x, offset, -2, -1)


@implements(np.linalg.matrix_transpose, module=LINALG)
def matrix_transpose(x: Any, /) -> Any:
    """The transpose of each matrix."""
    from weft.numpy.shape import swapaxes

    return swapaxes(x, -1, -2)
