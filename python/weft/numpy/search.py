"""Picking elements: by position, by condition, by index arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import Gather, lit
from weft.ir.types import i64
from weft.numpy.common import (
    Staged,
    agree,
    along,
    array,
    axis_of,
    broadcast_shapes,
    current,
    emit,
    gather,
    iota,
    of,
    op_error,
    prim,
    product,
    reshape,
    spread,
    truth,
    unsupported,
)  # fmt: skip
from weft.numpy.registry import implements
from weft.staged.indexing import setitem


@implements(np.nonzero)
def nonzero(a: Any) -> Any:
    """The indices of elements that are not zero, one array per axis."""
    x = truth(array(a))
    if not x.sizes:
        raise op_error(ValueError, "Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero()")
    return tuple([of(i) for i in prim("mask_indices")(x.atom)[1:]])


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    """The flat positions of elements that are not zero."""
    x = array(a)
    return nonzero(reshape(x, (product(x.sizes),)))[0]


@implements(np.argwhere)
def argwhere(a: Any) -> Any:
    """The indices of elements that are not zero, one row each."""
    found = nonzero(a)
    return emit("concat", *[reshape(i, (i.sizes[0], 1)) for i in found], axis=1)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """The elements where the flat condition holds."""
    x, at = array(arr), flatnonzero(condition)
    return gather(reshape(x, (product(x.sizes),)), at, 0)


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    """Slices along an axis where the condition holds."""
    x = array(a)
    if axis is None:
        x, axis = reshape(x, (product(x.sizes),)), 0
    return gather(x, flatnonzero(condition), axis_of(axis, x.ndim))


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise") -> Any:
    """Elements at integer positions along an axis (of the flat array, if none is given)."""
    x, at = array(a), array(indices)
    if at.dtype.kind not in "iu":
        raise op_error(TypeError, f"Cannot cast array data from dtype('{at.dtype}') to dtype('int64')")
    if axis is None:
        x, axis = reshape(x, (product(x.sizes),)), 0
    k = axis_of(axis, x.ndim)
    at = array(at, i64)
    if mode == "raise":
        return gather(x, at, k)
    n = current().builder.size_value(x.sizes[k])
    if mode == "wrap":
        return gather(x, emit("mod", at, n), k, "fast")
    if mode == "clip":
        last = prim("sub")(n, lit(1))
        return gather(x, emit("maximum", emit("minimum", at, last), lit(0)), k, "fast")
    raise op_error(ValueError, f"clipmode must be one of 'clip', 'raise', or 'wrap' (got '{mode}')")


def _along_key(x: Staged, indices: Any, axis: Any) -> tuple[Staged, int, tuple[Staged, ...], Any]:
    at = array(indices)
    if at.dtype.kind not in "iu":
        raise op_error(IndexError, "`indices` must be an integer array")
    if axis is None:
        if at.ndim != 1:
            raise op_error(ValueError, "when axis=None, `indices` must have a single dimension.")
        axis = 0
    k = axis_of(axis, x.ndim)
    if at.ndim != x.ndim:
        raise op_error(ValueError, "`indices` and `arr` must have the same number of dimensions")
    key = tuple([at if j == k else along(iota(n), j, x.ndim) for j, n in enumerate(x.sizes)])
    shape = broadcast_shapes("take_along_axis", *[i.sizes for i in key])
    return at, k, tuple([spread(array(i, i64), shape) for i in key]), shape


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """Elements at integer positions along an axis, each row with its own positions."""
    x = array(arr)
    if axis is None:
        x = reshape(x, (product(x.sizes),))
    _, _, key, _ = _along_key(x, indices, axis)
    return emit("index", x, *key, spec=(Gather(),) * x.ndim, mode="check")


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    """Write elements at integer positions along an axis, in place."""
    if not isinstance(arr, Staged) or arr.cell is None or axis is None:
        raise unsupported("np.put_along_axis of this array", "give an array made in the function, and an axis")
    _, _, key, _ = _along_key(arr, indices, axis)
    setitem(arr, key, values)


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: Any = "raise") -> Any:
    """Elements of the choice that an integer array names."""
    from weft.numpy.joining import stack
    from weft.numpy.shape import broadcast_arrays

    at, *options = broadcast_arrays(a, *choices)
    table = stack(options)
    picked = take_along_axis(table, reshape(array(at, i64), (1, *at.sizes)), 0)
    return reshape(picked, at.sizes)


@implements(np.ix_, name="ix_")
def ix_(*args: Any) -> Any:
    """Index arrays that select the crossing of rows, columns, ..."""
    out = []
    for k, a in enumerate(args):
        v = array(a)
        v = nonzero(v)[0] if v.dtype.kind == "b" else v
        out.append(along(v, k, len(args)))
    return tuple(out)


@implements(np.indices, creates=True)
def indices(dimensions: Any, dtype: Any = int, sparse: Any = False) -> Any:
    """The index of each element, one array per axis."""
    from weft.numpy.common import shape_of
    from weft.numpy.joining import stack

    shape = shape_of(dimensions)
    grids = [along(iota(n, np.dtype(dtype)), k, len(shape)) for k, n in enumerate(shape)]
    return tuple(grids) if sparse else stack([spread(g, shape) for g in grids])


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any) -> Any:
    """The index per axis of flat positions."""
    from weft.numpy.common import shape_of

    at, sizes = array(indices, i64), shape_of(shape)
    out = []
    for n in reversed(sizes):
        m = current().builder.size_value(n)
        out.append(emit("mod", at, m))
        at = emit("floordiv", at, m)
    return tuple(reversed(out))


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any) -> Any:
    """The flat positions of indices per axis."""
    from weft.numpy.common import shape_of

    total: Any = 0
    for i, n in zip(multi_index, shape_of(dims), strict=True):
        total = total * of(current().builder.size_value(n)) + array(i, i64)
    return total


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: Any = 0) -> Any:
    """How often each small integer occurs; with weights, the sum of their weights."""
    from weft.numpy.common import check, dim_or_int, size_of

    at = array(x)
    if at.ndim != 1:
        raise op_error(ValueError, "object of too small depth for desired array")
    if at.dtype.kind not in "iu":
        raise op_error(TypeError, f"Cannot cast array data from dtype('{at.dtype}') to dtype('int64')")
    at = array(at, i64)
    negative = emit("reduce_or", emit("lt", at, lit(0)), axes=(0,))
    check(emit("logical_not", negative), ValueError, "'list' argument must have no negative elements")
    b = current().builder
    # the largest of the elements and -1, so that no elements give a length of zero
    top = emit("concat", at, spread(of(lit(-1)), (1,)), axis=0)
    length = prim("add")(prim("reduce_max")(top.atom, axes=(0,)), lit(1))
    length = prim("maximum")(length, b.size_value(size_of(minlength)))
    n = dim_or_int(length)
    values = of(lit(1)) if weights is None else array(weights, np.float64)
    if values.sizes:
        agree(values.sizes[0], at.sizes[0], lambda: _raise_weights())
    zeros = prim("broadcast")(lit(0, values.dtype), shape=(n,), dims=())
    return emit("accum", zeros, values, at, spec=(Gather(),), mode="fast")


def _raise_weights() -> None:
    raise op_error(ValueError, "The weights and list don't have the same length.")


@implements(np.put)
def put(a: Any, ind: Any, v: Any, mode: Any = "raise") -> None:
    """Write elements at flat positions, in place."""
    from weft.numpy.shape import ravel

    if mode != "raise":
        raise unsupported(f"np.put with mode={mode!r}")
    setitem(ravel(a), array(ind), v)


@implements(np.place, np.putmask)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """Write where a mask holds, in place."""
    v = array(vals)
    if v.sizes and v.ndim == 1 and v.sizes[0] != 1:
        raise unsupported("np.place of several values", "x[mask] = values")
    setitem(arr, truth(array(mask)), v)
