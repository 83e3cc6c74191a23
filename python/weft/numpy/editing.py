"""Inserting and removing elements, and bits packed into bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import Gather, lit
from weft.ir.types import bool_, i64
from weft.numpy.common import (
    Staged,
    array,
    astype,
    axis_of,
    broadcast_shapes,
    check,
    current,
    dim_or_int,
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
    shape_of,
    size_of,
    spread,
    static_bool,
    static_int,
    truth,
    under,
)  # fmt: skip
from weft.numpy.joining import concatenate
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc
from weft.staged.indexing import getitem


def _length(n: Any) -> Staged:
    return of(current().builder.size_value(n))


def _positions(obj: Any, n: Any, ends: int) -> Staged:
    """The positions that an index names, counted from the front; the last one is ``n - 1 + ends``."""
    if isinstance(obj, slice):
        return getitem(iota(n), obj)  # type: ignore[no-any-return]
    if isinstance(obj, int | np.integer) and not isinstance(obj, bool):
        return _position(int(obj), n, ends)
    at = array(obj)
    if at.dtype.kind == "b":
        return of(prim("mask_indices")(truth(at).atom)[1])
    if at.dtype.kind not in "iu" and at.sizes != (0,):
        raise op_error(IndexError, "arrays used as indices must be of integer (or boolean) type")
    at, size = astype(at, i64), _length(n)
    after = emit("select", emit("lt", at, lit(0)), emit("add", at, size), at)
    fine = emit("bitand", emit("ge", after, lit(0)), emit("lt", after, emit("add", size, lit(ends))))
    known = emit("reduce_and", fine, axes=tuple(range(fine.ndim))) if fine.sizes else fine
    check(known, IndexError, "an index is out of bounds for axis with size {}", size.atom)
    return after


def _position(i: int, n: Any, ends: int) -> Staged:
    """One position that is known while staging; that it exists is a fact about the size of the axis."""
    ctx = current()
    k = n + i if i < 0 else i
    for room in (k, n - 1 + ends - k):
        if ctx.about_shapes(room) and not ctx.at_least(room, 0):
            if not ctx.decide(">=", room, "a position is one of the array's"):
                size = ctx.number(n)
                raise op_error(IndexError, f"index {i} is out of bounds for axis with size {size}")
        elif not ctx.at_least(room, 0):
            check(emit("ge", _length(room), lit(0)), IndexError, "index {} is out of bounds", lit(i))
    return _length(k)


def _np_delete(arr: Any, obj: Any, axis: Any = None, *, assume_unique_indices: Any = False) -> Any:
    return np.delete(arr, obj, axis)


@implements(np.delete, run=_np_delete)
def delete(arr: Any, obj: Any, axis: Any = None, *, assume_unique_indices: Any = False) -> Any:
    """The array without these positions of an axis."""
    x = array(arr)
    if axis is None:
        x, axis = reshape(x, (product(x.sizes),)), 0
    k = axis_of(axis, x.ndim)
    n = x.sizes[k]
    at = _positions(obj, n, 0)
    if not at.sizes or at.sizes == (1,):
        at = reshape(at, ())
        places = iota(n - 1)
        return gather(x, emit("add", places, astype(emit("ge", places, at), i64)), k, "fast")
    kept = emit("store", full(lit(True, bool_), (n,)), lit(False, bool_), at, spec=(Gather(),), mode="fast")
    rest = of(prim("mask_indices")(kept.atom)[1])
    gone = _how_many(obj, n, at, static_bool(assume_unique_indices, "assume_unique_indices"))
    return gather(x, rest if gone is None else under(rest, (n - gone,)), k, "fast")


def _how_many(obj: Any, n: Any, at: Staged, unique: bool) -> Any:
    """How many positions an index names, where that does not depend on data."""
    if unique or isinstance(obj, slice):
        return at.sizes[0]
    if isinstance(obj, list | tuple | range) and all(isinstance(i, int) for i in obj):
        if len({i < 0 for i in obj}) <= 1:
            return len(set(obj))
        if isinstance(n, int):
            return len({i % n for i in obj})
    return None


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """The array with values put in before positions of an axis."""
    x = array(arr)
    if axis is None:
        x, axis = reshape(x, (product(x.sizes),)), 0
    if not x.sizes:
        raise op_error(np.exceptions.AxisError, f"axis {axis} is out of bounds for array of dimension 0")
    k = axis_of(axis, x.ndim)
    n = x.sizes[k]
    at = _positions(obj, n, 1)
    v = array(values, x.dtype)
    lead, tail = x.sizes[:k], x.sizes[k + 1 :]
    if not at.sizes or at.sizes == (1,):
        # one position takes as many as there are; a scalar index names a slice without its axis
        at = reshape(at, ())
        v = reshape(v, (1,) * (x.ndim - v.ndim) + v.sizes) if v.ndim < x.ndim else v
        if not array(obj).sizes and not isinstance(obj, slice | list | tuple):
            v = move(v, 0, k)
        m = v.sizes[k]
        v = spread(v, broadcast_shapes("insert", v.sizes, (*lead, m, *tail)))
        at = spread(at, (m,))
    else:
        m = at.sizes[0]
        v = spread(v, broadcast_shapes("insert", v.sizes, (*lead, m, *tail)))
    order = emit("argsort", at, axis=0)
    places = emit("add", gather(at, order, 0, "fast"), iota(m))
    total = n + m
    old = emit("store", full(lit(True, bool_), (total,)), lit(False, bool_), places, spec=(Gather(),), mode="fast")
    rank = emit("sub", emit("cumsum", astype(old, i64), axis=0, reverse=False), lit(1))
    # each place's source among the old elements and, after them, the new ones
    new_rank = emit("store", full(lit(0), (total,)), order, places, spec=(Gather(),), mode="fast")
    source = emit("select", old, rank, emit("add", new_rank, _length(n)))
    return gather(concatenate([x, v], k), source, k, "fast")


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """An array of another size: the elements again and again."""
    x, sizes = array(a), shape_of(new_shape)
    x = reshape(x, (product(x.sizes),))
    total = product(sizes)
    if x.sizes[0] == 0 or total == 0:
        return full(lit(0, x.dtype), sizes)
    at = emit("mod", iota(total), _length(x.sizes[0]))
    return reshape(gather(x, at, 0, "fast"), sizes)


# -- bits --------------------------------------------------------------------------------------------------------------


def _weights(bitorder: Any) -> Staged:
    if bitorder not in ("big", "little"):
        raise op_error(ValueError, "'order' must be either 'little' or 'big'")
    k = iota(8, np.dtype(np.uint8))
    return emit("sub", lit(7, k.dtype), k) if bitorder == "big" else k


@implements(np.packbits)
def packbits(a: Any, /, axis: Any = None, bitorder: Any = "big") -> Any:
    """Eight elements as the bits of a byte, zeros after the last one."""
    x = array(a)
    if x.dtype.kind not in "biu":
        raise op_error(TypeError, "Expected an input array of integer or boolean data type")
    if axis is None:
        x, axis = reshape(x, (product(x.sizes),)), 0
    k = axis_of(axis, x.ndim)
    n, u8 = x.sizes[k], np.dtype(np.uint8)
    count = prim("floordiv")(prim("add")(current().builder.size_value(n), lit(7)), lit(8))
    whole = dim_or_int(count)
    bits = move(astype(truth(x), u8), k, x.ndim - 1)
    missing = full(lit(0, u8), (*bits.sizes[:-1], 7))
    longer = concatenate([bits, missing], -1)
    at = reshape(iota(product([whole, 8])), (whole, 8))
    rows = gather(longer, emit("minimum", at, emit("add", _length(n), lit(6))), x.ndim - 1, "fast")
    inside = ufunc(np.less, at, _length(n))
    rows = emit("mul", rows, spread(astype(inside, u8), rows.sizes))
    shifted = ufunc(np.left_shift, rows, _weights(bitorder))
    packed = emit("reduce_sum", shifted, axes=(rows.ndim - 1,))
    return move(packed, x.ndim - 1, k)


@implements(np.unpackbits)
def unpackbits(a: Any, /, axis: Any = None, count: Any = None, bitorder: Any = "big") -> Any:
    """The bits of bytes as elements; ``count`` of them, or all but ``-count``."""
    x = array(a)
    if x.dtype != np.uint8:
        raise op_error(TypeError, "Expected an input array of unsigned byte data type")
    if axis is None:
        x, axis = reshape(x, (product(x.sizes),)), 0
    k = axis_of(axis, x.ndim)
    y = move(x, k, x.ndim - 1)
    bits = ufunc(np.bitwise_and, ufunc(np.right_shift, reshape(y, (*y.sizes, 1)), _weights(bitorder)), 1)
    n = product([x.sizes[k], 8])
    bits = reshape(bits, (*y.sizes[:-1], n))
    if count is not None:
        wanted = size_of(count)
        if isinstance(wanted, int) and wanted < 0:
            bits = getitem(bits, (..., slice(None, static_int(count, "count"))))
        else:
            at = iota(new_size(wanted))
            inside = ufunc(np.less, at, _length(n))
            longer = concatenate([bits, full(lit(0, bits.dtype), (*y.sizes[:-1], 1))], -1)
            bits = gather(longer, emit("select", inside, at, _length(n)), x.ndim - 1, "fast")
    return move(bits, x.ndim - 1, k)
