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
    full,
    gather,
    iota,
    move,
    new_size,
    of,
    op_error,
    prim,
    product,
    reshape,
    select,
    spread,
    truth,
)  # fmt: skip
from weft.numpy.hints import ignoring
from weft.numpy.registry import implements
from weft.staged.active import staging

# -- results of a size that is given -----------------------------------------------------------------------------------


def resized(x: Staged, size: Any, fill: Any) -> Staged:
    """The first ``size`` rows, with rows of ``fill`` after the last one."""
    n, rest = x.sizes[0], x.sizes[1:]
    row = spread(array(fill, x.dtype), rest)
    longer = emit("concat", x, reshape(row, (1, *rest)), axis=0)
    end = current().builder.size_value(n)
    return gather(longer, emit("minimum", iota(new_size(size)), end), 0, "fast")


def np_resized(x: Any, size: Any, fill: Any) -> Any:
    """`resized` of NumPy arrays."""
    out = np.empty((size, *x.shape[1:]), x.dtype)
    out[: len(x)] = x[:size]
    out[len(x) :] = fill
    return out


def _fills(fill: Any, n: int) -> list[Any]:
    """What fills up the indices along each axis."""
    if isinstance(fill, tuple | list):
        if len(fill) != n:
            message = f"fill_value must be a scalar or have {n} entries, one per axis"
            raise op_error(ValueError, message) if staging() else ValueError(message)
        return list(fill)
    return [0 if fill is None else fill] * n


def np_nonzero(a: Any, *, size: Any = None, fill_value: Any = None) -> Any:
    """`nonzero` of concrete arguments."""
    found = np.nonzero(a)
    if size is None:
        return found
    return tuple([np_resized(i, size, f) for i, f in zip(found, _fills(fill_value, len(found)), strict=True)])


@implements(np.nonzero, run=np_nonzero)
def nonzero(a: Any, *, size: Any = None, fill_value: Any = None) -> Any:
    """The indices of elements that are not zero, one array per axis; with ``size=`` that many."""
    x = truth(array(a))
    if not x.sizes:
        raise op_error(ValueError, "Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero()")
    found = [of(i) for i in prim("mask_indices")(x.atom)[1:]]
    if size is not None:
        found = [resized(i, size, f) for i, f in zip(found, _fills(fill_value, x.ndim), strict=True)]
    return tuple(found)


def _np_flatnonzero(a: Any, *, size: Any = None, fill_value: Any = None) -> Any:
    return np_nonzero(np.ravel(a), size=size, fill_value=fill_value)[0]


@implements(np.flatnonzero, run=_np_flatnonzero)
def flatnonzero(a: Any, *, size: Any = None, fill_value: Any = None) -> Any:
    """The flat positions of elements that are not zero; with ``size=`` that many."""
    x = array(a)
    return nonzero(reshape(x, (product(x.sizes),)), size=size, fill_value=fill_value)[0]


def _np_argwhere(a: Any, *, size: Any = None, fill_value: Any = None) -> Any:
    if size is None or np.ndim(a) == 0:
        return np.argwhere(a)
    return np.stack(np_nonzero(a, size=size, fill_value=fill_value), 1)


@implements(np.argwhere, run=_np_argwhere)
def argwhere(a: Any, *, size: Any = None, fill_value: Any = None) -> Any:
    """The indices of elements that are not zero, one row each; with ``size=`` that many rows."""
    x = array(a)
    if not x.sizes:
        return gather(full(lit(0), (1, 0)), nonzero(reshape(x, (1,)))[0], 0, "fast")
    found = nonzero(x, size=size, fill_value=fill_value)
    return emit("concat", *[reshape(i, (i.sizes[0], 1)) for i in found], axis=1)


def _np_extract(condition: Any, arr: Any, *, size: Any = None, fill_value: Any = 0) -> Any:
    found = np.extract(condition, arr)
    return found if size is None else np_resized(found, size, fill_value)


@implements(np.extract, run=_np_extract)
def extract(condition: Any, arr: Any, *, size: Any = None, fill_value: Any = 0) -> Any:
    """The elements where the flat condition holds; with ``size=`` that many."""
    x, at = array(arr), flatnonzero(condition)
    found = gather(reshape(x, (product(x.sizes),)), at, 0)
    return found if size is None else resized(found, size, fill_value)


def _np_compress(
    condition: Any, a: Any, axis: Any = None, out: Any = None, *, size: Any = None, fill_value: Any = 0
) -> Any:
    found = np.compress(condition, a, axis)
    if size is None:
        return found
    k = 0 if axis is None else axis
    return np.moveaxis(np_resized(np.moveaxis(found, k, 0), size, fill_value), 0, k)


