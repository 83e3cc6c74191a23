"""Products of arrays: dot, matmul, inner, outer, tensordot, cross."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import lit
from weft.ir.sizes import Size
from weft.ir.types import bool_, i64, is_complex
from weft.numpy.common import (
    Staged,
    agree,
    array,
    astype,
    axis_of,
    broadcast_shapes,
    broadcast_to,
    common,
    current,
    emit,
    of,
    op_error,
    product,
    reshape,
    shape_text,
    static_int,
    transpose,
    under,
    unsupported,
)  # fmt: skip
from weft.numpy.hints import hinted
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc


def contract(
    x: Staged,
    y: Staged,
    axes: tuple[Sequence[int], Sequence[int]],
    batch: tuple[Sequence[int], Sequence[int]] = ((), ()),
) -> Staged:
    """`dot` over the axes given, whose sizes are known to agree; bools are and-ed and or-ed."""
    y = under(y, _renamed(x, y, axes, batch))
    pairs = {"contract": (tuple(axes[0]), tuple(axes[1])), "batch": (tuple(batch[0]), tuple(batch[1]))}
    if x.dtype == bool_:
        total = emit("dot", astype(x, i64), astype(y, i64), **pairs)
        return emit("ne", total, lit(0))
    return emit("dot", x, y, **pairs)


def _renamed(x: Staged, y: Staged, axes: Any, batch: Any) -> tuple[Size, ...]:
    """``y``'s sizes, with those that meet ``x``'s under ``x``'s names."""
    sizes = list(y.sizes)
    for i, j in zip((*axes[0], *batch[0]), (*axes[1], *batch[1]), strict=True):
        sizes[j] = x.sizes[i]
    return tuple(sizes)


def _aligned(x: Staged, i: int, y: Staged, j: int) -> None:
    def fail() -> None:
        ctx = current()
        raise op_error(
            ValueError,
            f"shapes {shape_text(x.sizes)} and {shape_text(y.sizes)} not aligned: {ctx.number(x.sizes[i])} (dim {i})"
            f" != {ctx.number(y.sizes[j])} (dim {j})",
        )

    agree(x.sizes[i], y.sizes[j], fail)


