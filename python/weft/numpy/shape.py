"""Shapes: reshaping, reordering and adding axes. Of arrays in memory these are views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Gather, Span, lit
from weft.ir.sizes import Shape, Size, same_shape
from weft.ir.types import ArrayType
from weft.numpy.common import (
    Staged,
    array,
    axes_of,
    axis_of,
    current,
    dim_or_int,
    emit,
    factors_of,
    iota,
    lift,
    of,
    op_error,
    prim,
    product,
    quotient,
    shape_text,
    size_object,
    size_of,
    spread,
    static_int,
)  # fmt: skip
from weft.numpy.registry import implements
from weft.staged.arith import broadcast_shapes, check_sizes
from weft.staged.indexing import ReshapeView, TransposeView, getitem
from weft.staged.value import View


def source(x: Any) -> Staged:
    """An argument that a view is taken of: an array in memory stays where it is."""
    v = array(x) if isinstance(x, list | tuple) else lift(x)
    return v if v.flavour != "py" else array(v)


_source = source


def reshaped(x: Staged, shape: Shape) -> Staged:
    """``x`` in a shape known to have as many elements: a view where ``x`` is in memory."""
    if not x.type.shape:
        return of(prim("reshape")(x.atom, shape=shape)) if shape else x
    return x.viewed(ReshapeView(x.sizes, shape), ArrayType(x.dtype, shape))


def transposed(x: Staged, perm: tuple[int, ...]) -> Staged:
    """``x`` with its axes in another order: a view where ``x`` is in memory."""
    if perm == tuple(range(x.ndim)):
        return x
    return x.viewed(TransposeView(perm), ArrayType(x.dtype, tuple([x.sizes[p] for p in perm])))


# -- reshaping ---------------------------------------------------------------------------------------------------------


@implements(np.reshape)
def reshape(a: Any, /, shape: Any = None, order: Any = "C", *, copy: Any = None) -> Any:
    """The same elements in another shape; one size may be -1."""
    x = source(a)
    if shape is None:
        raise op_error(TypeError, "reshape() takes a shape")
    if order not in ("C", "A", "K"):
        if order != "F":
            raise op_error(ValueError, f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")
        wanted = shape if isinstance(shape, list | tuple) else (shape,)
        back = tuple(reversed(range(x.ndim)))
        flipped = reshape(transposed(x, back), tuple(reversed(wanted)))
        return transposed(flipped, tuple(reversed(range(flipped.ndim))))
    return reshaped(x, new_shape(x, shape))


def new_shape(x: Staged, shape: Any) -> Shape:
    """The sizes that a reshape asks for, checked against the number of elements."""
    wanted: list[Size] = [size_of(s) for s in (shape if isinstance(shape, list | tuple | np.ndarray) else (shape,))]
    free = [k for k, s in enumerate(wanted) if isinstance(s, int) and s < 0]

    def fail() -> None:
        n = current().number(product(x.sizes))
        shown = "(" + ",".join(["-1" if k in free else shape_text((s,))[1:-2] for k, s in enumerate(wanted)])
        shown += ",)" if len(wanted) == 1 else ")"
        raise op_error(ValueError, f"cannot reshape array of size {n} into shape {shown}")

    if len(free) > 1:
        raise op_error(ValueError, "can only specify one unknown dimension")
    if free:
        wanted[free[0]] = quotient(x.sizes, [s for k, s in enumerate(wanted) if k not in free], fail)
        return tuple(wanted)
    if tuple(wanted) == x.sizes:
        return tuple(wanted)
    k, have = factors_of(x.sizes)
    n, want = factors_of(wanted)
    rest = [s for s in want if s not in have or have.remove(s)]  # type: ignore[func-returns-value]
    if have or rest:
        _agree([k, *have], [n, *rest], fail)
    elif k != n:
        fail()
    return tuple(wanted)


def _agree(have: list[Size], want: list[Size], fail: Any) -> None:
    """Numbers of elements that must be equal."""
    ctx = current()
    m, n = ctx.number(product(have)), ctx.number(product(want))
    if m is not None and n is not None:
        if m != n:
            fail()
        ctx.decide("==", product(have) - product(want), "a reshape keeps the number of elements")
        return
    check_sizes(product(have), product(want), "cannot reshape array of size {} into a shape of size {}")


@implements(np.ravel)
def ravel(a: Any, order: Any = "C") -> Any:
    """The elements in one row."""
    return reshape(a, (-1,), order) if source(a).sizes else reshaped(source(a), (1,))


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    """New axes of size one at these positions."""
    x = source(a)
    n = len(axis) if isinstance(axis, list | tuple) else 1
    axes = axes_of(axis, x.ndim + n)
    sizes = list(x.sizes)
    for k in axes:
        sizes.insert(k, 1)
    return reshaped(x, tuple(sizes))


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """The array without axes of size one."""
    x = source(a)
    if axis is None:
        gone: tuple[int, ...] = tuple([k for k, n in enumerate(x.sizes) if n == 1])
    else:
        gone = axes_of(axis, x.ndim)
        for k in gone:
            n = x.sizes[k]
            if n != 1 and not (current().number(n) == 1 and current().decide("==", n - 1, "squeeze of an axis")):
                raise op_error(ValueError, "cannot select an axis to squeeze out which has size not equal to one")
    return reshaped(x, tuple([n for k, n in enumerate(x.sizes) if k not in gone])) if gone else x


@implements(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """Arrays with at least one axis."""
    out = [x if x.sizes else reshaped(x, (1,)) for x in map(source, arys)]
    return out[0] if len(out) == 1 else tuple(out)


@implements(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """Arrays with at least two axes; new ones come first."""
    out = [x if x.ndim >= 2 else reshaped(x, (1,) * (2 - x.ndim) + x.sizes) for x in map(source, arys)]
    return out[0] if len(out) == 1 else tuple(out)


@implements(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    """Arrays with at least three axes."""
    shapes = {0: lambda s: (1, 1, 1), 1: lambda s: (1, *s, 1), 2: lambda s: (*s, 1)}
    out = [x if x.ndim >= 3 else reshaped(x, shapes[x.ndim](x.sizes)) for x in map(source, arys)]
    return out[0] if len(out) == 1 else tuple(out)


# -- reordering --------------------------------------------------------------------------------------------------------


@implements(np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    """The axes in another order; reversed if none is given."""
    x = source(a)
    if axes is None:
        return transposed(x, tuple(reversed(range(x.ndim))))
    perm = tuple([axis_of(k, x.ndim) for k in axes])
    if len(perm) != x.ndim:
        raise op_error(ValueError, "axes don't match array")
    if len(set(perm)) != len(perm):
        raise op_error(ValueError, "repeated axis in transpose")
    return transposed(x, perm)


@implements(np.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """The last two axes swapped."""
    v = source(x)
    if v.ndim < 2:
        raise op_error(ValueError, f"Input array must be at least 2-dimensional, but it is {v.ndim}")
    return swapaxes(v, -1, -2)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: Any, axis2: Any) -> Any:
    """Two axes swapped."""
    x = source(a)
    i, j = axis_of(axis1, x.ndim), axis_of(axis2, x.ndim)
    perm = list(range(x.ndim))
    perm[i], perm[j] = j, i
    return transposed(x, tuple(perm))


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other positions."""
    x = _source(a)
    src = [axis_of(k, x.ndim) for k in (source if isinstance(source, list | tuple) else (source,))]
    dst = [axis_of(k, x.ndim) for k in (destination if isinstance(destination, list | tuple) else (destination,))]
    if len(src) != len(dst):
        raise op_error(ValueError, "`source` and `destination` arguments must have the same number of elements")
    perm = [k for k in range(x.ndim) if k not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        perm.insert(d, s)
    return transposed(x, tuple(perm))


@implements(np.rollaxis)
def rollaxis(a: Any, axis: Any, start: Any = 0) -> Any:
    """One axis moved before another."""
    x = source(a)
    k, to = axis_of(axis, x.ndim), static_int(start, "start")
    to = to + x.ndim if to < 0 else to
    return moveaxis(x, k, to - 1 if k < to else to)


def _slices(x: Staged, axes: tuple[int, ...]) -> Any:
    return getitem(x, tuple([slice(None, None, -1) if k in axes else slice(None) for k in range(x.ndim)]))


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """The elements in reverse order along axes."""
    x = source(m)
    return _slices(x, axes_of(axis, x.ndim)) if x.sizes else x


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    """The second axis reversed."""
    if source(m).ndim < 2:
        raise op_error(ValueError, "Input must be >= 2-d.")
    return flip(m, 1)


@implements(np.flipud)
def flipud(m: Any) -> Any:
    """The first axis reversed."""
    if source(m).ndim < 1:
        raise op_error(ValueError, "Input must be >= 1-d.")
    return flip(m, 0)


@implements(np.rot90)
def rot90(m: Any, k: Any = 1, axes: Any = (0, 1)) -> Any:
    """The plane of two axes turned by right angles."""
    x = source(m)
    i, j = [axis_of(a, x.ndim) for a in axes]
    turns = static_int(k, "k") % 4
    if turns == 0:
        return x
    if turns == 2:
        return flip(x, (i, j))
    return swapaxes(flip(x, j), i, j) if turns == 1 else flip(swapaxes(x, i, j), j)


# -- broadcasting ------------------------------------------------------------------------------------------------------


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: Any = False) -> Any:
    """The array repeated along axes to a shape."""
    x, sizes = _value(array), tuple([size_of(s) for s in (shape if isinstance(shape, list | tuple) else (shape,))])
    if len(sizes) < x.ndim:
        raise op_error(ValueError, "input operand has more dimensions than allowed by the axis remapping")
    if not same_shape(broadcast_shapes("broadcast_to", x.sizes, sizes), sizes):
        raise op_error(
            ValueError,
            f"operands could not be broadcast together with remapped shapes: {shape_text(x.sizes)} and requested shape"
            f" {shape_text(sizes)}",
        )
    return spread(x, sizes)