@implements(np.compress, run=_np_compress)
def compress(
    condition: Any, a: Any, axis: Any = None, out: Any = None, *, size: Any = None, fill_value: Any = 0
) -> Any:
    """Slices along an axis where the condition holds; with ``size=`` that many."""
    x = array(a)
    if axis is None:
        x, axis = reshape(x, (product(x.sizes),)), 0
    k = axis_of(axis, x.ndim)
    found = gather(x, flatnonzero(condition), k)
    return found if size is None else move(resized(move(found, k, 0), size, fill_value), 0, k)


def _filled_in(x: Any, fill: Any) -> Any:
    """What JAX reads outside of an array: nan, the least integer, the largest unsigned one, True."""
    if fill is not None:
        return fill
    kind = np.dtype(x.dtype).kind
    if kind in "fc":
        return np.nan
    return True if kind == "b" else np.iinfo(x.dtype).max if kind == "u" else np.iinfo(x.dtype).min


def _np_take(
    a: Any, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise", *, fill_value: Any = None
) -> Any:
    if mode != "fill":
        return np.take(a, indices, axis, None, mode)
    x, at = np.asarray(a), np.asarray(indices)
    x, k = (x.ravel(), 0) if axis is None else (x, np.lib.array_utils.normalize_axis_index(axis, x.ndim))
    n = x.shape[k]
    at = np.where(at < 0, at + n, at)
    inside = (at >= 0) & (at < n)
    row = np.full((*x.shape[:k], 1, *x.shape[k + 1 :]), _filled_in(x, fill_value), x.dtype)
    return np.take(np.concatenate([x, row], k), np.where(inside, at, n), k)


@ignoring(np.take, "unique_indices", "indices_are_sorted", run=_np_take)
def take(
    a: Any, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise", *, fill_value: Any = None
) -> Any:
    """Elements at integer positions along an axis (of the flat array, if none is given).

    Positions out of range raise, or are counted round (``mode="wrap"``), moved to the ends (``"clip"``), or give
    ``fill_value`` (``"fill"``).
    """
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
    if mode == "fill":
        at = emit("select", emit("lt", at, lit(0)), emit("add", at, n), at)
        inside = emit("bitand", emit("ge", at, lit(0)), emit("lt", at, n))
        row = full(lit(_filled_in(x, None), x.dtype), ()) if fill_value is None else array(fill_value, x.dtype)
        rows = spread(row, (*x.sizes[:k], 1, *x.sizes[k + 1 :]))
        return gather(emit("concat", x, rows, axis=k), emit("select", inside, at, n), k, "fast")
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


def _np_take_along_axis(arr: Any, indices: Any, axis: Any = -1, *, mode: Any = None, fill_value: Any = None) -> Any:
    if mode is None:
        return np.take_along_axis(arr, indices, axis)
    x, k = (np.ravel(arr), 0) if axis is None else (np.asarray(arr), axis)
    n = x.shape[k]
    if mode == "fill":
        at = np.where(indices < 0, indices + n, indices)
        inside = (at >= 0) & (at < n)
        found = np.take_along_axis(x, np.where(inside, at, 0), k)
        return np.where(inside, found, np.asarray(_filled_in(x, fill_value)).astype(x.dtype))
    if mode not in ("clip", "wrap"):
        raise ValueError(_MODES.format(mode))
    at = np.clip(indices, 0, n - 1) if mode == "clip" else np.mod(indices, n)
    return np.take_along_axis(x, at, k)


_MODES = "mode is None (which raises), 'clip', 'fill' or 'wrap', not {!r}"