@hinted(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    """The dot product: over the last axis of ``a`` and the last but one of ``b``."""
    x, y = common(a, b)
    if not x.sizes or not y.sizes:
        return ufunc(np.multiply, x, y)
    i, j = x.ndim - 1, max(y.ndim - 2, 0)
    _aligned(x, i, y, j)
    return contract(x, y, ((i,), (j,)))


@hinted(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    """The dot product of flat arrays, the first conjugated."""
    x, y = common(a, b)
    x = emit("conj", x) if is_complex(x.dtype) else x
    return dot(reshape(x, (product(x.sizes),)), reshape(y, (product(y.sizes),)))


@hinted(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """The product summed over the last axes."""
    x, y = common(a, b)
    if not x.sizes or not y.sizes:
        return ufunc(np.multiply, x, y)
    _aligned(x, x.ndim - 1, y, y.ndim - 1)
    return contract(x, y, ((x.ndim - 1,), (y.ndim - 1,)))


@implements(np.matvec)
def matvec(x1: Any, x2: Any, /, out: Any = None) -> Any:
    """The product of matrices with vectors; leading axes broadcast."""
    return _column(matmul(array(x1), reshape(array(x2), (*_row_sizes(x2), 1))), -1)


@implements(np.vecmat)
def vecmat(x1: Any, x2: Any, /, out: Any = None) -> Any:
    """The product of vectors, conjugated, with matrices; leading axes broadcast."""
    x = array(x1)
    sizes = _row_sizes(x)
    x = emit("conj", x) if is_complex(x.dtype) else x
    return _column(matmul(reshape(x, (*sizes[:-1], 1, sizes[-1])), array(x2)), -2)


def _row_sizes(x: Any) -> Any:
    sizes = array(x).sizes
    if not sizes:
        raise op_error(ValueError, "matvec and vecmat take vectors, not scalars")
    return sizes


def _column(x: Staged, axis: int) -> Staged:
    """``x`` without an axis of size one."""
    k = axis % x.ndim
    return reshape(x, (*x.sizes[:k], *x.sizes[k + 1 :]))


@implements(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    """All products of two flat arrays."""
    x, y = array(a), array(b)
    m, n = product(x.sizes), product(y.sizes)
    return ufunc(np.multiply, reshape(x, (m, 1)), reshape(y, (1, n)))


@hinted(np.matmul)
def matmul(x1: Any, x2: Any, /, out: Any = None, *, dtype: Any = None) -> Any:
    """The matrix product ``x1 @ x2``; leading axes broadcast."""
    x, y = common(x1, x2, dtype=None if dtype is None else np.dtype(dtype))
    for k, v in enumerate((x, y)):
        if not v.sizes:
            raise op_error(
                ValueError,
                f"matmul: Input operand {k} does not have enough dimensions (has 0, gufunc core with signature"
                " (n?,k),(k,m?)->(n?,m?) requires 1)",
            )
    i, j = x.ndim - 1, max(y.ndim - 2, 0)

    def fail() -> None:
        ctx = current()
        raise op_error(
            ValueError,
            "matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature"
            f" (n?,k),(k,m?)->(n?,m?) (size {ctx.number(y.sizes[j])} is different from {ctx.number(x.sizes[i])})",
        )

    agree(x.sizes[i], y.sizes[j], fail)
    if x.ndim <= 2 and y.ndim <= 2:
        return contract(x, y, ((i,), (j,)))
    if y.ndim <= 2:
        return contract(x, y, ((i,), (j,)))
    return _batched(x, y)


def _batched(x: Staged, y: Staged) -> Staged:
    """Stacks of matrices: leading axes broadcast, and become the batch axes of `dot`."""
    row = x.ndim == 1
    if row:
        x = reshape(x, (1, *x.sizes))
    lead = broadcast_shapes("matmul", x.sizes[:-2], y.sizes[:-2])
    if x.ndim == 2:
        # one matrix for the whole stack: its rows are a free axis, brought behind the batch axes
        out = contract(x, y, ((1,), (y.ndim - 2,)))
        out = transpose(out, (*range(1, out.ndim - 1), 0, out.ndim - 1))
    else:
        n = len(lead)
        a = of(broadcast_to(x.atom, (*lead, *x.sizes[-2:])))
        b = of(broadcast_to(y.atom, (*lead, *y.sizes[-2:])))
        out = contract(a, b, ((n + 1,), (n,)), (range(n), range(n)))
    return reshape(out, (*out.sizes[:-2], out.sizes[-1])) if row else out


@hinted(np.vecdot)
def vecdot(x1: Any, x2: Any, /, out: Any = None, *, axis: Any = -1) -> Any:
    """The dot product along one axis."""
    from weft.numpy.reductions import sum

    x, y = array(x1), array(x2)
    x = emit("conj", x) if is_complex(x.dtype) else x
    return sum(ufunc(np.multiply, x, y), static_int(axis, "axis"))


@hinted(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """The product summed over pairs of axes."""
    x, y = common(a, b)
    if isinstance(axes, list | tuple):
        first, second = [list(k) if isinstance(k, list | tuple) else [k] for k in axes]
        left, right = [axis_of(k, x.ndim) for k in first], [axis_of(k, y.ndim) for k in second]
    else:
        n = static_int(axes, "axes")
        if n > min(x.ndim, y.ndim):
            raise op_error(ValueError, "shape-mismatch for sum")
        left, right = list(range(x.ndim - n, x.ndim)), list(range(n))

    def fail() -> None:
        raise op_error(ValueError, "shape-mismatch for sum")

    if len(left) != len(right):
        fail()
    for i, j in zip(left, right, strict=True):
        agree(x.sizes[i], y.sizes[j], fail)
    return contract(x, y, (left, right))


@implements(np.cross)
def cross(a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None) -> Any:
    """The cross product of vectors of three components."""
    from weft.numpy.common import move
    from weft.numpy.joining import stack
    from weft.staged.indexing import getitem

    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = common(a, b)
    x, y = move(x, axis_of(axisa, x.ndim), x.ndim - 1), move(y, axis_of(axisb, y.ndim), y.ndim - 1)
    for v in (x, y):
        if current().number(v.sizes[-1]) != 3:
            raise unsupported("np.cross of vectors of another length than 3", "write out the product")
        current().fix(v.sizes[-1], "the length of the vectors of a cross product")
    p, q = [[getitem(v, (..., k)) for k in range(3)] for v in (x, y)]

    def minor(i: int, j: int) -> Any:
        return ufunc(np.subtract, ufunc(np.multiply, p[i], q[j]), ufunc(np.multiply, p[j], q[i]))

    out = stack([minor(1, 2), minor(2, 0), minor(0, 1)], -1)
    return move(out, out.ndim - 1, axis_of(axisc, out.ndim))