_value = array


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: Any = False) -> Any:
    """Arrays repeated to their common shape."""
    vs = [array(a) for a in args]
    shape = broadcast_shapes("broadcast_arrays", *[v.sizes for v in vs])
    return tuple([spread(v, shape) for v in vs])


# -- diagonals ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DiagonalView(View):
    """A diagonal of two axes; NumPy gives it read-only."""

    axes: tuple[int, int]
    offset: int
    size: Size

    def get(self, base: Atom) -> Atom:
        i, j = self.axes
        k = iota(self.size)
        rows = emit("add", k, lit(max(0, -self.offset)))
        columns = emit("add", k, lit(max(0, self.offset)))
        rest = [a for a in range(base.type.rank) if a not in self.axes]
        ordered = prim("transpose")(base, perm=(*rest, i, j))
        spec = tuple([*[Span(n) for n in ordered.type.shape[:-2]], Gather(), Gather()])
        out: Atom = prim("index")(ordered, *[lit(0)] * len(rest), rows.atom, columns.atom, spec=spec, mode="fast")
        return out

    def put(self, base: Atom, value: Atom) -> Atom:
        raise op_error(ValueError, "assignment destination is read-only")


@implements(np.diagonal)
def diagonal(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Any:
    """The elements of a diagonal of two axes, along a last axis."""
    x = source(a)
    if x.ndim < 2:
        raise op_error(ValueError, "diag requires an array of at least two dimensions")
    i, j = axis_of(axis1, x.ndim), axis_of(axis2, x.ndim)
    if i == j:
        raise op_error(ValueError, "axis1 and axis2 cannot be the same")
    k = static_int(offset, "offset")
    rest = tuple([n for a_, n in enumerate(x.sizes) if a_ not in (i, j)])
    n = diagonal_size(x.sizes[i], x.sizes[j], k)
    return x.viewed(DiagonalView((i, j), k, n), ArrayType(x.dtype, (*rest, n)))


def diagonal_size(rows: Size, columns: Size, offset: int) -> Size:
    """The length of a diagonal."""
    ctx = current()
    m = rows + min(0, offset)
    n = columns - max(0, offset)
    if m == n:
        smaller: Size = m
    elif ctx.about_shapes(m) and ctx.about_shapes(n):
        smaller = m if ctx.decide(">=", n - m, "the length of a diagonal") else n
    else:
        b = ctx.builder
        return dim_or_int(prim("maximum")(prim("minimum")(b.size_value(m), b.size_value(n)), lit(0)))
    if isinstance(smaller, int):
        return max(0, smaller)
    return smaller if ctx.at_least(smaller, 0) or ctx.decide(">=", smaller, "the length of a diagonal") else 0


@implements(np.diag)
def diag(v: Any, k: Any = 0) -> Any:
    """The diagonal of a matrix, or the matrix with a diagonal."""
    x = source(v)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise op_error(ValueError, "Input must be 1- or 2-d.")
    off = static_int(k, "k")
    n = x.sizes[0] + abs(off)
    zeros = prim("broadcast")(lit(0, x.dtype), shape=(n, n), dims=())
    i = iota(x.sizes[0])
    rows, columns = emit("add", i, lit(max(0, -off))), emit("add", i, lit(max(0, off)))
    return emit("store", zeros, x.atom, rows, columns, spec=(Gather(), Gather()), mode="fast")


@implements(np.diagflat)
def diagflat(v: Any, k: Any = 0) -> Any:
    """The matrix with a diagonal of these elements."""
    return diag(ravel(array(v)), k)


@implements(np.trace)
def trace(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None, out: Any = None) -> Any:
    """The sum of a diagonal."""
    from weft.numpy.reductions import sum

    return sum(diagonal(array(a), offset, axis1, axis2), -1, dtype)


# -- questions ---------------------------------------------------------------------------------------------------------


@implements(np.ndim, keep=True)
def ndim(a: Any) -> Any:
    """The number of axes."""
    return source(a).ndim


@implements(np.shape, keep=True)
def shape(a: Any) -> Any:
    """The sizes."""
    return source(a).shape


@implements(np.size, keep=True)
def size(a: Any, axis: Any = None) -> Any:
    """The number of elements, or the size of an axis."""
    x = source(a)
    return size_object(product([x.sizes[k] for k in axes_of(axis, x.ndim)]))