@implements(np.take_along_axis, run=_np_take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1, *, mode: Any = None, fill_value: Any = None) -> Any:
    """Elements at integer positions along an axis, each row with its own positions.

    Positions out of range raise; with ``mode`` they are moved to the ends ("clip"), counted round ("wrap"), or give
    ``fill_value`` ("fill").
    """
    x = array(arr)
    if axis is None:
        x = reshape(x, (product(x.sizes),))
    _, k, key, _ = _along_key(x, indices, axis)
    spec = (Gather(),) * x.ndim
    if mode is None:
        return emit("index", x, *key, spec=spec, mode="check")
    n = current().builder.size_value(x.sizes[k])
    at, last = key[k], prim("sub")(n, lit(1))
    if mode == "wrap":
        near = emit("mod", at, n)
    elif mode in ("clip", "fill"):
        at = emit("select", emit("lt", at, lit(0)), emit("add", at, n), at) if mode == "fill" else at
        near = emit("maximum", emit("minimum", at, last), lit(0))
    else:
        raise op_error(ValueError, _MODES.format(mode))
    found = emit("index", x, *key[:k], near, *key[k + 1 :], spec=spec, mode="fast")
    if mode != "fill":
        return found
    inside = emit("eq", at, near)
    return select(inside, found, array(_filled_in(x, fill_value), x.dtype))


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
def unravel_index(indices: Any, shape: Any, order: Any = "C") -> Any:
    """The index per axis of flat positions."""
    from weft.numpy.common import check, shape_of

    at, sizes = array(indices, i64), shape_of(shape)
    if order not in ("C", "F"):
        raise op_error(ValueError, f"order must be one of 'C' or 'F' (got {order!r})")
    total = current().builder.size_value(product(sizes))
    inside = emit("bitand", emit("ge", at, lit(0)), emit("lt", at, total))
    known = emit("reduce_and", inside, axes=tuple(range(inside.ndim))) if inside.sizes else inside
    check(known, ValueError, "an index is out of bounds for array with size {}", total)
    out = []
    for n in reversed(sizes) if order == "C" else sizes:
        m = current().builder.size_value(n)
        out.append(emit("mod", at, m))
        at = emit("floordiv", at, m)
    return tuple(reversed(out)) if order == "C" else tuple(out)


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: Any = "C") -> Any:
    """The flat positions of indices per axis."""
    from weft.numpy.common import check, shape_of

    sizes = shape_of(dims)
    modes = mode if isinstance(mode, tuple) else (mode,) * len(sizes)
    parts = list(zip(multi_index, sizes, modes, strict=True))
    if order not in ("C", "F"):
        raise op_error(ValueError, f"order must be one of 'C' or 'F' (got {order!r})")
    total: Any = 0
    for given, n, how in parts if order == "C" else reversed(parts):
        m = of(current().builder.size_value(n))
        i = array(given, i64)
        if how == "wrap":
            i = emit("mod", i, m)
        elif how == "clip":
            i = emit("maximum", emit("minimum", i, emit("sub", m, lit(1))), lit(0))
        elif how == "raise":
            fine = emit("bitand", emit("ge", i, lit(0)), emit("lt", i, m))
            known = emit("reduce_and", fine, axes=tuple(range(fine.ndim))) if fine.sizes else fine
            check(known, ValueError, "invalid entry in coordinates array")
        else:
            raise op_error(ValueError, f"clipmode must be one of 'clip', 'raise', or 'wrap' (got '{how}')")
        total = total * m + i
    return total


def _np_bincount(x: Any, /, weights: Any = None, minlength: Any = 0, *, length: Any = None) -> Any:
    if length is None:
        return np.bincount(x, weights, minlength)
    counts = np.bincount(np.clip(x, 0, None), weights, length)
    return counts[:length]


@implements(np.bincount, run=_np_bincount)
def bincount(x: Any, /, weights: Any = None, minlength: Any = 0, *, length: Any = None) -> Any:
    """How often each small integer occurs; with weights, the sum of their weights.

    With ``length=`` that many are counted, larger ones are not, and negative ones count as 0, as in JAX.
    """
    from weft.numpy.common import check, dim_or_int, size_of

    at = array(x)
    if at.ndim != 1:
        raise op_error(ValueError, "object of too small depth for desired array")
    if at.dtype.kind not in "iu":
        raise op_error(TypeError, f"Cannot cast array data from dtype('{at.dtype}') to dtype('int64')")
    at = array(at, i64)
    values = of(lit(1)) if weights is None else array(weights, np.float64)
    if values.sizes:
        agree(values.sizes[0], at.sizes[0], lambda: _raise_weights())
    if length is not None:
        m = size_of(length)
        at = emit("maximum", at, lit(0))
        inside = emit("lt", at, current().builder.size_value(m))
        values = select(inside, spread(values, at.sizes), of(lit(0, values.dtype)))
        at = select(inside, at, of(lit(0)))
        zeros = prim("broadcast")(lit(0, values.dtype), shape=(m,), dims=())
        return emit("accum", zeros, values, at, spec=(Gather(),), mode="fast")
    negative = emit("reduce_or", emit("lt", at, lit(0)), axes=(0,))
    check(emit("logical_not", negative), ValueError, "'list' argument must have no negative elements")
    b = current().builder
    # the largest of the elements and -1, so that no elements give a length of zero
    top = emit("concat", at, spread(of(lit(-1)), (1,)), axis=0)
    top_length = prim("add")(prim("reduce_max")(top.atom, axes=(0,)), lit(1))
    top_length = prim("maximum")(top_length, b.size_value(size_of(minlength)))
    n = dim_or_int(top_length)
    zeros = prim("broadcast")(lit(0, values.dtype), shape=(n,), dims=())
    return emit("accum", zeros, values, at, spec=(Gather(),), mode="fast")


def _raise_weights() -> None:
    raise op_error(ValueError, "The weights and list don't have the same length.")
